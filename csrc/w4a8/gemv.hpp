// One token by compressed weights: codes are unpacked in registers, and every weight byte is read once.
#pragma once

#include "w4a8/layout.hpp"
#include "w4a8/unpack.hpp"

namespace nmforge {

// The sums of one tile. Two chains of partial sums, so that a step need not wait for the one before it.
template <class Simd, int CodeBits>
struct Sums {
  static constexpr int kParts = kStepBytes / Simd::kBytes;
  static constexpr int kChains = 2;
  typename Simd::Ints acc[kParts];
  typename Simd::Partial partial[kChains][kParts];

  // acc starts with the correction of the 128 that is added to every activation. correction: int32[16]
  explicit Sums(const std::int32_t* correction) {
    for (int p = 0; p < kParts; ++p) acc[p] = Simd::load_ints(correction + p * Simd::kBytes / 4);
    clear();
  }
  // Multiplies the partial sums by the group's multipliers, adds them to acc and starts new ones. mult: uint8[16]
  void group_end(const std::uint8_t* mult) {
    for (int p = 0; p < kParts; ++p) {
      const auto sum = Simd::sum(partial[0][p], partial[1][p]);
      const auto factor = Simd::multiplier(mult + p * Simd::kBytes / 4);
      acc[p] = Simd::template scale_add<code_shift<Simd, CodeBits>()>(acc[p], sum, factor);
    }
    clear();
  }

 private:
  void clear() {
    for (auto& chain : partial) {
      for (auto& p : chain) p = Simd::zero();
    }
  }
};

// Adds the products of step S. x: the activations it selects from; lane_base: its four bytes.
template <class Simd, int CodeBits, int IndexBits, int S, bool kDisjoint>
inline void add_step(Sums<Simd, CodeBits>& sums, const std::uint8_t* block, const std::uint8_t* x,
                     const std::uint32_t* lane_base) {
  for (int p = 0; p < sums.kParts; ++p) {
    const auto codes = unpack_codes<Simd, CodeBits, S>(block, p);
    auto& partial = sums.partial[S % sums.kChains][p];
    if constexpr (IndexBits == 0) {
      partial = Simd::dot(partial, Simd::broadcast4(x), codes);
    } else {
      const auto base = Simd::broadcast4(lane_base);
      const auto lane_index = unpack_lane_index<Simd, CodeBits, IndexBits, S, kDisjoint>(block, p, base);
      partial = Simd::dot(partial, Simd::select(Simd::table(x), lane_index), codes);
    }
  }
}

// Any layout: looks up the gather base of every step and the end of every segment.
template <class Simd, int CodeBits, int IndexBits>
void gemv_generic(const GemmArgs& args, const std::uint8_t* block, const std::uint8_t* mult,
                  Sums<Simd, CodeBits>& sums) {
  constexpr int kPlanes = CodeBits + IndexBits;
  const Layout& layout = *args.layout;
  std::uint32_t step = 0;
  int segment = 0;
  for (int b = 0; b < layout.blocks; ++b, block += kPlanes * kStepBytes) {
    prefetch<Simd, kPlanes>(block + kPrefetchBytes);
    each_step([&](auto s) {
      const std::uint8_t* x = args.x + layout.gather_base[step];
      add_step<Simd, CodeBits, IndexBits, s, false>(sums, block, x, layout.lane_base + step);
      if (++step == layout.segment_end[segment]) {
        sums.group_end(mult + layout.segment_group[segment++] * kTileRows);
      }
    });
  }
}

// A uniform layout: groups end with a block, or (kHalfBlocks) with every fourth step, and no lane base shares a bit
// with an index.
template <class Simd, int CodeBits, int IndexBits, bool kHalfBlocks>
void gemv_uniform_groups(const GemmArgs& args, const std::uint8_t* block, const std::uint8_t* mult,
                         Sums<Simd, CodeBits>& sums) {
  constexpr int kPlanes = CodeBits + IndexBits;
  const Layout& layout = *args.layout;
  const std::uint32_t *gather_base = layout.gather_base, *lane_base = layout.lane_base;
  for (int group = 0; group < layout.groups; ++group, mult += kTileRows) {
    for (int left = layout.group_steps; left > 0; left -= kBlockSteps) {
      prefetch<Simd, kPlanes>(block + kPrefetchBytes);
      each_step([&](auto s) {
        add_step<Simd, CodeBits, IndexBits, s, true>(sums, block, args.x + gather_base[s], lane_base + s);
        if constexpr (kHalfBlocks && s == kBlockSteps / 2 - 1) {
          sums.group_end(mult);
          mult += kTileRows, ++group;
        }
      });
      block += kPlanes * kStepBytes, gather_base += kBlockSteps, lane_base += kBlockSteps;
      if (Simd::kSegmentSteps <= kBlockSteps && left > kBlockSteps) sums.group_end(mult);
    }
    sums.group_end(mult);
  }
}

// One tile of a product of one token.
template <class Simd, int CodeBits, int IndexBits>
void gemv_tile(const GemmArgs& args, int tile) {
  const Layout& layout = *args.layout;
  constexpr std::size_t kBlockBytes = (CodeBits + IndexBits) * kStepBytes;
  const std::uint8_t* block = layout.planes + tile * layout.blocks * kBlockBytes;
  const std::uint8_t* mult = layout.mult + static_cast<std::size_t>(tile) * layout.groups * kTileRows;
  Sums<Simd, CodeBits> sums(layout.bias_correction + tile * kTileRows);
  if (layout.group_steps == 0) {
    gemv_generic<Simd, CodeBits, IndexBits>(args, block, mult, sums);
  } else if (layout.group_steps == kBlockSteps / 2) {
    gemv_uniform_groups<Simd, CodeBits, IndexBits, true>(args, block, mult, sums);
  } else {
    gemv_uniform_groups<Simd, CodeBits, IndexBits, false>(args, block, mult, sums);
  }
  alignas(kStepBytes) std::int32_t acc[kTileRows];
  for (int p = 0; p < sums.kParts; ++p) Simd::store_ints(acc + p * Simd::kBytes / 4, sums.acc[p]);
  write_tile<Simd>(args, tile, 0, acc);
}

}  // namespace nmforge
