// The extension module `nmforge.kernels._native`: one submodule per part of csrc/, one thread pool for all of them.
#include <nanobind/nanobind.h>

#include "bindings/submodules.hpp"

NB_MODULE(_native, module) {
  module.doc() = "The C++ of nmforge.";
  const auto submodule = [&](const char* name, const char* doc) { return module.def_submodule(name, doc); };
  auto w4a8 = submodule("w4a8", "W4A8 products of repacked layers, for every instruction set this machine offers.");
  auto decoder = submodule("decoder", "A LLaMA-shaped decoder on the W4A8 products.");
  auto bf16 = submodule("bf16", "Products of bf16 numbers summed in float32, where the machine has an instruction.");
  nmforge::bind_w4a8(w4a8);
  nmforge::bind_decoder(decoder);
  nmforge::bind_bf16(bf16);
}
