// The W4A8 product, once, for every instruction set.
//
// `V` supplies registers of V::kBytes bytes and the few operations below; all else is shared, so that paths can only
// differ in those operations. Sums are exact integers, hence every path returns the same bits.
// Each kept code selects its activation, so pruned weights cost no multiplication at any M.
//
// Include from one file per instruction set with V in an anonymous namespace, and call nothing from the standard
// library here: a shared inline function compiled for AVX-512 could be the copy the linker keeps.
#pragma once

#include <type_traits>
#include <utility>

#include "layout.hpp"

namespace nmforge {

// ---- unpacking -----------------------------------------------------------------------------------------------

// Step S of a field of Width bits, part p of its 64 bytes, as unsigned bytes.
template <class V, int Width, int S>
inline typename V::Bytes unpack(const std::uint8_t* planes, int p) {
  const std::uint8_t* part = planes + p * V::kBytes;
  if constexpr (Width == 4) {
    return V::template pick<4 * (S % 2), 4, 0>(V::load(part + S / 2 * kStepBytes));
  } else if constexpr (Width == 2) {
    return V::template pick<2 * (S % 4), 2, 0>(V::load(part + S / 4 * kStepBytes));
  } else if constexpr (Width == 1) {
    return V::template pick<S, 1, 0>(V::load(part));
  } else {
    static_assert(Width == 3);
    return V::either(unpack<V, 2, S>(planes, p), V::template pick<S, 1, 2>(V::load(part + 2 * kStepBytes)));
  }
}

template <class V, int CodeBits, int S>
inline typename V::Bytes unpack_codes(const std::uint8_t* block, int p) {
  return V::subtract(unpack<V, CodeBits, S>(block, p), 1 << (CodeBits - 1));
}

template <class V, int CodeBits, int IndexBits, int S>
inline typename V::Bytes unpack_places(const std::uint8_t* block, int p, const std::uint32_t* lane_base) {
  return V::add(unpack<V, IndexBits, S>(block + CodeBits * kStepBytes, p), V::broadcast4(lane_base));
}

// Calls body(std::integral_constant<int, S>) for S = 0..7.
template <class Body, int... S>
inline void each_step(Body&& body, std::integer_sequence<int, S...>) {
  (body(std::integral_constant<int, S>{}), ...);
}
template <class Body>
inline void each_step(Body&& body) {
  each_step(static_cast<Body&&>(body), std::make_integer_sequence<int, kBlockSteps>{});
}

// ---- writing -------------------------------------------------------------------------------------------------

// Stores the rows of a tile that exist: as INT32, or as float32(acc) * (a * row_scale).
template <class V>
void write_tile(const Job& job, int tile, int token, const std::int32_t* acc) {
  const Layout& layout = *job.layout;
  const int first = tile * kTileRows;
  const int rows = layout.n - first < kTileRows ? layout.n - first : kTileRows;
  const std::size_t at = static_cast<std::size_t>(token) * layout.n + first;
  if (job.out_int != nullptr) {
    for (int r = 0; r < rows; ++r) job.out_int[at + r] = acc[r];
  } else {
    for (int r = 0; r < rows; ++r) {
      const float scale = job.step[token] * layout.row_scale[first + r];
      job.out_float[at + r] = static_cast<float>(acc[r]) * scale;
    }
  }
}

// ---- one token: unpack in registers, read every weight byte once ------------------------------------------------

template <class V, int CodeBits, int IndexBits>
void multiply_packed(const Job& job, int tile) {
  constexpr int kParts = kStepBytes / V::kBytes;
  constexpr int kPlaneBytes = (CodeBits + IndexBits) * kStepBytes;
  const Layout& layout = *job.layout;
  const std::uint8_t* block = layout.planes + static_cast<std::size_t>(tile) * layout.blocks * kPlaneBytes;
  const std::uint8_t* mult = layout.mult + static_cast<std::size_t>(tile) * layout.groups * kTileRows;
  typename V::Ints acc[kParts];
  typename V::Partial partial[kParts];
  for (int p = 0; p < kParts; ++p) {
    acc[p] = V::load_ints(layout.start + tile * kTileRows + p * V::kBytes / 4);
    partial[p] = V::zero();
  }
  const std::uint32_t* base = layout.step_base;
  const std::uint32_t* lane_base = layout.lane_base;
  std::uint32_t step = 0;
  int flush = 0;
  for (int b = 0; b < layout.blocks; ++b, block += kPlaneBytes, base += kBlockSteps, lane_base += kBlockSteps) {
    for (int line = 0; line < CodeBits + IndexBits; ++line) {
      __builtin_prefetch(block + 4 * kPlaneBytes + line * kStepBytes);
    }
    each_step([&](auto s) {
      const std::uint8_t* x = job.x + base[s];
      for (int p = 0; p < kParts; ++p) {
        const typename V::Bytes codes = unpack_codes<V, CodeBits, s>(block, p);
        if constexpr (IndexBits == 0) {
          partial[p] = V::dot(partial[p], V::broadcast4(x), codes);
        } else {
          const auto places = unpack_places<V, CodeBits, IndexBits, s>(block, p, lane_base + s);
          partial[p] = V::dot(partial[p], V::select(V::broadcast16(x), places), codes);
        }
      }
      if (++step == layout.flush_end[flush]) {
        const std::uint8_t* scale = mult + layout.flush_group[flush++] * kTileRows;
        for (int p = 0; p < kParts; ++p) {
          acc[p] = V::flush(acc[p], partial[p], V::multiplier(scale + p * V::kBytes / 4));
          partial[p] = V::zero();
        }
      }
    });
  }
  alignas(kStepBytes) std::int32_t sums[kTileRows];
  for (int p = 0; p < kParts; ++p) V::store_ints(sums + p * V::kBytes / 4, acc[p]);
  write_tile<V>(job, tile, 0, sums);
}

// ---- several tokens: unpack a tile once, then multiply blocks of tokens by it -------------------------------------

// Fills codes[steps][64] (signed) and, with indices, places[steps][64].
template <class V, int CodeBits, int IndexBits>
void unpack_tile(const Layout& layout, int tile, std::uint8_t* codes, std::uint8_t* places) {
  constexpr int kPlaneBytes = (CodeBits + IndexBits) * kStepBytes;
  const std::uint8_t* block = layout.planes + static_cast<std::size_t>(tile) * layout.blocks * kPlaneBytes;
  const std::uint32_t* lane_base = layout.lane_base;
  for (int b = 0; b < layout.blocks; ++b, block += kPlaneBytes) {
    each_step([&](auto s) {
      for (int p = 0; p < kStepBytes / V::kBytes; ++p) {
        V::store(codes + p * V::kBytes, unpack_codes<V, CodeBits, s>(block, p));
        if constexpr (IndexBits != 0) {
          V::store(places + p * V::kBytes, unpack_places<V, CodeBits, IndexBits, s>(block, p, lane_base));
        }
      }
      codes += kStepBytes, places += kStepBytes, ++lane_base;
    });
  }
}

// Tokens first .. first + Tokens - 1 by one unpacked tile; partial sums stay in registers between two flushes.
template <class V, bool kSelect, int Tokens>
void multiply_tile(const Job& job, int tile, int first, const std::uint8_t* codes, const std::uint8_t* places) {
  constexpr int kParts = kStepBytes / V::kBytes;
  const Layout& layout = *job.layout;
  const std::uint8_t* mult = layout.mult + static_cast<std::size_t>(tile) * layout.groups * kTileRows;
  const std::uint8_t* rows = job.x + first * job.stride;
  alignas(kStepBytes) std::int32_t sums[Tokens][kTileRows];
#pragma GCC unroll 8
  for (int t = 0; t < Tokens; ++t) {
    for (int r = 0; r < kTileRows; ++r) sums[t][r] = layout.start[tile * kTileRows + r];
  }
  std::uint32_t step = 0;
  for (int f = 0; f < layout.flushes; ++f) {
    typename V::Partial partial[Tokens][kParts];
#pragma GCC unroll 8
    for (int t = 0; t < Tokens; ++t) {
#pragma GCC unroll 8
      for (int p = 0; p < kParts; ++p) partial[t][p] = V::zero();
    }
    for (; step < layout.flush_end[f]; ++step) {
      const std::uint8_t* x = rows + layout.step_base[step];
      typename V::Bytes code[kParts], place[kParts];
#pragma GCC unroll 8
      for (int p = 0; p < kParts; ++p) {
        code[p] = V::load(codes + step * kStepBytes + p * V::kBytes);
        if constexpr (kSelect) place[p] = V::load(places + step * kStepBytes + p * V::kBytes);
      }
#pragma GCC unroll 8
      for (int t = 0; t < Tokens; ++t) {
        if constexpr (kSelect) {
          const typename V::Bytes table = V::broadcast16(x + t * job.stride);
#pragma GCC unroll 8
          for (int p = 0; p < kParts; ++p) partial[t][p] = V::dot(partial[t][p], V::select(table, place[p]), code[p]);
        } else {
          const typename V::Bytes four = V::broadcast4(x + t * job.stride);
#pragma GCC unroll 8
          for (int p = 0; p < kParts; ++p) partial[t][p] = V::dot(partial[t][p], four, code[p]);
        }
      }
    }
#pragma GCC unroll 8
    for (int p = 0; p < kParts; ++p) {
      const auto scale = V::multiplier(mult + layout.flush_group[f] * kTileRows + p * V::kBytes / 4);
#pragma GCC unroll 8
      for (int t = 0; t < Tokens; ++t) {
        std::int32_t* sum = sums[t] + p * V::kBytes / 4;
        V::store_ints(sum, V::flush(V::load_ints(sum), partial[t][p], scale));
      }
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < Tokens; ++t) write_tile<V>(job, tile, first + t, sums[t]);
}

template <class V, int CodeBits, int IndexBits>
void multiply_tiles(const Job& job, int begin, int end, std::uint8_t* scratch) {
  constexpr bool kSelect = IndexBits != 0;
  const Layout& layout = *job.layout;
  std::uint8_t* places = scratch + scratch_bytes(layout) / 2;
  for (int tile = begin; tile < end; ++tile) {
    if (job.m == 1) {
      multiply_packed<V, CodeBits, IndexBits>(job, tile);
      continue;
    }
    unpack_tile<V, CodeBits, IndexBits>(layout, tile, scratch, places);
    int token = 0;
    for (; token + V::kTokens <= job.m; token += V::kTokens) {
      multiply_tile<V, kSelect, V::kTokens>(job, tile, token, scratch, places);
    }
    for (; token < job.m; ++token) multiply_tile<V, kSelect, 1>(job, tile, token, scratch, places);
  }
}

// Row `CodeBits - 2`, column `IndexBits`.
template <class V>
void multiply(const Job& job, int begin, int end, std::uint8_t* scratch) {
  using Tiles = void (*)(const Job&, int, int, std::uint8_t*);
  static constexpr Tiles kTable[3][5] = {
      {multiply_tiles<V, 2, 0>, multiply_tiles<V, 2, 1>, multiply_tiles<V, 2, 2>, multiply_tiles<V, 2, 3>,
       multiply_tiles<V, 2, 4>},
      {multiply_tiles<V, 3, 0>, multiply_tiles<V, 3, 1>, multiply_tiles<V, 3, 2>, multiply_tiles<V, 3, 3>,
       multiply_tiles<V, 3, 4>},
      {multiply_tiles<V, 4, 0>, multiply_tiles<V, 4, 1>, multiply_tiles<V, 4, 2>, multiply_tiles<V, 4, 3>,
       multiply_tiles<V, 4, 4>},
  };
  kTable[job.layout->code_bits - 2][job.layout->index_bits](job, begin, end, scratch);
}

// ---- activations -----------------------------------------------------------------------------------------------

// a = max|x| / 127 and xq = round_half_even(x / a), stored as xq + 128. Adding and subtracting 1.5 * 2^23 rounds a
// float32 below 2^22 to the nearest integer, ties to even.
template <class V>
bool quantize(const float* x, int m, int k, std::uint8_t* out, std::size_t stride, float* step) {
  constexpr float kRound = 12582912.0f, kLargest = 3.40282347e38f;
  bool finite = true;
  for (int row = 0; row < m; ++row, x += k, out += stride) {
    float largest = 0.0f;
    int bad = 0;
    for (int i = 0; i < k; ++i) {
      const float magnitude = __builtin_fabsf(x[i]);
      bad |= !(magnitude <= kLargest);
      largest = magnitude > largest ? magnitude : largest;
    }
    finite = finite && bad == 0;
    const float a = largest / 127.0f;
    step[row] = a;
    for (int i = 0; i < k; ++i) {
      float quotient = a == 0.0f ? 0.0f : x[i] / a;
      quotient = quotient > 127.0f ? 127.0f : quotient;
      quotient = quotient < -127.0f ? -127.0f : quotient;
      const float rounded = (quotient + kRound) - kRound;
      out[i] = static_cast<std::uint8_t>(static_cast<int>(rounded) + kActivationBias);
    }
    for (std::size_t i = k; i < stride; ++i) out[i] = kActivationBias;
  }
  return finite;
}

}  // namespace nmforge
