// The instruction sets of this build, for the extension and for tests without Python.
#pragma once

#include <string>
#include <vector>

#include "w4a8/isa.hpp"

namespace nmforge {

// Those this machine has, slowest first.
std::vector<const Isa*> available_isas();

// Raises std::invalid_argument where this machine has no such instruction set.
const Isa& find_isa(const std::string& name);

}  // namespace nmforge
