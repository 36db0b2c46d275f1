// What Python sees of a compressed layer: re-laid weights held by reference, checked once when they arrive, then
// multiplied unchecked.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/aligned.hpp"
#include "common/pool.hpp"
#include "w4a8/layout.hpp"
#include "w4a8/plan.hpp"

namespace nmforge {

namespace nb = nanobind;

template <class T>
using Vector = nb::ndarray<const T, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Matrix = nb::ndarray<const T, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using Result = nb::ndarray<T, nb::numpy, nb::ndim<2>>;

const Isa& find_isa(const std::string& name);  // raises ValueError where it is not available

template <class T>
Span<T> span(const Vector<T>& v) {
  return {v.data(), v.size()};
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
      : isa_(find_isa(isa)),
        planes_(planes),
        mult_(mult),
        start_(start),
        row_scale_(row_scale),
        step_base_(step_base),
        lane_base_(lane_base),
        plan_(isa_, {n, k, groups, code_bits, index_bits, span(planes), span(mult), span(start), span(row_scale),
                     span(step_base), span(lane_base), span(flush_end), span(flush_group)}) {}

  // int8[M, K] -> int32[M, N]
  Result<std::int32_t> accumulate(Matrix<std::int8_t> xq, int threads) const {
    require(xq.shape(1) == static_cast<std::size_t>(layout().k), "xq must have K columns");
    Job job = begin(xq.shape(0));
    auto* out = new std::int32_t[xq.shape(0) * layout().n];
    nb::capsule free = owner(out);
    {
      nb::gil_scoped_release unlocked;
      const AlignedBytes x = biased(xq.data(), job);
      job.x = x.data(), job.out_int = out;
      multiply(job, threads);
    }
    return {out, {xq.shape(0), static_cast<std::size_t>(layout().n)}, free};
  }

  // float32[M, K] -> float32[M, N]
  Result<float> forward(Matrix<float> x, int threads) const {
    require(x.shape(1) == static_cast<std::size_t>(layout().k), "x must have K columns");
    Job job = begin(x.shape(0));
    auto* out = new float[x.shape(0) * layout().n];
    nb::capsule free = owner(out);
    bool finite = true;
    {
      nb::gil_scoped_release unlocked;
      AlignedBytes bytes(job.m * job.stride);
      const auto step = std::make_unique<float[]>(job.m);
      std::vector<char> good(job.m, 1);
      const int rows = std::max(1, 8192 / std::max(1, layout().k));
      parallel_for(threads, job.m, rows, [&](int first, int last, int) {
        good[first] = isa_.quantize(x.data() + static_cast<std::size_t>(first) * layout().k, last - first, layout().k,
                                    bytes.data() + first * job.stride, job.stride, step.get() + first);
      });
      finite = std::all_of(good.begin(), good.end(), [](char row) { return row != 0; });
      job.x = bytes.data(), job.step = step.get(), job.out_float = out;
      if (finite) multiply(job, threads);
    }
    require(finite, "activations hold NaN or infinity");
    return {out, {x.shape(0), static_cast<std::size_t>(layout().n)}, free};
  }

  const Layout& layout() const { return plan_.layout(); }
  const Isa& isa() const { return isa_; }

 private:
  Job begin(std::size_t rows) const {
    Job job;
    job.layout = &layout();
    job.m = static_cast<int>(rows);
    job.stride = (static_cast<std::size_t>(layout().k) + kTableBytes + 63) / 64 * 64;
    return job;
  }

  AlignedBytes biased(const std::int8_t* xq, const Job& job) const {
    AlignedBytes x(job.m * job.stride);
    for (int row = 0; row < job.m; ++row) {
      std::uint8_t* to = x.data() + row * job.stride;
      std::fill(to + layout().k, to + job.stride, kActivationBias);
      const std::int8_t* from = xq + static_cast<std::size_t>(row) * layout().k;
      for (int i = 0; i < layout().k; ++i) to[i] = static_cast<std::uint8_t>(from[i] + kActivationBias);
    }
    return x;
  }

  void multiply(const Job& job, int threads) const {
    if (job.m == 0) return;
    const int chunk = std::max(kGemmTiles, layout().tiles / (4 * std::max(1, threads)) / kGemmTiles * kGemmTiles);
    parallel_for(threads, layout().tiles, chunk, [&](int first, int last, int) { isa_.tiles(job, first, last); });
  }

  const Isa& isa_;
  Vector<std::uint8_t> planes_, mult_;
  Vector<std::int32_t> start_;
  Vector<float> row_scale_;
  Vector<std::uint32_t> step_base_, lane_base_;
  Plan plan_;
};

}  // namespace nmforge
