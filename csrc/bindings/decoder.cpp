// The submodule `decoder`: weights held by reference, shapes checked once when they arrive.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <climits>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays_binding.hpp"
#include "bindings/linear_binding.hpp"
#include "bindings/submodules.hpp"
#include "common/require.hpp"
#include "decoder/decoder.hpp"
#include "w4a8/isas.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace nmforge {
namespace {

struct AttentionShape {
  int heads, kv_heads, head_size;
};

// What is outside the blocks: bf16 bits uint16[vocabulary, hidden], float32[hidden], float32[context, head_size / 2].
struct ModelArrays {
  Vector<float> final_norm;
  Matrix<std::uint16_t> embedding, head;
  Matrix<float> cosines, sines;

  void check(const ModelShape& s) const {
    require(s.heads > 0 && s.kv_heads > 0 && s.heads % s.kv_heads == 0, "heads must be a multiple of kv_heads");
    require(s.head_size <= INT_MAX / s.heads, "heads are too large");
    require(s.hidden % 16 == 0 && s.intermediate % 16 == 0 && s.head_size % 16 == 0 && s.head_size > 0,
            "hidden, intermediate and head_size must be multiples of 16");
    require(s.context > 0 && sines.shape(0) == cosines.shape(0), "cosines and sines differ in length");
    require(cosines.shape(1) * 2 == static_cast<std::size_t>(s.head_size) && sines.shape(1) == cosines.shape(1),
            "cosines and sines must have head_size / 2 columns");
    require(embedding.shape(1) == static_cast<std::size_t>(s.hidden) && head.shape(0) == embedding.shape(0) &&
                head.shape(1) == embedding.shape(1),
            "embedding and head must be [vocabulary, hidden]");
  }

  ModelTensors tensors() const {
    return {final_norm.data(), embedding.data(), head.data(), cosines.data(), sines.data()};
  }
};

int rows_of(nb::handle weight) {
  if (nb::isinstance<Linear>(weight)) return nb::cast<const Linear&>(weight).layout().n;
  return static_cast<int>(nb::cast<Matrix<std::uint16_t>>(weight).shape(0));
}

// A layer [n][k] of a block: a Linear, or bf16 bits uint16[N, K].
Weight weight_of(const Isa& isa, nb::handle from, int n, int k) {
  Weight w;
  w.n = n, w.k = k;
  if (nb::isinstance<Linear>(from)) {
    const auto& linear = nb::cast<const Linear&>(from);
    require(&linear.isa() == &isa, "a layer is laid out for another instruction set");
    w.layout = &linear.layout();
    require(w.layout->n == n && w.layout->k == k, "a layer has a wrong shape");
  } else {
    const auto bits = nb::cast<Matrix<std::uint16_t>>(from, false);
    require(bits.shape(0) == static_cast<std::size_t>(n) && bits.shape(1) == static_cast<std::size_t>(k),
            "a layer has a wrong shape");
    w.bf16 = bits.data();
  }
  return w;
}

const float* norm_of(nb::handle from, int hidden) {
  const auto values = nb::cast<Vector<float>>(from, false);
  require(values.size() == static_cast<std::size_t>(hidden), "a norm has a wrong size");
  return values.data();
}

Block block_of(const Isa& isa, const nb::list& parts, const ModelShape& s) {
  require(nb::len(parts) == 9, "a block has seven layers and two norms");
  const int q_rows = s.heads * s.head_size, kv_rows = s.kv_heads * s.head_size;
  const auto at = [&](int i, int n, int k) { return weight_of(isa, parts[i], n, k); };
  Block block;
  block.q = at(0, q_rows, s.hidden), block.k = at(1, kv_rows, s.hidden), block.v = at(2, kv_rows, s.hidden);
  block.o = at(3, s.hidden, q_rows);
  block.gate = at(4, s.intermediate, s.hidden), block.up = at(5, s.intermediate, s.hidden);
  block.down = at(6, s.hidden, s.intermediate);
  const auto alike = [](const Weight& a, const Weight& b) { return (a.layout == nullptr) == (b.layout == nullptr); };
  require(alike(block.q, block.k) && alike(block.q, block.v) && alike(block.gate, block.up),
          "layers that share an input must all be compressed or all bf16");
  block.attention_norm = norm_of(parts[7], s.hidden), block.mlp_norm = norm_of(parts[8], s.hidden);
  return block;
}

class LanguageModel {
 public:
  // blocks: one list per block of q, k, v, o, gate, up, down (each a Linear or bf16 bits uint16[N, K]) and the two
  // norms float32[hidden].
  LanguageModel(const std::string& isa, const AttentionShape& attention, float eps, const nb::list& blocks,
                const ModelArrays& arrays)
      : blocks_(blocks), arrays_(arrays) {
    ModelShape s;
    s.hidden = static_cast<int>(arrays.final_norm.size()), s.vocabulary = static_cast<int>(arrays.embedding.shape(0));
    s.heads = attention.heads, s.kv_heads = attention.kv_heads, s.head_size = attention.head_size, s.eps = eps;
    s.context = static_cast<int>(arrays.cosines.shape(0));
    require(nb::len(blocks) > 0, "a model needs a block");
    s.intermediate = rows_of(nb::cast<nb::list>(blocks[0])[4]);
    arrays.check(s);
    const Isa& set = find_isa(isa);
    std::vector<Block> native;
    for (const nb::handle block : blocks) native.push_back(block_of(set, nb::cast<nb::list>(block), s));
    decoder_ = std::make_unique<Decoder>(set, s, std::move(native), arrays.tensors());
  }

  Result<float> forward(const Vector<std::int32_t>& tokens, int threads) {
    const ModelShape& s = decoder_->shape();
    const int count = static_cast<int>(tokens.size());
    require(count > 0 && decoder_->length() + count <= s.context, "tokens do not fit the context");
    for (int i = 0; i < count; ++i) {
      require(tokens.data()[i] >= 0 && tokens.data()[i] < s.vocabulary, "a token is outside the vocabulary");
    }
    auto* logits = new float[s.vocabulary];
    const nb::capsule free = owner(logits);
    bool finite = false;
    {
      const nb::gil_scoped_release unlocked;
      finite = decoder_->forward(tokens.data(), count, threads, logits);
    }
    require(finite, "activations hold NaN or infinity");
    return {logits, {1, static_cast<std::size_t>(s.vocabulary)}, free};
  }

  void fill(int count, unsigned seed) {
    require(count >= 0 && count < decoder_->shape().context, "count does not fit the context");
    decoder_->fill(count, seed);
  }

  void truncate(int length) {
    require(length >= 0 && length <= decoder_->length(), "length is beyond the tokens seen");
    decoder_->truncate(length);
  }

  int length() const { return decoder_->length(); }

 private:
  nb::list blocks_;  // keeps the weights alive, as do the arrays
  ModelArrays arrays_;
  std::unique_ptr<Decoder> decoder_;
};

void bind_shapes(nb::module_& module) {
  using Bits = const Matrix<std::uint16_t>&;
  using Floats = const Matrix<float>&;
  nb::class_<AttentionShape>(module, "AttentionShape")
      .def(
          "__init__",
          [](AttentionShape* self, int heads, int kv_heads, int head_size) {
            new (self) AttentionShape{heads, kv_heads, head_size};
          },
          "heads"_a, "kv_heads"_a, "head_size"_a);
  nb::class_<ModelArrays>(module, "ModelArrays")
      .def(
          "__init__",
          [](ModelArrays* self, const Vector<float>& final_norm, Bits embedding, Bits head, Floats cosines,
             Floats sines) { new (self) ModelArrays{final_norm, embedding, head, cosines, sines}; },
          "final_norm"_a, "embedding"_a, "head"_a, "cosines"_a, "sines"_a);
}

}  // namespace

void bind_decoder(nb::module_& module) {
  bind_shapes(module);
  nb::class_<LanguageModel>(module, "LanguageModel")
      .def(nb::init<const std::string&, const AttentionShape&, float, const nb::list&, const ModelArrays&>(), "isa"_a,
           "attention"_a, "eps"_a, "blocks"_a, "arrays"_a)
      .def("forward", &LanguageModel::forward, "tokens"_a, "threads"_a, "int32[M] -> logits float32[1, vocabulary].")
      .def("fill", &LanguageModel::fill, "count"_a, "seed"_a, "Draw `count` positions of keys and values.")
      .def("truncate", &LanguageModel::truncate, "length"_a, "Forget all positions from `length` on.")
      .def_prop_ro("length", &LanguageModel::length);
}

}  // namespace nmforge
