// The kernel of bf16 products with AVX-512's vdpbf16ps. Compiled for that instruction set, so it holds the kernel and
// nothing else: products.cpp asks the processor first and shares the work out.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "bf16/kernel.hpp"

namespace nmforge::avx512bf16 {
namespace {

__m512i two_rounded(__m512 low, __m512 high) { return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)); }

// The first `count` of 16 lanes.
__mmask16 first_lanes(std::size_t count) {
  return static_cast<__mmask16>(count >= kPairLanes ? 0xffff : (1u << count) - 1);
}

// 32 floats from p on, zeros after the first `count`.
__m512i rounded(const float* p, std::size_t count) {
  const std::size_t second = count > kPairLanes ? count - kPairLanes : 0;
  return two_rounded(_mm512_maskz_loadu_ps(first_lanes(count), p),
                     _mm512_maskz_loadu_ps(first_lanes(second), p + kPairLanes));
}

template <std::size_t Rows>
void multiply_block(Factor a, const Pair* tile, std::size_t pairs, Output out) {
  __m512 sums[Rows][3];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Rows; ++i) sums[i][0] = sums[i][1] = sums[i][2] = _mm512_setzero_ps();
  for (std::size_t p = 0; p < pairs; ++p, tile += kTileColumns) {
    __m512bh b[3];
#pragma GCC unroll 3
    for (std::size_t j = 0; j < 3; ++j) b[j] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(tile + j * kPairLanes));
#pragma GCC unroll 8
    for (std::size_t i = 0; i < Rows; ++i) {
      const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a.at[i * a.row + p * a.step])));
#pragma GCC unroll 3
      for (std::size_t j = 0; j < 3; ++j) sums[i][j] = _mm512_dpbf16_ps(sums[i][j], x, b[j]);
    }
  }
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Rows; ++i) {
#pragma GCC unroll 3
    for (std::size_t j = 0; j < 3; ++j) {
      const __mmask16 mask = first_lanes(out.columns > j * kPairLanes ? out.columns - j * kPairLanes : 0);
      float* to = out.at + i * out.stride + j * kPairLanes;
      if (out.add) sums[i][j] = _mm512_add_ps(sums[i][j], _mm512_maskz_loadu_ps(mask, to));
      _mm512_mask_storeu_ps(to, mask, sums[i][j]);
    }
  }
}

using Block = void (*)(Factor, const Pair*, std::size_t, Output);
constexpr Block kBlocks[kRowsAtOnce + 1] = {nullptr,           multiply_block<1>, multiply_block<2>,
                                            multiply_block<3>, multiply_block<4>, multiply_block<5>,
                                            multiply_block<6>, multiply_block<7>, multiply_block<8>};

}  // namespace

void round_row(const float* x, std::size_t k, Pair* out) {
  for (std::size_t i = 0; i < k; i += 2 * kPairLanes) _mm512_storeu_si512(out + i / 2, rounded(x + i, k - i));
}

void pack_rows(const float* w, std::size_t first, std::size_t n, std::size_t k, Pair* row, Pair* tile) {
  const std::size_t pairs = padded_pairs(k);
  for (std::size_t j = 0; j < kTileColumns; ++j) {
    const bool real = first + j < n;
    if (real) round_row(w + (first + j) * k, k, row);
    for (std::size_t p = 0; p < pairs; ++p) tile[p * kTileColumns + j] = real ? row[p] : 0;
  }
}

void pack_columns(const float* x, std::size_t first, std::size_t t, std::size_t k, Pair* tile) {
  std::uint16_t order[2 * kPairLanes];  // low 0, high 0, low 1, ...
  for (std::size_t i = 0; i < 2 * kPairLanes; ++i) order[i] = static_cast<std::uint16_t>(i / 2 + i % 2 * kPairLanes);
  const __m512i interleaved = _mm512_loadu_si512(order);
  for (std::size_t p = 0; 2 * p < t; ++p) {
    for (std::size_t j = 0; j < kTileColumns; j += kPairLanes) {
      const std::size_t column = first + j;
      const __mmask16 mask = first_lanes(column < k ? k - column : 0);
      const float* above = x + 2 * p * k + column;
      const __m512 low = _mm512_maskz_loadu_ps(mask, above);
      const __m512 high = 2 * p + 1 < t ? _mm512_maskz_loadu_ps(mask, above + k) : _mm512_setzero_ps();
      _mm512_storeu_si512(tile + p * kTileColumns + j, _mm512_permutexvar_epi16(interleaved, two_rounded(low, high)));
    }
  }
}

void multiply_tile(Factor a, const Pair* tile, std::size_t pairs, std::size_t rows, Output out) {
  for (std::size_t i = 0; i < rows; i += kRowsAtOnce) {
    const std::size_t count = rows - i < kRowsAtOnce ? rows - i : kRowsAtOnce;
    const Output part = {out.at + i * out.stride, out.stride, out.columns, out.add};
    kBlocks[count]({a.at + i * a.row, a.row, a.step}, tile, pairs, part);
  }
}

}  // namespace nmforge::avx512bf16
