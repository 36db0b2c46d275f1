// What bounds a kernel: how fast a thread reads bytes, and how fast it multiplies bytes that are in registers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "w4a8/layout.hpp"

namespace nmforge {

// Every byte of p[0 .. bytes) read once, in lines of 64, the rest left out; the sum makes the compiler keep the loads.
// Every line is prefetched, as the kernels do: with every second line left to the processor a read was a quarter slower
// than memory allows, and a kernel seemed to outrun it.
template <class Simd>
std::uint32_t read_bytes(const std::uint8_t* p, std::size_t bytes) {
  using Words __attribute__((vector_size(kStepBytes))) = std::uint32_t;
  Words sum[4] = {};
  for (std::size_t i = 0; i + 4 * kStepBytes <= bytes; i += 4 * kStepBytes) {
    for (int j = 0; j < 4; ++j) {
      __builtin_prefetch(p + i + kPrefetchBytes + j * kStepBytes);
      Words v;
      __builtin_memcpy(&v, p + i + j * kStepBytes, sizeof v);
      sum[j] ^= v;
    }
  }
  const Words all = sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
  std::uint32_t total = 0;
  for (int i = 0; i < kStepBytes / 4; ++i) total ^= all[i];
  return total;
}

// `rounds` times four inputs by three codes, sums that do not wait for each other; the number of multiply-adds made.
template <class Simd>
std::uint64_t multiply_bytes(int rounds) {
  constexpr int kInputs = 4, kCodes = Simd::kBytes == kStepBytes ? 3 : 2;
  alignas(kStepBytes) std::uint8_t bytes[(kInputs + kCodes) * kStepBytes];
  for (unsigned i = 0; i < sizeof bytes; ++i) bytes[i] = static_cast<std::uint8_t>(i % 7);
  typename Simd::Partial sums[kInputs][kCodes];
  for (auto& row : sums) {
    for (auto& sum : row) sum = Simd::zero();
  }
  for (int round = 0; round < rounds; ++round) {
    const std::uint8_t* from = bytes;
    asm volatile("" : "+r"(from));  // so that no product moves out of the loop
#pragma GCC unroll 4
    for (int i = 0; i < kInputs; ++i) {
      const typename Simd::Bytes x = Simd::load(from + i * kStepBytes);
#pragma GCC unroll 3
      for (int j = 0; j < kCodes; ++j) {
        sums[i][j] = Simd::dot(sums[i][j], x, Simd::load(from + (kInputs + j) * kStepBytes));
      }
    }
  }
  typename Simd::Partial total = Simd::zero();
  for (auto& row : sums) {
    for (auto& sum : row) total = Simd::sum(total, sum);
  }
  asm volatile("" : : "m"(total));
  return static_cast<std::uint64_t>(rounds) * kInputs * kCodes * Simd::kBytes;
}

}  // namespace nmforge
