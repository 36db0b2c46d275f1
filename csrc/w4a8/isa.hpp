// The entry of one instruction set, from its V.
#pragma once

#include "w4a8/floats.hpp"
#include "w4a8/gemm.hpp"
#include "w4a8/limits.hpp"

namespace nmforge {

template <class V>
Isa make_isa(const char* name, bool (*available)(), bool signed_activations = false) {
  return {name,        V::kFlushSteps,   V::kTable,     available,         multiply<V>,
          quantize<V>, &Floats<V>::kOps, read_bytes<V>, multiply_bytes<V>, signed_activations};
}

}  // namespace nmforge
