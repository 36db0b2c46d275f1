// The extension module `_cpu`.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>

#include "bindings/language_model.hpp"
#include "bindings/linear.hpp"
#include "w4a8/isas.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace nmforge {
namespace {

std::vector<std::string> isa_names() {
  std::vector<std::string> names;
  for (const Isa* isa : available_isas()) names.emplace_back(isa->name);
  return names;
}

// Reads all of `data` once on `threads` threads, in as many chunks as a product has (`Linear`), of a megabyte at most.
std::uint32_t read_bytes(const std::string& isa, Vector<std::uint8_t> data, int threads) {
  constexpr std::size_t kLargest = 1 << 20, kLine = 64;
  const Isa& set = find_isa(isa);
  const std::size_t share = data.size() / (4 * std::max(threads, 1)) / kLine * kLine;
  const std::size_t chunk = std::min(std::max(share, kLine), kLargest);
  std::atomic<std::uint32_t> total{0};
  nb::gil_scoped_release unlocked;
  parallel_for(threads, static_cast<int>((data.size() + chunk - 1) / chunk), 1, [&](int first, int last, int) {
    for (int i = first; i < last; ++i) {
      const std::size_t at = i * chunk;
      total ^= set.read_bytes(data.data() + at, std::min(chunk, data.size() - at));
    }
  });
  return total;
}

// Multiplies bytes in registers on `threads` threads; the number of multiply-adds.
std::uint64_t multiply_bytes(const std::string& isa, int rounds, int threads) {
  const Isa& set = find_isa(isa);
  std::atomic<std::uint64_t> total{0};
  nb::gil_scoped_release unlocked;
  parallel_for(threads, threads, 1, [&](int, int, int) { total += set.multiply_bytes(rounds); });
  return total;
}

}  // namespace

const Isa& find_isa(const std::string& name) {
  for (const Isa* isa : available_isas()) {
    if (name == isa->name) return *isa;
  }
  throw nb::value_error(("instruction set " + name + " is not available").c_str());
}

}  // namespace nmforge

NB_MODULE(_cpu, module) {
  using nmforge::LanguageModel;
  using nmforge::Linear;
  module.doc() = "W4A8 products of re-laid compressed layers, for every instruction set this machine offers.";
  module.def("isas", nmforge::isa_names, "Names of the instruction sets available here, slowest first.");
  module.def(
      "reach", [](const std::string& isa) { return nmforge::find_isa(isa).table; }, "isa"_a,
      "Activations that one selection of an instruction set chooses from.");
  module.def("read_bytes", nmforge::read_bytes, "isa"_a, "data"_a, "threads"_a, "Read uint8[bytes] once.");
  module.def("multiply_bytes", nmforge::multiply_bytes, "isa"_a, "rounds"_a, "threads"_a,
             "Multiply bytes in registers; the number of multiply-adds made.");
  nb::class_<Linear>(module, "Linear")
      .def(nb::init<const std::string&, int, int, int, int, int, nmforge::Vector<std::uint8_t>,
                    nmforge::Vector<std::uint8_t>, nmforge::Vector<std::int32_t>, nmforge::Vector<float>,
                    nmforge::Vector<std::uint32_t>, nmforge::Vector<std::uint32_t>, nmforge::Vector<std::uint32_t>,
                    nmforge::Vector<std::uint32_t>>(),
           "isa"_a, "n"_a, "k"_a, "groups"_a, "code_bits"_a, "index_bits"_a, "planes"_a, "mult"_a, "start"_a,
           "row_scale"_a, "step_base"_a, "lane_base"_a, "flush_end"_a, "flush_group"_a)
      .def("accumulate", &Linear::accumulate, "xq"_a, "threads"_a, "int8[M, K] -> int32[M, N], exact.")
      .def("forward", &Linear::forward, "x"_a, "threads"_a, "float32[M, K] -> float32[M, N], mode W4A8.");
  nb::class_<LanguageModel>(module, "LanguageModel")
      .def(nb::init<const std::string&, int, int, int, float, nb::list, nmforge::Vector<float>,
                    nmforge::Matrix<std::uint16_t>, nmforge::Matrix<std::uint16_t>, nmforge::Matrix<float>,
                    nmforge::Matrix<float>>(),
           "isa"_a, "heads"_a, "kv_heads"_a, "head_size"_a, "eps"_a, "blocks"_a, "final_norm"_a, "embedding"_a,
           "head"_a, "cosines"_a, "sines"_a)
      .def("forward", &LanguageModel::forward, "tokens"_a, "threads"_a, "int32[M] -> logits float32[vocabulary].")
      .def("fill", &LanguageModel::fill, "count"_a, "seed"_a, "Draw `count` positions of keys and values.")
      .def("truncate", &LanguageModel::truncate, "length"_a, "Forget all positions from `length` on.")
      .def_prop_ro("length", &LanguageModel::length);
}
