// What Python sees of a decoder: weights held by reference, shapes checked once when they arrive.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bindings/linear.hpp"
#include "decoder/decoder.hpp"

namespace nmforge {

class LanguageModel {
 public:
  // blocks: one list per block of q, k, v, o, gate, up, down (each a Linear or bf16 bits uint16[N, K]) and the two
  // norms float32[hidden]. embedding, head: bf16 bits. cosines, sines: float32[context, head_size / 2].
  LanguageModel(const std::string& isa, int heads, int kv_heads, int head_size, float eps, nb::list blocks,
                Vector<float> final_norm, Matrix<std::uint16_t> embedding, Matrix<std::uint16_t> head,
                Matrix<float> cosines, Matrix<float> sines)
      : blocks_(blocks), final_norm_(final_norm), embedding_(embedding), head_(head), cosines_(cosines), sines_(sines) {
    ModelShape s;
    s.hidden = static_cast<int>(final_norm.size()), s.vocabulary = static_cast<int>(embedding.shape(0));
    s.heads = heads, s.kv_heads = kv_heads, s.head_size = head_size, s.eps = eps;
    s.context = static_cast<int>(cosines.shape(0));
    require(nb::len(blocks) > 0, "a model needs a block");
    s.intermediate = rows_of(nb::cast<nb::list>(blocks[0])[4]);
    check(s);
    const Isa& set = find_isa(isa);
    std::vector<Block> native;
    for (nb::handle block : blocks) native.push_back(bind(set, nb::cast<nb::list>(block), s));
    decoder_ = std::make_unique<Decoder>(set, s, std::move(native), final_norm_.data(), embedding_.data(), head_.data(),
                                         cosines_.data(), sines_.data());
  }

  Result<float> forward(Vector<std::int32_t> tokens, int threads) {
    const ModelShape& s = decoder_->shape();
    const int count = static_cast<int>(tokens.size());
    require(count > 0 && decoder_->length() + count <= s.context, "tokens do not fit the context");
    for (int i = 0; i < count; ++i) {
      require(tokens.data()[i] >= 0 && tokens.data()[i] < s.vocabulary, "a token is outside the vocabulary");
    }
    auto* logits = new float[s.vocabulary];
    nb::capsule free = owner(logits);
    bool finite;
    {
      nb::gil_scoped_release unlocked;
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
  void check(const ModelShape& s) const {
    require(s.heads > 0 && s.kv_heads > 0 && s.heads % s.kv_heads == 0, "heads must be a multiple of kv_heads");
    require(s.head_size <= INT32_MAX / s.heads, "heads are too large");
    require(s.hidden % 16 == 0 && s.intermediate % 16 == 0 && s.head_size % 16 == 0 && s.head_size > 0,
            "hidden, intermediate and head_size must be multiples of 16");
    require(s.context > 0 && sines_.shape(0) == cosines_.shape(0), "cosines and sines differ in length");
    require(cosines_.shape(1) * 2 == static_cast<std::size_t>(s.head_size) && sines_.shape(1) == cosines_.shape(1),
            "cosines and sines must have head_size / 2 columns");
    require(embedding_.shape(1) == static_cast<std::size_t>(s.hidden) && head_.shape(0) == embedding_.shape(0) &&
                head_.shape(1) == embedding_.shape(1),
            "embedding and head must be [vocabulary, hidden]");
  }

  static int rows_of(nb::handle weight) {
    if (nb::isinstance<Linear>(weight)) return nb::cast<const Linear&>(weight).layout().n;
    return static_cast<int>(nb::cast<Matrix<std::uint16_t>>(weight).shape(0));
  }

  static Weight weight(const Isa& isa, nb::handle from, int n, int k) {
    Weight w;
    w.n = n, w.k = k;
    if (nb::isinstance<Linear>(from)) {
      const Linear& linear = nb::cast<const Linear&>(from);
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

  Block bind(const Isa& isa, nb::list parts, const ModelShape& s) {
    require(nb::len(parts) == 9, "a block has seven layers and two norms");
    const int wide = s.heads * s.head_size, narrow = s.kv_heads * s.head_size;
    const auto at = [&](int i, int n, int k) { return weight(isa, parts[i], n, k); };
    Block block;
    block.q = at(0, wide, s.hidden), block.k = at(1, narrow, s.hidden), block.v = at(2, narrow, s.hidden);
    block.o = at(3, s.hidden, wide);
    block.gate = at(4, s.intermediate, s.hidden), block.up = at(5, s.intermediate, s.hidden);
    block.down = at(6, s.hidden, s.intermediate);
    const auto alike = [](const Weight& a, const Weight& b) { return (a.layout == nullptr) == (b.layout == nullptr); };
    require(alike(block.q, block.k) && alike(block.q, block.v) && alike(block.gate, block.up),
            "layers that share an input must all be compressed or all bf16");
    block.attention_norm = norm(parts[7], s.hidden), block.mlp_norm = norm(parts[8], s.hidden);
    return block;
  }

  static const float* norm(nb::handle from, int hidden) {
    const auto values = nb::cast<Vector<float>>(from, false);
    require(values.size() == static_cast<std::size_t>(hidden), "a norm has a wrong size");
    return values.data();
  }

  nb::list blocks_;  // keeps the weights alive
  Vector<float> final_norm_;
  Matrix<std::uint16_t> embedding_, head_;
  Matrix<float> cosines_, sines_;
  std::unique_ptr<Decoder> decoder_;
};

}  // namespace nmforge
