#include "decoder/decoder.hpp"

#include <algorithm>
#include <atomic>
#include <initializer_list>

#include "common/aligned.hpp"

namespace nmforge {
namespace {

// Activations of `count` tokens on their way into a linear layer: bytes with steps, or floats rounded to bf16.
struct Input {
  AlignedBytes bytes;
  std::vector<float> step, floats;
};

struct Product {
  const Weight* weight;
  float* out;  // [count][n]
};

// Units of work of one product: tiles, or rows of bf16 by sixteen.
int units(const Weight& weight) { return (weight.n + kTileRows - 1) / kTileRows; }

void multiply_units(const Isa& isa, const Product& product, const Input& input, int count, int begin, int end) {
  const Weight& w = *product.weight;
  if (w.layout == nullptr) {
    const Bf16Args args = {w.bf16, w.n, w.k, input.floats.data(), count, product.out};
    isa.floats->rows_bf16(args, begin * kTileRows, std::min(w.n, end * kTileRows));
    return;
  }
  GemmArgs args;
  args.layout = w.layout, args.m = count;
  args.x = input.bytes.data(), args.stride = activation_stride(w.k);
  args.step = input.step.data(), args.out_float = product.out;
  isa.multiply(args, begin, end);
}

// Several products of one input in one phase.
void multiply(ParallelRegion& region, const Isa& isa, std::initializer_list<Product> products, const Input& input,
              int count) {
  int total = 0;
  for (const Product& p : products) total += units(*p.weight);
  const int chunk = std::max(kGemmTiles, total / (4 * region.threads()) / kGemmTiles * kGemmTiles);
  region.share(total, chunk, [&](int begin, int end) {
    int first = 0;
    for (const Product& p : products) {
      const int from = std::max(begin - first, 0), to = std::min(end - first, units(*p.weight));
      if (from < to) multiply_units(isa, p, input, count, from, to);
      first += units(*p.weight);
    }
  });
}

}  // namespace

struct Decoder::Buffers {
  std::vector<float> x, normed, q, k, v, mixed, y, gate, up;
  Input input;
  std::atomic<bool> finite{true};

  Buffers(const ModelShape& s, int count) {
    const std::size_t m = count;
    const std::size_t widest = std::max({s.hidden, s.intermediate, s.heads * s.head_size});
    x.resize(m * s.hidden), normed.resize(m * s.hidden), y.resize(m * s.hidden);
    q.resize(m * s.heads * s.head_size), mixed.resize(m * s.heads * s.head_size);
    k.resize(m * s.kv_heads * s.head_size), v.resize(m * s.kv_heads * s.head_size);
    gate.resize(m * s.intermediate), up.resize(m * s.intermediate);
    input.bytes.reserve(m * activation_stride(static_cast<int>(widest))), input.step.resize(m);
    input.floats.resize(m * widest);
  }

  // Prepares one row of float32[k] as the weight needs it: quantized to INT8, or rounded to bf16.
  void quantize_input(const Isa& isa, const Weight& weight, const float* row, int token) {
    if (weight.layout == nullptr) {
      float* to = input.floats.data() + static_cast<std::size_t>(token) * weight.k;
      std::copy(row, row + weight.k, to);
      isa.floats->round_to_bf16(to, weight.k);
      return;
    }
    const std::size_t stride = activation_stride(weight.k);
    std::uint8_t* to = input.bytes.data() + token * stride;
    if (!isa.quantize(row, 1, weight.k, to, stride, input.step.data() + token)) finite = false;
  }
};

Decoder::Decoder(const Isa& isa, const ModelShape& shape, std::vector<Block> blocks, const ModelTensors& tensors)
    : isa_(isa), shape_(shape), blocks_(std::move(blocks)), tensors_(tensors) {
  shape_.room = (shape_.context + kBlockPositions - 1) / kBlockPositions * kBlockPositions;
  const std::size_t row = static_cast<std::size_t>(shape_.room) * shape_.head_size;
  cache_.reset(new std::uint16_t[blocks_.size() * 2 * shape_.kv_heads * row]);  // touched as it fills
}

std::uint16_t* Decoder::keys(int block, int kv_head) {
  const std::size_t row = static_cast<std::size_t>(shape_.room) * shape_.head_size;
  return cache_.get() + (static_cast<std::size_t>(block) * 2 * shape_.kv_heads + kv_head) * row;
}

std::uint16_t* Decoder::values(int block, int kv_head) { return keys(block, shape_.kv_heads + kv_head); }

void Decoder::fill(int count, std::uint32_t seed) {
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    for (int head = 0; head < 2 * shape_.kv_heads; ++head) {
      std::uint16_t* row = keys(static_cast<int>(block), head);
      const int used = (count + kBlockPositions - 1) / kBlockPositions * kBlockPositions;
      for (int i = 0; i < used * shape_.head_size; ++i) {
        seed = seed * 1664525u + 1013904223u;
        row[i] = static_cast<std::uint16_t>((seed >> 31 << 15) | 0x3e00 | (seed >> 23 & 0x7f));  // +-0.125 .. 0.25
      }
    }
  }
  length_ = count;
}

bool Decoder::forward(const std::int32_t* tokens, int count, int threads, float* logits) {
  Buffers buffers(shape_, count);
  parallel_region(threads, [&](ParallelRegion& region) { run(region, buffers, tokens, count, logits); });
  if (buffers.finite) length_ += count;
  return buffers.finite;
}

void Decoder::run(ParallelRegion& region, Buffers& b, const std::int32_t* tokens, int count, float* logits) {
  const std::size_t hidden = shape_.hidden;
  const FloatOps& floats = *isa_.floats;
  region.share(count, 1, [&](int t, int) {
    float* x = b.x.data() + t * hidden;
    floats.from_bf16(tensors_.embedding + tokens[t] * hidden, shape_.hidden, x);
    floats.rms_norm(x, blocks_[0].attention_norm, shape_.hidden, shape_.eps, b.normed.data() + t * hidden);
    b.quantize_input(isa_, blocks_[0].q, b.normed.data() + t * hidden, t);
  });
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    attention(region, b, static_cast<int>(i), count);
    mlp(region, b, blocks_[i], count);
    const bool last = i + 1 == blocks_.size();
    const float* norm = last ? tensors_.final_norm : blocks_[i + 1].attention_norm;
    region.share(count, 1, [&](int t, int) {
      float* x = b.x.data() + t * hidden;
      floats.add(x, b.y.data() + t * hidden, shape_.hidden);
      floats.rms_norm(x, norm, shape_.hidden, shape_.eps, b.normed.data() + t * hidden);
      if (!last) b.quantize_input(isa_, blocks_[i + 1].q, b.normed.data() + t * hidden, t);
    });
  }
  const float* final = b.normed.data() + (count - 1) * hidden;
  region.share(shape_.vocabulary, 256, [&](int begin, int end) {
    floats.rows_bf16({tensors_.head, shape_.vocabulary, shape_.hidden, final, 1, logits}, begin, end);
  });
}

void Decoder::attention(ParallelRegion& region, Buffers& b, int index, int count) {
  const Block& block = blocks_[index];
  const FloatOps& floats = *isa_.floats;
  const int size = shape_.head_size, group = shape_.heads / shape_.kv_heads;
  const auto angles = [size](int position) { return static_cast<std::size_t>(position) * (size / 2); };
  multiply(region, isa_, {{&block.q, b.q.data()}, {&block.k, b.k.data()}, {&block.v, b.v.data()}}, b.input, count);
  region.share(count * shape_.kv_heads, 1, [&](int i, int) {
    const int t = i / shape_.kv_heads, head = i % shape_.kv_heads, position = length_ + t;
    float* key = b.k.data() + static_cast<std::size_t>(i) * size;
    floats.rotate(key, tensors_.cosines + angles(position), tensors_.sines + angles(position), size);
    floats.put_key(key, size, keys(index, head), position);
    floats.to_bf16(b.v.data() + static_cast<std::size_t>(i) * size, size,
                   values(index, head) + static_cast<std::size_t>(position) * size);
  });
  region.share(count * shape_.heads, 1, [&](int i, int) {
    const int t = i / shape_.heads, head = i % shape_.heads, position = length_ + t;
    thread_local std::vector<float> scores;
    if (scores.size() < static_cast<std::size_t>(shape_.room)) scores.resize(shape_.room);
    float* query = b.q.data() + static_cast<std::size_t>(i) * size;
    floats.rotate(query, tensors_.cosines + angles(position), tensors_.sines + angles(position), size);
    const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(size));
    floats.attend({query, keys(index, head / group), values(index, head / group), position + 1, size, scale},
                  scores.data(), b.mixed.data() + static_cast<std::size_t>(i) * size);
  });
  const std::size_t mixed = static_cast<std::size_t>(shape_.heads) * size;
  region.share(count, 1, [&](int t, int) { b.quantize_input(isa_, block.o, b.mixed.data() + t * mixed, t); });
  multiply(region, isa_, {{&block.o, b.y.data()}}, b.input, count);
}

void Decoder::mlp(ParallelRegion& region, Buffers& b, const Block& block, int count) {
  const std::size_t hidden = shape_.hidden, intermediate = shape_.intermediate;
  const FloatOps& floats = *isa_.floats;
  region.share(count, 1, [&](int t, int) {
    float* x = b.x.data() + t * hidden;
    floats.add(x, b.y.data() + t * hidden, shape_.hidden);
    floats.rms_norm(x, block.mlp_norm, shape_.hidden, shape_.eps, b.normed.data() + t * hidden);
    b.quantize_input(isa_, block.gate, b.normed.data() + t * hidden, t);
  });
  multiply(region, isa_, {{&block.gate, b.gate.data()}, {&block.up, b.up.data()}}, b.input, count);
  region.share(count, 1, [&](int t, int) {
    floats.silu_times(b.gate.data() + t * intermediate, b.up.data() + t * intermediate, shape_.intermediate);
    b.quantize_input(isa_, block.down, b.gate.data() + t * intermediate, t);
  });
  multiply(region, isa_, {{&block.down, b.y.data()}}, b.input, count);
}

}  // namespace nmforge
