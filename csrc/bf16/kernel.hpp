// The arithmetic of products.cpp for one instruction set, and the tiles it works on.
//
// Both products are one: sums over pairs p of a(i, p) b(p, j), where a pair is two neighbouring bf16 numbers of a
// factor in 32 bits, and vdpbf16ps multiplies 16 pairs and adds both products to 16 float32 sums.
//
//              j ->  tile of 48 columns, a register for each 16
//        p  [ b b b b b b b b b b b b ... ]   tiles of b, packed: [tile][p][48]
//   i    a    + + + + + + + + + + + + ...     8 rows of sums stay in registers over all p
//   8    a    + + + + + + + + + + + + ...     a(i, p) lies at a[i * row + p * step] and is broadcast
//
// Rows of x are such an `a` as they lie in memory; columns of y are too, in tiles of their own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nmforge {

using Pair = std::uint32_t;

constexpr std::size_t kPairLanes = 16, kTileColumns = 3 * kPairLanes, kRowsAtOnce = 8;

// Where a(i, p) lies: at[i * row + p * step].
struct Factor {
  const Pair* at;
  std::size_t row, step;
};

// float32[rows][columns] inside a matrix of `stride` columns.
struct Output {
  float* at;
  std::size_t stride, columns;
  bool add;  // to what is there
};

// What bf16/avx512bf16.cpp supplies. Nothing of it may run where has_bf16_products() is false.
namespace avx512bf16 {

// float32[k] -> pairs of neighbours, zeros up to a multiple of 16 pairs.
void round_row(const float* x, std::size_t k, Pair* out);

// Rows first .. first + 47 of w[N, K] -> [p][48]; rows from N on are zero. row: room for one row of pairs.
void pack_rows(const float* w, std::size_t first, std::size_t n, std::size_t k, Pair* row, Pair* tile);

// Columns first .. first + 47 of x[T, K] -> [p][48], a pair being rows 2p and 2p + 1; zero from T or K on.
void pack_columns(const float* x, std::size_t first, std::size_t t, std::size_t k, Pair* tile);

// out = (out +) a tile, over rows 0 .. rows - 1 of a and of out. tile: [pairs][48].
void multiply_tile(Factor a, const Pair* tile, std::size_t pairs, std::size_t rows, Output out);

}  // namespace avx512bf16

// Pairs of a row of k numbers, up to a multiple of 16.
constexpr std::size_t padded_pairs(std::size_t k) { return (k + 2 * kPairLanes - 1) / (2 * kPairLanes) * kPairLanes; }

}  // namespace nmforge
