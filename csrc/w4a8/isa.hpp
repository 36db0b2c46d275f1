// What one instruction set offers: one table of functions for each, filled by its `isa_*.cpp` at compile time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "w4a8/layout.hpp"

namespace nmforge {

// Scaled dot-product attention of one query over the cache of one head (float_ops.hpp has the layout of keys).
struct AttentionArgs {
  const float* query = nullptr;           // float32[size]
  const std::uint16_t* keys = nullptr;    // bf16[ceil(count / 16)][size][16]
  const std::uint16_t* values = nullptr;  // bf16[count][size]
  int count = 0;                          // positions
  int size = 0;                           // of a head, a multiple of 16
  float scale = 0.0f;                     // 1 / sqrt(size)
};

// out[M, N] = x[M, K] w[N, K]^T with bf16 weights.
struct Bf16Args {
  const std::uint16_t* w = nullptr;  // bf16[n][k]
  int n = 0, k = 0;                  // k is a multiple of 16
  const float* x = nullptr;          // float32[m][k]
  int m = 0;
  float* out = nullptr;  // float32[m][n]
};

// What a decoder computes between its linear layers (float_ops.hpp).
struct FloatOps {
  void (*rms_norm)(const float* x, const float* weight, int n, float eps, float* out);
  void (*add)(float* x, const float* y, int n);
  void (*silu_times)(float* gate, const float* up, int n);
  void (*round_to_bf16)(float* x, int n);
  void (*rotate)(float* head, const float* cosines, const float* sines, int size);
  void (*to_bf16)(const float* x, int n, std::uint16_t* out);
  void (*from_bf16)(const std::uint16_t* x, int n, float* out);
  void (*put_key)(const float* key, int size, std::uint16_t* keys, int position);
  void (*attend)(const AttentionArgs& args, float* scores, float* out);
  void (*rows_bf16)(const Bf16Args& args, int first_row, int last_row);
};

struct Isa {
  const char* name;
  int segment_steps;  // most steps of one segment
  int gather_width;   // activations that one selection chooses from
  // Tiles first .. last - 1 of a product.
  void (*multiply)(const GemmArgs& args, int first, int last);
  // x float32[m][k] -> out uint8[m][stride] (xq + 128), step float32[m]; false where a row holds NaN or infinity.
  bool (*quantize)(const float* x, int m, int k, std::uint8_t* out, std::size_t stride, float* step);
  const FloatOps* floats;
  std::uint32_t (*read_bytes)(const std::uint8_t* p, std::size_t bytes);
  std::uint64_t (*multiply_bytes)(int rounds);
  bool signed_activations;  // its products use xq itself, so they need no bias correction
};

extern const Isa isa_portable;
extern const Isa isa_avx2, isa_avxvnni, isa_avx512vnni, isa_avx512vbmi;
extern const Isa isa_neon_dotprod, isa_neon_i8mm;

}  // namespace nmforge
