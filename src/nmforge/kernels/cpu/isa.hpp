// The entry of one instruction set, from its V.
#pragma once

#include "floats.hpp"
#include "gemm.hpp"
#include "limits.hpp"

namespace nmforge {

template <class V>
Isa make_isa(const char* name, bool (*available)(), bool signed_activations = false) {
  return {name,        V::kFlushSteps,   V::kTable,     available,        multiply<V>,
          quantize<V>, &Floats<V>::kOps, read_bytes<V>, multiply_bytes<V>,
          signed_activations};
}

}  // namespace nmforge
