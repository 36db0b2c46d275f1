// The submodule `w4a8`: compressed layers, the instruction sets, and the limits of the machine.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "bindings/linear_binding.hpp"
#include "bindings/submodules.hpp"
#include "common/aligned.hpp"
#include "common/pool.hpp"
#include "common/require.hpp"
#include "w4a8/isas.hpp"
#include "w4a8/plan.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace nmforge {
namespace {

template <class T>
Span<T> span(const Vector<T>& v) {
  return {v.data(), v.size()};
}

LayerArrays arrays_of(const LayerSizes& sizes, const LayerWeights& weights, const LayerSteps& steps) {
  LayerArrays a;
  a.n = sizes.n, a.k = sizes.k, a.groups = sizes.groups;
  a.code_bits = sizes.code_bits, a.index_bits = sizes.index_bits;
  a.planes = span(weights.planes), a.mult = span(weights.mult);
  a.bias_correction = span(weights.bias_correction), a.row_scale = span(weights.row_scale);
  a.gather_base = span(steps.gather_base), a.lane_base = span(steps.lane_base);
  a.segment_end = span(steps.segment_end), a.segment_group = span(steps.segment_group);
  return a;
}

}  // namespace

Linear::Linear(const std::string& isa, const LayerSizes& sizes, const LayerWeights& weights, const LayerSteps& steps)
    : isa_(find_isa(isa)), weights_(weights), steps_(steps), plan_(isa_, arrays_of(sizes, weights, steps)) {}

Result<std::int32_t> Linear::accumulate(const Matrix<std::int8_t>& xq, int threads) const {
  require(xq.shape(1) == static_cast<std::size_t>(layout().k), "xq must have K columns");
  GemmArgs args = args_for(xq.shape(0));
  auto* out = new std::int32_t[xq.shape(0) * layout().n];
  const nb::capsule free = owner(out);
  {
    const nb::gil_scoped_release unlocked;
    const AlignedBytes x = biased(xq.data(), args);
    args.x = x.data(), args.out_int = out;
    multiply(args, threads);
  }
  return {out, {xq.shape(0), static_cast<std::size_t>(layout().n)}, free};
}

Result<float> Linear::forward(const Matrix<float>& x, int threads) const {
  require(x.shape(1) == static_cast<std::size_t>(layout().k), "x must have K columns");
  GemmArgs args = args_for(x.shape(0));
  auto* out = new float[x.shape(0) * layout().n];
  const nb::capsule free = owner(out);
  bool finite = true;
  {
    const nb::gil_scoped_release unlocked;
    AlignedBytes bytes(args.m * args.stride);
    const std::unique_ptr<float[]> step(new float[args.m]);
    finite = quantize(x.data(), args, bytes.data(), step.get(), threads);
    args.x = bytes.data(), args.step = step.get(), args.out_float = out;
    if (finite) multiply(args, threads);
  }
  require(finite, "activations hold NaN or infinity");
  return {out, {x.shape(0), static_cast<std::size_t>(layout().n)}, free};
}

GemmArgs Linear::args_for(std::size_t rows) const {
  GemmArgs args;
  args.layout = &layout();
  args.m = static_cast<int>(rows);
  args.stride = activation_stride(layout().k);
  return args;
}

AlignedBytes Linear::biased(const std::int8_t* xq, const GemmArgs& args) const {
  AlignedBytes x(args.m * args.stride);
  for (int row = 0; row < args.m; ++row) {
    std::uint8_t* to = x.data() + row * args.stride;
    std::fill(to + layout().k, to + args.stride, kActivationBias);
    const std::int8_t* from = xq + static_cast<std::size_t>(row) * layout().k;
    for (int i = 0; i < layout().k; ++i) to[i] = static_cast<std::uint8_t>(from[i] + kActivationBias);
  }
  return x;
}

// Some rows a task: about 8,192 activations are worth waking a thread for. False where one is NaN or infinity.
bool Linear::quantize(const float* x, const GemmArgs& args, std::uint8_t* out, float* step, int threads) const {
  const int k = layout().k, rows = std::max(1, 8192 / std::max(1, k));
  std::atomic<bool> finite{true};
  parallel_for(threads, args.m, rows, [&](int first, int last, int) {
    const float* from = x + static_cast<std::size_t>(first) * k;
    if (!isa_.quantize(from, last - first, k, out + first * args.stride, args.stride, step + first)) finite = false;
  });
  return finite;
}

void Linear::multiply(const GemmArgs& args, int threads) const {
  if (args.m == 0) return;
  const int chunk = std::max(kGemmTiles, layout().tiles / (4 * std::max(1, threads)) / kGemmTiles * kGemmTiles);
  parallel_for(threads, layout().tiles, chunk, [&](int first, int last, int) { isa_.multiply(args, first, last); });
}

namespace {

std::vector<std::string> isa_names() {
  std::vector<std::string> names;
  for (const Isa* isa : available_isas()) names.emplace_back(isa->name);
  return names;
}

int gather_width(const std::string& isa) { return find_isa(isa).gather_width; }

// Reads all of `data` once on `threads` threads, in as many chunks as a product has (`Linear`), of a megabyte at most.
std::uint32_t read_bytes(const std::string& isa, const Vector<std::uint8_t>& data, int threads) {
  constexpr std::size_t kLargest = 1 << 20, kLine = 64;
  const Isa& set = find_isa(isa);
  const std::size_t share = data.size() / (4 * std::max(threads, 1)) / kLine * kLine;
  const std::size_t chunk = std::min(std::max(share, kLine), kLargest);
  std::atomic<std::uint32_t> total{0};
  const nb::gil_scoped_release unlocked;
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
  const nb::gil_scoped_release unlocked;
  parallel_for(threads, threads, 1, [&](int, int, int) { total += set.multiply_bytes(rounds); });
  return total;
}

void bind_layer(nb::module_& module) {
  using Bytes = const Vector<std::uint8_t>&;
  using Words = const Vector<std::uint32_t>&;
  nb::class_<LayerSizes>(module, "LayerSizes")
      .def(
          "__init__",
          [](LayerSizes* self, int n, int k, int groups, int code_bits, int index_bits) {
            new (self) LayerSizes{n, k, groups, code_bits, index_bits};
          },
          "n"_a, "k"_a, "groups"_a, "code_bits"_a, "index_bits"_a);
  nb::class_<LayerWeights>(module, "LayerWeights")
      .def(
          "__init__",
          [](LayerWeights* self, Bytes planes, Bytes mult, const Vector<std::int32_t>& bias_correction,
             const Vector<float>& row_scale) { new (self) LayerWeights{planes, mult, bias_correction, row_scale}; },
          "planes"_a, "mult"_a, "bias_correction"_a, "row_scale"_a);
  nb::class_<LayerSteps>(module, "LayerSteps")
      .def(
          "__init__",
          [](LayerSteps* self, Words gather_base, Words lane_base, Words segment_end, Words segment_group) {
            new (self) LayerSteps{gather_base, lane_base, segment_end, segment_group};
          },
          "gather_base"_a, "lane_base"_a, "segment_end"_a, "segment_group"_a);
  nb::class_<Linear>(module, "Linear")
      .def(nb::init<const std::string&, const LayerSizes&, const LayerWeights&, const LayerSteps&>(), "isa"_a,
           "sizes"_a, "weights"_a, "steps"_a)
      .def("accumulate", &Linear::accumulate, "xq"_a, "threads"_a, "int8[M, K] -> int32[M, N], exact.")
      .def("forward", &Linear::forward, "x"_a, "threads"_a, "float32[M, K] -> float32[M, N], mode W4A8.");
}

}  // namespace

void bind_w4a8(nb::module_& module) {
  module.attr("TILE_ROWS") = kTileRows;
  module.attr("STEP_BYTES") = kStepBytes;
  module.attr("BLOCK_STEPS") = kBlockSteps;
  module.attr("MAX_INDEX_BITS") = kMaxIndexBits;
  module.def("isas", isa_names, "Names of the instruction sets available here, slowest first.");
  module.def("gather_width", gather_width, "isa"_a, "Activations that one selection chooses from.");
  module.def("read_bytes", read_bytes, "isa"_a, "data"_a, "threads"_a, "Read uint8[bytes] once.");
  module.def("multiply_bytes", multiply_bytes, "isa"_a, "rounds"_a, "threads"_a,
             "Multiply bytes in registers; the number of multiply-adds made.");
  bind_layer(module);
}

}  // namespace nmforge
