// The W4A8 product, once, for every instruction set.
//
// `Simd` supplies registers of Simd::kBytes bytes and sixteen operations; all else is shared, so that paths can
// only differ in those operations. Sums are exact integers, hence every path returns the same bits. Each kept code
// selects its activation, so pruned weights cost no multiplication at any M.
//
// Include from one file per instruction set with its `Simd` in an anonymous namespace, and call nothing from the
// standard library here: a shared inline function compiled for AVX-512 could be the copy the linker keeps.
#pragma once

#include "w4a8/gemv.hpp"
#include "w4a8/layout.hpp"
#include "w4a8/unpack.hpp"

namespace nmforge {

// Several tokens: a chunk of steps of Tiles tiles is unpacked once, into the cache nearest to the multipliers, then
// multiplied by all tokens. A chunk holds whole segments; its arrays begin with the block that holds its first step.
template <class Simd, int Tiles>
struct Chunk {
  static constexpr int kBlocks = kChunkSteps / kBlockSteps + 1;  // a chunk may begin and end inside a block
  std::uint32_t first_step = 0;                                  // of the arrays below
  int begin = 0, end = 0;                                        // segments begin .. end - 1
  alignas(kStepBytes) std::uint8_t codes[Tiles][kBlocks * kBlockSteps][kStepBytes];  // int8, times 2^code_shift
  alignas(kStepBytes) std::uint8_t lane_index[Tiles][kBlocks * kBlockSteps][kStepBytes];
};

// The first step of a segment.
template <class Simd>
std::uint32_t segment_begin(const Layout& layout, int segment) {
  return segment == 0 ? 0 : layout.segment_end[segment - 1];
}

template <class Simd, int CodeBits, int IndexBits, int Tiles>
void unpack_chunk(const Layout& layout, int tile, Chunk<Simd, Tiles>& chunk) {
  constexpr int kPlaneBytes = (CodeBits + IndexBits) * kStepBytes;
  const int first = static_cast<int>(segment_begin<Simd>(layout, chunk.begin)) / kBlockSteps;
  const int last = (static_cast<int>(layout.segment_end[chunk.end - 1]) + kBlockSteps - 1) / kBlockSteps;
  chunk.first_step = first * kBlockSteps;
  for (int i = 0; i < Tiles; ++i) {
    const std::size_t block_index = static_cast<std::size_t>(tile + i) * layout.blocks + first;
    const std::uint8_t* block = layout.planes + block_index * kPlaneBytes;
    const std::uint32_t* lane_base = layout.lane_base + chunk.first_step;
    std::uint8_t *codes = chunk.codes[i][0], *lane_index = chunk.lane_index[i][0];
    for (int b = first; b < last; ++b, block += kPlaneBytes) {
      prefetch<Simd, CodeBits + IndexBits>(block + kPrefetchBytes / 2);
      each_step([&](auto s) {
        for (int p = 0; p < kStepBytes / Simd::kBytes; ++p) {
          Simd::store(codes + p * Simd::kBytes, unpack_codes<Simd, CodeBits, s>(block, p));
          if constexpr (IndexBits != 0) {
            const auto base = Simd::broadcast4(lane_base);
            Simd::store(lane_index + p * Simd::kBytes,
                        unpack_lane_index<Simd, CodeBits, IndexBits, s, false>(block, p, base));
          }
        }
        codes += kStepBytes, lane_index += kStepBytes, ++lane_base;
      });
    }
  }
}

// Adds step `at` of the chunk for every token. x: the activations of the first token that the step selects from.
template <class Simd, bool kSelect, int Tiles, int Tokens>
inline void add_chunk_step(const Chunk<Simd, Tiles>& chunk, std::uint32_t at, const std::uint8_t* x, std::size_t stride,
                           typename Simd::Partial (&partial)[Tokens][Tiles * kStepBytes / Simd::kBytes]) {
  constexpr int kParts = Tiles * kStepBytes / Simd::kBytes, kPerTile = kStepBytes / Simd::kBytes;
  typename Simd::Bytes code[kParts], index[kParts];
#pragma GCC unroll 8
  for (int p = 0; p < kParts; ++p) {
    code[p] = Simd::load(chunk.codes[p / kPerTile][at] + p % kPerTile * Simd::kBytes);
    if constexpr (kSelect) index[p] = Simd::load(chunk.lane_index[p / kPerTile][at] + p % kPerTile * Simd::kBytes);
  }
#pragma GCC unroll 16
  for (int t = 0; t < Tokens; ++t) {
    if constexpr (kSelect) {
      const typename Simd::Bytes table = Simd::table(x + t * stride);
#pragma GCC unroll 8
      for (int p = 0; p < kParts; ++p) partial[t][p] = Simd::dot(partial[t][p], Simd::select(table, index[p]), code[p]);
    } else {
      const typename Simd::Bytes four = Simd::broadcast4(x + t * stride);
#pragma GCC unroll 8
      for (int p = 0; p < kParts; ++p) partial[t][p] = Simd::dot(partial[t][p], four, code[p]);
    }
  }
}

// Adds the chunk's products with tokens first .. first + Tokens - 1 to sums[Tokens][Tiles * 16]; the partial sums of a
// segment stay in registers.
template <class Simd, int Shift, bool kSelect, int Tiles, int Tokens>
void multiply_chunk(const GemmArgs& args, int tile, int first, const Chunk<Simd, Tiles>& chunk, std::int32_t* sums) {
  constexpr int kParts = Tiles * kStepBytes / Simd::kBytes, kPerTile = kStepBytes / Simd::kBytes;
  const Layout& layout = *args.layout;
  const std::size_t mult_stride = static_cast<std::size_t>(layout.groups) * kTileRows;
  const std::uint8_t* mult = layout.mult + tile * mult_stride;
  const std::uint8_t* rows = args.x + first * args.stride;
  std::uint32_t step = segment_begin<Simd>(layout, chunk.begin);
  for (int segment = chunk.begin; segment < chunk.end; ++segment) {
    typename Simd::Partial partial[Tokens][kParts];
#pragma GCC unroll 16
    for (int t = 0; t < Tokens; ++t) {
#pragma GCC unroll 8
      for (int p = 0; p < kParts; ++p) partial[t][p] = Simd::zero();
    }
    for (; step < layout.segment_end[segment]; ++step) {
      const std::uint8_t* x = rows + layout.gather_base[step];
      add_chunk_step<Simd, kSelect, Tiles, Tokens>(chunk, step - chunk.first_step, x, args.stride, partial);
    }
    const std::uint8_t* scales = mult + layout.segment_group[segment] * kTileRows;
#pragma GCC unroll 8
    for (int p = 0; p < kParts; ++p) {
      const auto scale = Simd::multiplier(scales + p / kPerTile * mult_stride + p % kPerTile * Simd::kBytes / 4);
#pragma GCC unroll 16
      for (int t = 0; t < Tokens; ++t) {
        std::int32_t* sum = sums + t * Tiles * kTileRows + p * Simd::kBytes / 4;
        Simd::store_ints(sum, Simd::template scale_add<Shift>(Simd::load_ints(sum), partial[t][p], scale));
      }
    }
  }
}

// Tokens token .. last - 1, as many at once as there are left, Tokens at most.
template <class Simd, int Shift, bool kSelect, int Tiles, int Tokens>
void multiply_remaining(const GemmArgs& args, int tile, int token, int last, const Chunk<Simd, Tiles>& chunk,
                        std::int32_t* sums) {
  for (; token + Tokens <= last; token += Tokens, sums += Tokens * Tiles * kTileRows) {
    multiply_chunk<Simd, Shift, kSelect, Tiles, Tokens>(args, tile, token, chunk, sums);
  }
  if constexpr (Tokens > 1) {
    multiply_remaining<Simd, Shift, kSelect, Tiles, Tokens / 2>(args, tile, token, last, chunk, sums);
  }
}

// Tokens first .. last - 1, at most kTokenBlock, by Tiles tiles.
template <class Simd, int CodeBits, int IndexBits, int Tiles>
void multiply_tokens(const GemmArgs& args, int tile, int first, int last) {
  constexpr int kShift = code_shift<Simd, CodeBits>();
  const Layout& layout = *args.layout;
  alignas(kStepBytes) std::int32_t sums[kTokenBlock][Tiles * kTileRows];
  for (int t = 0; t < last - first; ++t) {
    for (int r = 0; r < Tiles * kTileRows; ++r) sums[t][r] = layout.bias_correction[tile * kTileRows + r];
  }
  Chunk<Simd, Tiles> chunk;
  for (chunk.begin = 0; chunk.begin < layout.segments; chunk.begin = chunk.end) {
    const std::uint32_t start = segment_begin<Simd>(layout, chunk.begin);
    chunk.end = chunk.begin + 1;
    while (chunk.end < layout.segments && layout.segment_end[chunk.end] - start <= kChunkSteps) ++chunk.end;
    unpack_chunk<Simd, CodeBits, IndexBits>(layout, tile, chunk);
    multiply_remaining<Simd, kShift, IndexBits != 0, Tiles, Simd::kTokens>(args, tile, first, last, chunk, sums[0]);
  }
  for (int t = 0; t < last - first; ++t) {
    for (int i = 0; i < Tiles; ++i) write_tile<Simd>(args, tile + i, first + t, sums[t] + i * kTileRows);
  }
}

template <class Simd, int CodeBits, int IndexBits>
void multiply_tiles(const GemmArgs& args, int begin, int end) {
  if (args.m == 1) {
    for (int tile = begin; tile < end; ++tile) gemv_tile<Simd, CodeBits, IndexBits>(args, tile);
    return;
  }
  for (int first = 0; first < args.m; first += kTokenBlock) {
    const int last = args.m - first < kTokenBlock ? args.m : first + kTokenBlock;
    int tile = begin;
    for (; tile + Simd::kTiles <= end; tile += Simd::kTiles) {
      multiply_tokens<Simd, CodeBits, IndexBits, Simd::kTiles>(args, tile, first, last);
    }
    for (; tile < end; ++tile) multiply_tokens<Simd, CodeBits, IndexBits, 1>(args, tile, first, last);
  }
}

template <class Simd>
void multiply(const GemmArgs& args, int begin, int end) {
  using Tiles = void (*)(const GemmArgs&, int, int);
  static constexpr Tiles kByWidths[kMaxCodeBits - kMinCodeBits + 1][kMaxIndexBits + 1] = {
      {multiply_tiles<Simd, 2, 0>, multiply_tiles<Simd, 2, 1>, multiply_tiles<Simd, 2, 2>, multiply_tiles<Simd, 2, 3>,
       multiply_tiles<Simd, 2, 4>},
      {multiply_tiles<Simd, 3, 0>, multiply_tiles<Simd, 3, 1>, multiply_tiles<Simd, 3, 2>, multiply_tiles<Simd, 3, 3>,
       multiply_tiles<Simd, 3, 4>},
      {multiply_tiles<Simd, 4, 0>, multiply_tiles<Simd, 4, 1>, multiply_tiles<Simd, 4, 2>, multiply_tiles<Simd, 4, 3>,
       multiply_tiles<Simd, 4, 4>},
  };
  kByWidths[args.layout->code_bits - kMinCodeBits][args.layout->index_bits](args, begin, end);
}

}  // namespace nmforge
