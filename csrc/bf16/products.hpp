// Products of bf16 numbers summed in float32, with the instruction AVX-512 has for pairs of them.
#pragma once

#include <cstddef>

namespace nmforge {

// Whether this machine has the instruction; without it nothing below may be called.
bool has_bf16_products();

// out[M, N] = x[M, K] w[N, K]^T, float32 row-major; factors are rounded to bf16, to nearest even. Denormal numbers
// count as zero.
void multiply_rows(const float* x, const float* w, std::size_t m, std::size_t n, std::size_t k, float* out,
                   int threads);

// total[N, K] += y[T, N]^T x[T, K], the same; with `upper`, N = K and only the tiles that reach the diagonal or lie
// above it.
void add_outer_products(const float* y, const float* x, std::size_t t, std::size_t n, std::size_t k, bool upper,
                        float* total, int threads);

}  // namespace nmforge
