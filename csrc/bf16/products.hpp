// Products of bf16 numbers summed in float32, with the instruction that AVX-512 has for pairs of them.
#pragma once

#include <cstddef>

namespace nmforge {

// Whether this machine has the instruction; without it nothing below may be called.
bool has_bf16_products();

// float32[rows][columns], row-major.
struct FloatMatrix {
  const float* at;
  std::size_t rows, columns;
};

// out[M, N] = x[M, K] w[N, K]^T; factors are rounded to bf16, to nearest even. Denormal numbers count as zero.
void multiply_rows(FloatMatrix x, FloatMatrix w, float* out, int threads);

// total[N, K] += y[T, N]^T x[T, K], the same. With `upper`, N = K and only the tiles on or above the diagonal are
// added.
void add_outer_products(FloatMatrix y, FloatMatrix x, bool upper, float* total, int threads);

}  // namespace nmforge
