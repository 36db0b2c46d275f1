// The instruction sets of this build, for whatever compiles with it: the extension, or a test without Python.
#pragma once

#include <vector>

#include "w4a8/layout.hpp"

namespace nmforge {

// Those this machine has, slowest first.
inline std::vector<const Isa*> available_isas() {
  std::vector<const Isa*> found{&isa_portable()};
#ifdef NMFORGE_X86
  for (const Isa* isa : {&isa_avx2(), &isa_avxvnni(), &isa_avx512vnni(), &isa_avx512vbmi()}) {
    if (isa->available()) found.push_back(isa);
  }
#endif
#ifdef NMFORGE_AARCH64
  for (const Isa* isa : {&isa_neon_dotprod(), &isa_neon_i8mm()}) {
    if (isa->available()) found.push_back(isa);
  }
#endif
  return found;
}

}  // namespace nmforge
