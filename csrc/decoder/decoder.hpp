// A LLaMA-shaped language model on the kernels: embedding, blocks, key-value cache, logits.
//
// One call is one parallel region: the threads of the pool enter once and meet at a barrier after every phase. Each
// output is computed by one thread in a fixed order, so neither threads nor instruction set change a bit.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/pool.hpp"
#include "w4a8/isa.hpp"

namespace nmforge {

// Weights of a linear layer: compressed (W4A8), or bf16 [n][k] (activations rounded to bf16, sums in float32).
struct Weight {
  const Layout* layout = nullptr;
  const std::uint16_t* bf16 = nullptr;
  int n = 0, k = 0;
};

struct Block {
  Weight q, k, v, o, gate, up, down;
  const float* attention_norm = nullptr;  // [hidden]
  const float* mlp_norm = nullptr;        // [hidden]
};

constexpr int kBlockPositions = 16;  // the cache grows by these

struct ModelShape {
  int hidden = 0, heads = 0, kv_heads = 0, head_size = 0, intermediate = 0, vocabulary = 0, context = 0;
  int room = 0;  // context in whole blocks of the cache
  float eps = 0.0f;
};

// What is outside the blocks. The decoder keeps the addresses.
struct ModelTensors {
  const float* final_norm = nullptr;         // float32[hidden]
  const std::uint16_t* embedding = nullptr;  // bf16[vocabulary][hidden]
  const std::uint16_t* head = nullptr;       // bf16[vocabulary][hidden]
  const float* cosines = nullptr;            // float32[context][head_size / 2], of the rotary positions
  const float* sines = nullptr;              // the same
};

class Decoder {
 public:
  Decoder(const Isa& isa, const ModelShape& shape, std::vector<Block> blocks, const ModelTensors& tensors);

  // Appends `count` tokens to the cache and writes the logits of the last one: float32[vocabulary].
  // Returns false where activations hold NaN or infinity.
  bool forward(const std::int32_t* tokens, int count, int threads, float* logits);

  int length() const { return length_; }
  void truncate(int length) { length_ = length; }
  // Keys and values of `count` positions drawn from a seed: a context of that length for timing.
  void fill(int count, std::uint32_t seed);
  const ModelShape& shape() const { return shape_; }

 private:
  struct Buffers;
  void run(ParallelRegion& region, Buffers& buffers, const std::int32_t* tokens, int count, float* logits);
  void attention(ParallelRegion& region, Buffers& buffers, int block, int count);
  void mlp(ParallelRegion& region, Buffers& buffers, const Block& block, int count);
  std::uint16_t* keys(int block, int kv_head);
  std::uint16_t* values(int block, int kv_head);

  const Isa& isa_;
  ModelShape shape_;
  std::vector<Block> blocks_;
  ModelTensors tensors_;
  std::unique_ptr<std::uint16_t[]> cache_;  // [blocks][keys, values][kv_heads][room][head_size]
  int length_ = 0;
};

}  // namespace nmforge
