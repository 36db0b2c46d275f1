// The table of one instruction set from its `Simd`. Include from one `isa_*.cpp` per instruction set, nothing else.
#pragma once

#include "w4a8/float_ops.hpp"
#include "w4a8/gemm.hpp"
#include "w4a8/isa.hpp"
#include "w4a8/limits.hpp"
#include "w4a8/quantize.hpp"

namespace nmforge {

// Evaluated at compile time: no code of an `isa_*.cpp` runs before the processor was asked for its instructions.
template <class Simd>
constexpr Isa make_isa(const char* name, bool signed_activations = false) {
  return {name,
          Simd::kSegmentSteps,
          Simd::kGatherWidth,
          multiply<Simd>,
          quantize<Simd>,
          &Floats<Simd>::kOps,
          read_bytes<Simd>,
          multiply_bytes<Simd>,
          signed_activations};
}

}  // namespace nmforge
