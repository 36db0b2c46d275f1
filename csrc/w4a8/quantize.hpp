// float32 activations to INT8, once for every instruction set; `Simd` keeps the copies apart.
#pragma once

#include "w4a8/layout.hpp"

namespace nmforge {

// a = max|x| / 127 and xq = round_half_even(x / a), stored as xq + 128. Adding and subtracting 1.5 * 2^23 rounds a
// float32 below 2^22 to the nearest integer, ties to even. Magnitudes are compared as integers, whose order is that
// of the floats they are the bits of, so that compilers may vectorize the maximum; NaN and infinity are the largest.
//
// x: float32[m][k]. out: uint8[m][stride], 128 from k on. step: float32[m], the a of every row.
template <class Simd>
bool quantize(const float* x, int m, int k, std::uint8_t* out, std::size_t stride, float* step) {
  constexpr float kRound = 12582912.0f;
  constexpr std::int32_t kMagnitude = 0x7fffffff, kInfinity = 0x7f800000;
  for (int row = 0; row < m; ++row, x += k, out += stride) {
    std::int32_t largest = 0;
    for (int i = 0; i < k; ++i) {
      std::int32_t bits;
      __builtin_memcpy(&bits, x + i, sizeof bits);
      bits &= kMagnitude;
      largest = bits > largest ? bits : largest;
    }
    if (largest >= kInfinity) return false;
    float a;
    __builtin_memcpy(&a, &largest, sizeof a);
    a /= 127.0f;
    step[row] = a;
    if (a == 0.0f) {
      __builtin_memset(out, kActivationBias, stride);
      continue;
    }
    for (int i = 0; i < k; ++i) {
      float quotient = x[i] / a;
      quotient = quotient > 127.0f ? 127.0f : quotient;
      quotient = quotient < -127.0f ? -127.0f : quotient;
      const float rounded = (quotient + kRound) - kRound;
      out[i] = static_cast<std::uint8_t>(static_cast<int>(rounded) + kActivationBias);
    }
    __builtin_memset(out + k, kActivationBias, stride - k);
  }
  return true;
}

}  // namespace nmforge
