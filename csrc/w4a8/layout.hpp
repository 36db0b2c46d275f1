// The re-laid weights of one linear layer, as the kernels read them, and one call on them.
//
// Sixteen rows form a tile. A step holds four kept codes of every row of a tile: 64 bytes once unpacked, row r in
// bytes 4r..4r+3. Eight steps form a block, and a block is stored as 64-byte planes, codes first, then indices:
//
//   4-bit field: plane i = step 2i in the low nibble, step 2i+1 in the high nibble         (4 planes)
//   2-bit field: plane i = steps 4i..4i+3, two bits each, first step lowest                (2 planes)
//   1-bit field: one plane, step s in bit s                                                (1 plane)
//   3-bit field: the low two bits as a 2-bit field, then the high bit as a 1-bit field     (3 planes)
//
// Codes are stored plus 2^(bits-1). An index is the place of a kept weight inside its window; adding the step's
// lane_base gives its place among the activations that start at step_base. Dense layers store no index.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nmforge {

constexpr int kTileRows = 16;
constexpr int kStepBytes = 64;
constexpr int kBlockSteps = 8;
constexpr int kTableBytes = 64;  // most activations one selection can reach
constexpr int kActivationBias = 128;
constexpr int kGemmTiles = 2;     // most tiles that several tokens meet at once
constexpr int kTokenBlock = 128;  // most tokens a chunk of steps meets: their sums stay in the cache
constexpr int kChunkSteps = 64;   // most steps that are unpacked at once, and most of a partial sum
constexpr int kAhead = 8192;      // bytes a prefetch runs ahead of a product of one token

struct Layout {
  int n = 0, k = 0, groups = 0;
  int tiles = 0, blocks = 0, flushes = 0;
  int code_bits = 0, index_bits = 0;
  int group_steps = 0;                         // steps of a group in a regular layout (`walk_regular`), else 0
  const std::uint8_t* planes = nullptr;        // [tiles][blocks][code_bits + index_bits][64]
  const std::uint8_t* mult = nullptr;          // [tiles][groups][16]
  const std::int32_t* start = nullptr;         // [tiles * 16], -128 * sum_g mult_g * sum of the group's codes
  const float* row_scale = nullptr;            // [tiles * 16]
  const std::uint32_t* step_base = nullptr;    // [blocks * 8], first activation a step can reach
  const std::uint32_t* lane_base = nullptr;    // [blocks * 8], four bytes added to the four indices of a row
  const std::uint32_t* flush_end = nullptr;    // [flushes], step at which a partial sum ends, exclusive
  const std::uint32_t* flush_group = nullptr;  // [flushes], group whose multiplier it takes
};

// One product: activations as bytes xq + 128, at least kTableBytes readable bytes behind every row.
struct Job {
  const Layout* layout = nullptr;
  int m = 0;
  const std::uint8_t* x = nullptr;  // [m][stride]
  std::size_t stride = 0;
  const float* step = nullptr;      // [m] activation step a, read for float output only
  std::int32_t* out_int = nullptr;  // [m][n], or null
  float* out_float = nullptr;       // [m][n], or null
};

// What a decoder computes between its linear layers (floats.hpp).
struct FloatOps {
  void (*rms_norm)(const float* x, const float* weight, int n, float eps, float* out);
  void (*add)(float* x, const float* y, int n);
  void (*silu_times)(float* gate, const float* up, int n);
  void (*round_to_bf16)(float* x, int n);
  void (*rotate)(float* head, const float* cosines, const float* sines, int size);
  void (*to_bf16)(const float* x, int n, std::uint16_t* out);
  void (*from_bf16)(const std::uint16_t* x, int n, float* out);
  void (*put_key)(const float* key, int size, std::uint16_t* keys, int position);
  void (*attend)(const float* query, const std::uint16_t* keys, const std::uint16_t* values, int count, int size,
                 float scale, float* scores, float* out);
  void (*rows_bf16)(const std::uint16_t* w, int n, int k, const float* x, int m, int begin, int end, float* out);
};

// What one instruction set offers; `quantize` returns false where a row holds NaN or infinity.
struct Isa {
  const char* name;
  int flush_steps;  // most steps of one partial sum
  int table;        // activations one selection reaches
  bool (*available)();
  void (*tiles)(const Job& job, int begin, int end);
  bool (*quantize)(const float* x, int m, int k, std::uint8_t* out, std::size_t stride, float* step);
  const FloatOps* floats;
  std::uint32_t (*read_bytes)(const std::uint8_t* p, std::size_t bytes);
  std::uint64_t (*multiply_bytes)(int rounds);
  bool signed_activations;  // its products take xq itself, so `start` is zero
};

const Isa& isa_portable();
const Isa& isa_avx2();
const Isa& isa_avxvnni();
const Isa& isa_avx512vnni();
const Isa& isa_avx512vbmi();
const Isa& isa_neon_dotprod();
const Isa& isa_neon_i8mm();

}  // namespace nmforge
