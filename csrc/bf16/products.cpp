// Both products are one: sums over pairs p of a(i, p) b(p, j), where a pair is two neighbouring bf16 numbers of a
// factor in 32 bits, and vdpbf16ps multiplies 16 pairs and adds both products to 16 float32 sums.
//
//              j ->  tile of 48 columns, a register for each 16
//        p  [ b b b b b b b b b b b b ... ]   tiles of b, packed: [tile][p][48]
//   i    a    + + + + + + + + + + + + ...     8 rows of sums stay in registers over all p
//   8    a    + + + + + + + + + + + + ...     a(i, p) lies at a[i * row + p * step] and is broadcast
//
// Rows of x are such an `a` as they lie; columns of y are, in tiles of their own. Sums do not depend on the number of
// threads.
#include "bf16/products.hpp"

#include <cstdint>
#include <cstring>

#include "common/aligned.hpp"
#include "common/pool.hpp"

#ifdef NMFORGE_X86
#include <immintrin.h>

namespace nmforge {
namespace {

constexpr std::size_t kLanes = 16, kTile = 3 * kLanes, kRows = 8, kBlock = 128;

using Pair = std::uint32_t;

struct Factor {
  const Pair* at;
  std::size_t row, step;  // pairs from a row to the next, and from a pair of a row to the next
};

std::size_t tiles_of(std::size_t columns) { return (columns + kTile - 1) / kTile; }

__m512i two_rounded(__m512 low, __m512 high) { return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)); }

// 32 floats from p on, zeros behind the first `count`.
__m512i rounded(const float* p, std::size_t count) {
  const auto mask = [](std::size_t n) { return static_cast<__mmask16>(n >= kLanes ? 0xffff : (1u << n) - 1); };
  return two_rounded(_mm512_maskz_loadu_ps(mask(count), p),
                     _mm512_maskz_loadu_ps(mask(count > kLanes ? count - kLanes : 0), p + kLanes));
}

// float32[k] -> pairs of neighbours, zeros up to a multiple of 16 pairs.
void round_row(const float* x, std::size_t k, Pair* out) {
  for (std::size_t i = 0; i < k; i += 2 * kLanes) _mm512_storeu_si512(out + i / 2, rounded(x + i, k - i));
}

std::size_t padded_pairs(std::size_t k) { return (k + 2 * kLanes - 1) / (2 * kLanes) * kLanes; }

// Rows w[first ..] of a tile -> [p][48]; rows past n are zero. row: room for one row of pairs.
void pack_rows(const float* w, std::size_t first, std::size_t n, std::size_t k, Pair* row, Pair* tile) {
  const std::size_t pairs = padded_pairs(k);
  for (std::size_t j = 0; j < kTile; ++j) {
    const bool real = first + j < n;
    if (real) round_row(w + (first + j) * k, k, row);
    for (std::size_t p = 0; p < pairs; ++p) tile[p * kTile + j] = real ? row[p] : 0;
  }
}

// Columns first .. of x[T, K] -> [p][48], a pair being rows 2p and 2p + 1; what is past T or K is zero.
void pack_columns(const float* x, std::size_t first, std::size_t t, std::size_t k, Pair* tile) {
  std::uint16_t order[2 * kLanes];  // low 0, high 0, low 1, ...
  for (std::size_t i = 0; i < 2 * kLanes; ++i) order[i] = static_cast<std::uint16_t>(i / 2 + i % 2 * kLanes);
  const __m512i interleaved = _mm512_loadu_si512(order);
  for (std::size_t p = 0; 2 * p < t; ++p) {
    for (std::size_t j = 0; j < kTile; j += kLanes) {
      const std::size_t column = first + j, left = column < k ? k - column : 0;
      const __mmask16 mask = static_cast<__mmask16>(left >= kLanes ? 0xffff : (1u << left) - 1);
      const float* above = x + 2 * p * k + column;
      const __m512 low = _mm512_maskz_loadu_ps(mask, above);
      const __m512 high = 2 * p + 1 < t ? _mm512_maskz_loadu_ps(mask, above + k) : _mm512_setzero_ps();
      _mm512_storeu_si512(tile + p * kTile + j, _mm512_permutexvar_epi16(interleaved, two_rounded(low, high)));
    }
  }
}

template <std::size_t Rows>
void multiply_block(Factor a, const Pair* tile, std::size_t pairs, float* out, std::size_t stride, std::size_t columns,
                    bool add) {
  __m512 sums[Rows][3];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Rows; ++i) sums[i][0] = sums[i][1] = sums[i][2] = _mm512_setzero_ps();
  for (std::size_t p = 0; p < pairs; ++p, tile += kTile) {
    __m512bh b[3];
#pragma GCC unroll 3
    for (std::size_t j = 0; j < 3; ++j) b[j] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(tile + j * kLanes));
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
      const std::size_t left = columns > j * kLanes ? columns - j * kLanes : 0;
      const __mmask16 mask = static_cast<__mmask16>(left >= kLanes ? 0xffff : (1u << left) - 1);
      float* to = out + i * stride + j * kLanes;
      if (add) sums[i][j] = _mm512_add_ps(sums[i][j], _mm512_maskz_loadu_ps(mask, to));
      _mm512_mask_storeu_ps(to, mask, sums[i][j]);
    }
  }
}

using Block = void (*)(Factor, const Pair*, std::size_t, float*, std::size_t, std::size_t, bool);
constexpr Block kBlocks[kRows + 1] = {nullptr,           multiply_block<1>, multiply_block<2>,
                                      multiply_block<3>, multiply_block<4>, multiply_block<5>,
                                      multiply_block<6>, multiply_block<7>, multiply_block<8>};

// Rows [begin, end) of one tile's columns.
void multiply_tile(Factor a, const Pair* tile, std::size_t pairs, std::size_t begin, std::size_t end, float* out,
                   std::size_t stride, std::size_t columns, bool add) {
  for (std::size_t i = begin; i < end; i += kRows) {
    const std::size_t rows = end - i < kRows ? end - i : kRows;
    kBlocks[rows]({a.at + i * a.row, a.row, a.step}, tile, pairs, out + i * stride, stride, columns, add);
  }
}

Pair* pairs_in(AlignedBytes& room, std::size_t count) {
  room.reserve(count * sizeof(Pair));
  return reinterpret_cast<Pair*>(room.data());
}

}  // namespace

bool has_bf16_products() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16");
}

void multiply_rows(const float* x, const float* w, std::size_t m, std::size_t n, std::size_t k, float* out,
                   int threads) {
  const std::size_t pairs = padded_pairs(k), tiles = tiles_of(n), blocks = (m + kBlock - 1) / kBlock;
  static thread_local AlignedBytes a_room, b_room, row_room;
  Pair* const a = pairs_in(a_room, m * pairs);
  Pair* const b = pairs_in(b_room, tiles * pairs * kTile);
  Pair* const row = pairs_in(row_room, threads * pairs);
  parallel_for(threads, static_cast<int>(tiles + blocks), 1, [&](int begin, int end, int worker) {
    for (std::size_t task = begin; task < static_cast<std::size_t>(end); ++task) {
      if (task < tiles) {
        pack_rows(w, task * kTile, n, k, row + worker * pairs, b + task * pairs * kTile);
      } else {
        const std::size_t first = (task - tiles) * kBlock;
        for (std::size_t i = first; i < m && i < first + kBlock; ++i) round_row(x + i * k, k, a + i * pairs);
      }
    }
  });
  parallel_for(threads, static_cast<int>(tiles * blocks), 1, [&](int begin, int end, int) {
    for (std::size_t task = begin; task < static_cast<std::size_t>(end); ++task) {
      const std::size_t tile = task / blocks, first = task % blocks * kBlock;
      const std::size_t last = first + kBlock < m ? first + kBlock : m;
      multiply_tile({a, pairs, 1}, b + tile * pairs * kTile, pairs, first, last, out + tile * kTile, n,
                    n - tile * kTile, false);
    }
  });
}

void add_outer_products(const float* y, const float* x, std::size_t t, std::size_t n, std::size_t k, bool upper,
                        float* total, int threads) {
  const std::size_t pairs = (t + 1) / 2, tiles = tiles_of(k), y_tiles = tiles_of(n), size = pairs * kTile;
  const bool same = y == x && n == k;
  static thread_local AlignedBytes x_room, y_room;
  Pair* const b = pairs_in(x_room, tiles * size);
  Pair* const a = same ? b : pairs_in(y_room, y_tiles * size);
  parallel_for(threads, static_cast<int>(tiles + (same ? 0 : y_tiles)), 1, [&](int begin, int end, int) {
    for (std::size_t task = begin; task < static_cast<std::size_t>(end); ++task) {
      if (task < tiles) {
        pack_columns(x, task * kTile, t, k, b + task * size);
      } else {
        pack_columns(y, (task - tiles) * kTile, t, n, a + (task - tiles) * size);
      }
    }
  });
  parallel_for(threads, static_cast<int>(tiles * y_tiles), 1, [&](int begin, int end, int) {
    for (std::size_t task = begin; task < static_cast<std::size_t>(end); ++task) {
      const std::size_t tile = task / y_tiles, rows = task % y_tiles;
      if (upper && rows > tile) continue;
      const std::size_t first = rows * kTile, count = n - first < kTile ? n - first : kTile;
      multiply_tile({a + rows * size, 1, kTile}, b + tile * size, pairs, 0, count, total + first * k + tile * kTile, k,
                    k - tile * kTile, true);
    }
  });
}

}  // namespace nmforge
#else
#include <stdexcept>

namespace nmforge {

bool has_bf16_products() { return false; }

void multiply_rows(const float*, const float*, std::size_t, std::size_t, std::size_t, float*, int) {
  throw std::logic_error("no bf16 products on this machine");
}

void add_outer_products(const float*, const float*, std::size_t, std::size_t, std::size_t, bool, float*, int) {
  throw std::logic_error("no bf16 products on this machine");
}

}  // namespace nmforge
#endif
