// One function per submodule of the extension; each fills its submodule in the file of that name.
#pragma once

#include <nanobind/nanobind.h>

namespace nmforge {

void bind_w4a8(nanobind::module_& module);
void bind_decoder(nanobind::module_& module);
void bind_bf16(nanobind::module_& module);

}  // namespace nmforge
