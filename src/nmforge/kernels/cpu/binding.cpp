// The extension module: re-laid weights held by reference, checked once when they arrive, then multiplied unchecked.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "layout.hpp"
#include "pool.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace nmforge {
namespace {

template <class T>
using Vector = nb::ndarray<const T, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Matrix = nb::ndarray<const T, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using Result = nb::ndarray<T, nb::numpy, nb::ndim<2>>;

std::vector<const Isa*> isas() {
  std::vector<const Isa*> found{&isa_portable()};
#ifdef NMFORGE_X86
  if (isa_avx2().available()) found.push_back(&isa_avx2());
  if (isa_avx512vnni().available()) found.push_back(&isa_avx512vnni());
#endif
  return found;
}

std::vector<std::string> isa_names() {
  std::vector<std::string> names;
  for (const Isa* isa : isas()) names.emplace_back(isa->name);
  return names;
}

const Isa& find_isa(const std::string& name) {
  for (const Isa* isa : isas()) {
    if (name == isa->name) return *isa;
  }
  throw nb::value_error(("instruction set " + name + " is not available").c_str());
}

void require(bool holds, const char* rule) {
  if (!holds) throw nb::value_error(rule);
}

template <class T>
nb::capsule owner(T* data) {
  return nb::capsule(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
}

class Linear {
 public:
  Linear(const std::string& isa, int n, int k, int groups, int code_bits, int index_bits, Vector<std::uint8_t> planes,
         Vector<std::uint8_t> mult, Vector<std::int32_t> start, Vector<float> row_scale,
         Vector<std::uint32_t> step_base, Vector<std::uint32_t> lane_base, Vector<std::uint32_t> flush_end,
         Vector<std::uint32_t> flush_group)
      : isa_(find_isa(isa)), planes_(planes), mult_(mult), start_(start), row_scale_(row_scale),
        step_base_(step_base), lane_base_(lane_base), flush_end_(flush_end), flush_group_(flush_group) {
    layout_.n = n, layout_.k = k, layout_.groups = groups;
    layout_.tiles = (n + kTileRows - 1) / kTileRows;
    layout_.blocks = static_cast<int>(step_base.size() / kBlockSteps);
    layout_.flushes = static_cast<int>(flush_end.size());
    layout_.code_bits = code_bits, layout_.index_bits = index_bits;
    layout_.planes = planes_.data(), layout_.mult = mult_.data(), layout_.start = start_.data();
    layout_.row_scale = row_scale_.data();
    layout_.step_base = step_base_.data(), layout_.lane_base = lane_base_.data();
    layout_.flush_end = flush_end_.data(), layout_.flush_group = flush_group_.data();
    check_sizes();
    check_reach();
  }

  // int8[M, K] -> int32[M, N]
  Result<std::int32_t> accumulate(Matrix<std::int8_t> xq, int threads) const {
    require(xq.shape(1) == static_cast<std::size_t>(layout_.k), "xq must have K columns");
    Job job = begin(xq.shape(0));
    auto* out = new std::int32_t[xq.shape(0) * layout_.n];
    nb::capsule free = owner(out);
    {
      nb::gil_scoped_release unlocked;
      const std::vector<std::uint8_t> x = biased(xq.data(), job);
      job.x = x.data(), job.out_int = out;
      multiply(job, threads);
    }
    return {out, {xq.shape(0), static_cast<std::size_t>(layout_.n)}, free};
  }

  // float32[M, K] -> float32[M, N]
  Result<float> forward(Matrix<float> x, int threads) const {
    require(x.shape(1) == static_cast<std::size_t>(layout_.k), "x must have K columns");
    Job job = begin(x.shape(0));
    auto* out = new float[x.shape(0) * layout_.n];
    nb::capsule free = owner(out);
    bool finite = true;
    {
      nb::gil_scoped_release unlocked;
      const auto bytes = std::make_unique<std::uint8_t[]>(job.m * job.stride);
      const auto step = std::make_unique<float[]>(job.m);
      std::vector<char> good(job.m, 1);
      const int rows = std::max(1, 8192 / std::max(1, layout_.k));
      parallel_for(threads, job.m, rows, [&](int first, int last, int) {
        good[first] = isa_.quantize(x.data() + static_cast<std::size_t>(first) * layout_.k, last - first, layout_.k,
                                    bytes.get() + first * job.stride, job.stride, step.get() + first);
      });
      finite = std::all_of(good.begin(), good.end(), [](char row) { return row != 0; });
      job.x = bytes.get(), job.step = step.get(), job.out_float = out;
      if (finite) multiply(job, threads);
    }
    require(finite, "activations hold NaN or infinity");
    return {out, {x.shape(0), static_cast<std::size_t>(layout_.n)}, free};
  }

 private:
  void check_sizes() const {
    const Layout& l = layout_;
    const std::size_t tiles = l.tiles, blocks = l.blocks;
    require(l.n > 0 && l.k > 0 && l.groups > 0 && blocks > 0, "sizes must be positive");
    require(l.code_bits >= 2 && l.code_bits <= 4, "code_bits must be 2, 3 or 4");
    require(l.index_bits >= 0 && l.index_bits <= 4, "index_bits must be 0..4");
    require(planes_.size() == tiles * blocks * (l.code_bits + l.index_bits) * kStepBytes, "planes has a wrong size");
    require(mult_.size() == tiles * l.groups * kTileRows, "mult has a wrong size");
    require(start_.size() == tiles * kTileRows && row_scale_.size() == tiles * kTileRows, "rows have a wrong size");
    require(step_base_.size() == blocks * kBlockSteps && lane_base_.size() == blocks * kBlockSteps,
            "steps have a wrong size");
    require(flush_end_.size() == flush_group_.size() && l.flushes > 0, "flushes have a wrong size");
  }

  // Every read stays inside its array: bases inside a row, places inside a table, groups in range, steps ascending.
  void check_reach() const {
    const Layout& l = layout_;
    const std::uint32_t largest_index = (1u << l.index_bits) - 1;
    for (int i = 0; i < l.blocks * kBlockSteps; ++i) {
      require(l.step_base[i] < static_cast<std::uint32_t>(l.k), "step_base leaves the row");
      for (int lane = 0; lane < 4; ++lane) {
        const std::uint32_t base = l.lane_base[i] >> (8 * lane) & 0xff;
        require(l.index_bits == 0 || base + largest_index < 128, "lane_base is too large");
      }
    }
    std::uint32_t last = 0;
    for (int f = 0; f < l.flushes; ++f) {
      require(l.flush_end[f] > last && l.flush_end[f] - last <= kBlockSteps, "flush_end does not ascend by 1..8");
      require(l.flush_group[f] < static_cast<std::uint32_t>(l.groups), "flush_group is out of range");
      last = l.flush_end[f];
    }
    require(last == static_cast<std::uint32_t>(l.blocks) * kBlockSteps, "flush_end does not reach the last step");
  }

  Job begin(std::size_t rows) const {
    Job job;
    job.layout = &layout_;
    job.m = static_cast<int>(rows);
    job.stride = (static_cast<std::size_t>(layout_.k) + kTableBytes + 63) / 64 * 64;
    return job;
  }

  std::vector<std::uint8_t> biased(const std::int8_t* xq, const Job& job) const {
    std::vector<std::uint8_t> x(job.m * job.stride, kActivationBias);
    for (int row = 0; row < job.m; ++row) {
      std::uint8_t* to = x.data() + row * job.stride;
      const std::int8_t* from = xq + static_cast<std::size_t>(row) * layout_.k;
      for (int i = 0; i < layout_.k; ++i) to[i] = static_cast<std::uint8_t>(from[i] + kActivationBias);
    }
    return x;
  }

  void multiply(const Job& job, int threads) const {
    if (job.m == 0) return;
    const int chunk = std::max(1, layout_.tiles / (8 * std::max(1, threads)));
    const bool unpacks = job.m > 1;
    parallel_for(threads, layout_.tiles, chunk, [&](int first, int last, int) {
      thread_local std::vector<std::uint8_t> scratch;
      if (unpacks && scratch.size() < scratch_bytes(layout_)) scratch.resize(scratch_bytes(layout_));
      isa_.tiles(job, first, last, scratch.data());
    });
  }

  const Isa& isa_;
  Vector<std::uint8_t> planes_, mult_;
  Vector<std::int32_t> start_;
  Vector<float> row_scale_;
  Vector<std::uint32_t> step_base_, lane_base_, flush_end_, flush_group_;
  Layout layout_;
};

}  // namespace
}  // namespace nmforge

NB_MODULE(_cpu, module) {
  using nmforge::Linear;
  module.doc() = "W4A8 products of re-laid compressed layers, for every instruction set this machine offers.";
  module.def("isas", nmforge::isa_names, "Names of the instruction sets available here, slowest first.");
  nb::class_<Linear>(module, "Linear")
      .def(nb::init<const std::string&, int, int, int, int, int, nmforge::Vector<std::uint8_t>,
                    nmforge::Vector<std::uint8_t>, nmforge::Vector<std::int32_t>, nmforge::Vector<float>,
                    nmforge::Vector<std::uint32_t>, nmforge::Vector<std::uint32_t>, nmforge::Vector<std::uint32_t>,
                    nmforge::Vector<std::uint32_t>>(),
           "isa"_a, "n"_a, "k"_a, "groups"_a, "code_bits"_a, "index_bits"_a, "planes"_a, "mult"_a, "start"_a,
           "row_scale"_a, "step_base"_a, "lane_base"_a, "flush_end"_a, "flush_group"_a)
      .def("accumulate", &Linear::accumulate, "xq"_a, "threads"_a, "int8[M, K] -> int32[M, N], exact.")
      .def("forward", &Linear::forward, "x"_a, "threads"_a, "float32[M, K] -> float32[M, N], mode W4A8.");
}
