// The repacked weights of one linear layer, as the kernels read them, and the arguments of one product.
//
// Sixteen rows form a tile. A step holds four kept codes of every row of a tile: 64 bytes once unpacked, row r in
// bytes 4r..4r+3. Eight steps form a block, and a block is stored as 64-byte planes, codes first, then indices:
//
//   4-bit field: plane i = step 2i in the low nibble, step 2i+1 in the high nibble         (4 planes)
//   2-bit field: plane i = steps 4i..4i+3, two bits each, first step lowest                (2 planes)
//   1-bit field: one plane, step s in bit s                                                (1 plane)
//   3-bit field: the low two bits as a 2-bit field, then the high bit as a 1-bit field     (3 planes)
//
// Codes are stored plus 2^(bits-1). An index is the position of a kept weight inside its window; index + lane_base is
// its lane index, its position among the activations that start at gather_base. Dense layers store no index.
// A segment is a run of steps of one group whose products add up in one partial sum.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nmforge {

constexpr int kTileRows = 16;
constexpr int kStepBytes = 64;
constexpr int kBlockSteps = 8;
constexpr int kMaxGatherWidth = 64;           // most activations that one selection chooses from
constexpr std::uint32_t kLaneIndexEnd = 128;  // a shuffle takes the eighth bit of a lane index for "write zero"
constexpr int kActivationBias = 128;
constexpr int kGemmTiles = 2;         // most tiles that several tokens are multiplied by at once
constexpr int kTokenBlock = 128;      // most tokens multiplied by one chunk: their sums stay in the cache
constexpr int kChunkSteps = 64;       // most steps that are unpacked at once, and most steps of a segment
constexpr int kPrefetchBytes = 8192;  // distance of the prefetch from the weights being multiplied
constexpr int kMinCodeBits = 2, kMaxCodeBits = 4, kMaxIndexBits = 4;

static_assert(kStepBytes == 4 * kTileRows, "a step is four codes of each row");
static_assert(kMaxGatherWidth <= static_cast<int>(kLaneIndexEnd), "every gathered byte has a lane index");

// Bytes of a row of K quantized activations: a selection may read kMaxGatherWidth bytes after the last one.
constexpr std::size_t activation_stride(int k) {
  return (static_cast<std::size_t>(k) + kMaxGatherWidth + kStepBytes - 1) / kStepBytes * kStepBytes;
}

struct Layout {
  int n = 0, k = 0, groups = 0;
  int tiles = 0, blocks = 0, segments = 0;
  int code_bits = 0, index_bits = 0;
  int group_steps = 0;                            // steps of a group in a uniform layout (gemv.hpp), else 0
  const std::uint8_t* planes = nullptr;           // [tiles][blocks][code_bits + index_bits][64]
  const std::uint8_t* mult = nullptr;             // [tiles][groups][16], group multipliers
  const std::int32_t* bias_correction = nullptr;  // [tiles * 16], -128 * sum_g mult_g * sum of the group's codes
  const float* row_scale = nullptr;               // [tiles * 16]
  const std::uint32_t* gather_base = nullptr;     // [blocks * 8], first activation that a step selects from
  const std::uint32_t* lane_base = nullptr;       // [blocks * 8], four bytes added to the four indices of a row
  const std::uint32_t* segment_end = nullptr;     // [segments], step after the last of a segment
  const std::uint32_t* segment_group = nullptr;   // [segments], group of a segment
};

// The arguments of one product y[M, N] = x[M, K] W[N, K]^T. Exactly one of the two outputs is set.
struct GemmArgs {
  const Layout* layout = nullptr;   // the weights
  int m = 0;                        // tokens
  const std::uint8_t* x = nullptr;  // uint8[m][stride], activations xq + 128; bytes from K on are never used
  std::size_t stride = 0;           // bytes from a row of x to the next: activation_stride(k)
  const float* step = nullptr;      // float32[m], activation scale of each token; read for out_float only
  std::int32_t* out_int = nullptr;  // int32[m][n] sums, or null
  float* out_float = nullptr;       // float32[m][n] = float32(sum) * (step * row_scale), or null
};

}  // namespace nmforge
