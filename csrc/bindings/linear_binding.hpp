// What Python sees of a compressed layer: repacked weights held by reference, checked once when they arrive, then
// multiplied unchecked. Its functions are in w4a8.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "bindings/arrays_binding.hpp"
#include "common/aligned.hpp"
#include "w4a8/isa.hpp"
#include "w4a8/layout.hpp"
#include "w4a8/plan.hpp"

namespace nmforge {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "NumPy views uint8[steps, 4] as the uint32 lane_base");

// The parts of a layer in Python's hands; `Layout` has the shape of each array.
struct LayerSizes {
  int n, k, groups, code_bits, index_bits;
};
struct LayerWeights {
  Vector<std::uint8_t> planes, mult;
  Vector<std::int32_t> bias_correction;
  Vector<float> row_scale;
};
struct LayerSteps {
  Vector<std::uint32_t> gather_base, lane_base, segment_end, segment_group;
};

class Linear {
 public:
  Linear(const std::string& isa, const LayerSizes& sizes, const LayerWeights& weights, const LayerSteps& steps);

  // int8[M, K] -> int32[M, N], exact.
  Result<std::int32_t> accumulate(const Matrix<std::int8_t>& xq, int threads) const;

  // float32[M, K] -> float32[M, N], mode W4A8.
  Result<float> forward(const Matrix<float>& x, int threads) const;

  const Layout& layout() const { return plan_.layout(); }
  const Isa& isa() const { return isa_; }

 private:
  GemmArgs args_for(std::size_t rows) const;
  AlignedBytes biased(const std::int8_t* xq, const GemmArgs& args) const;
  bool quantize(const float* x, const GemmArgs& args, std::uint8_t* out, float* step, int threads) const;
  void multiply(const GemmArgs& args, int threads) const;

  const Isa& isa_;
  LayerWeights weights_;  // keeps the arrays alive
  LayerSteps steps_;
  Plan plan_;
};

}  // namespace nmforge
