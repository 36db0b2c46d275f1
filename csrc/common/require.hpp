// Checks of what arrives from outside.
#pragma once

#include <stdexcept>

namespace nmforge {

// Raises std::invalid_argument (ValueError in Python) with the rule that does not hold.
inline void require(bool holds, const char* rule) {
  if (!holds) throw std::invalid_argument(rule);
}

}  // namespace nmforge
