// What Python sees of a compressed layer: re-laid weights held by reference, checked once when they arrive, then
// multiplied unchecked.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "layout.hpp"
#include "pool.hpp"

namespace nmforge {

namespace nb = nanobind;

template <class T>
using Vector = nb::ndarray<const T, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Matrix = nb::ndarray<const T, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using Result = nb::ndarray<T, nb::numpy, nb::ndim<2>>;

const Isa& find_isa(const std::string& name);  // raises ValueError where it is not available

inline void require(bool holds, const char* rule) {
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
        step_base_(step_base.data(), step_base.data() + step_base.size()),
        lane_base_(lane_base.data(), lane_base.data() + lane_base.size()) {
    layout_.n = n, layout_.k = k, layout_.groups = groups;
    layout_.tiles = (n + kTileRows - 1) / kTileRows;
    layout_.blocks = static_cast<int>(step_base.size() / kBlockSteps);
    layout_.code_bits = code_bits, layout_.index_bits = index_bits;
    layout_.planes = planes_.data(), layout_.mult = mult_.data(), layout_.start = start_.data();
    layout_.row_scale = row_scale_.data();
    layout_.step_base = step_base_.data(), layout_.lane_base = lane_base_.data();
    check_sizes();
    check_reach();
    widen_tables();
    check_flushes(flush_end, flush_group);
    merge_flushes(flush_end, flush_group);
    layout_.group_steps = regular_group_steps();
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

  const Layout& layout() const { return layout_; }
  const Isa& isa() const { return isa_; }

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
  }

  // Where a selection reaches further than a step, neighbouring steps share a table that starts at a multiple of it.
  void widen_tables() {
    const std::uint32_t table = isa_.table, largest_index = (1u << layout_.index_bits) - 1;
    for (std::size_t i = 0; layout_.index_bits > 0 && i < step_base_.size(); ++i) {
      const std::uint32_t shift = step_base_[i] % table;
      std::uint32_t reach = 0;
      for (int lane = 0; lane < 4; ++lane) reach = std::max(reach, (lane_base_[i] >> (8 * lane) & 0xff) + largest_index);
      if (shift + reach < table) {
        step_base_[i] -= shift;
        lane_base_[i] += shift * 0x01010101u;
      }
    }
  }

  void check_flushes(const Vector<std::uint32_t>& end, const Vector<std::uint32_t>& group) const {
    require(end.size() == group.size() && end.size() > 0, "flushes have a wrong size");
    std::uint32_t last = 0;
    for (std::size_t f = 0; f < end.size(); ++f) {
      require(end.data()[f] > last && end.data()[f] - last <= kBlockSteps, "flush_end does not ascend by 1..8");
      require(group.data()[f] < static_cast<std::uint32_t>(layout_.groups), "flush_group is out of range");
      last = end.data()[f];
    }
    require(last == step_base_.size(), "flush_end does not reach the last step");
  }

  // Partial sums of one group become one, as long as they fit the registers of the instruction set.
  void merge_flushes(const Vector<std::uint32_t>& end, const Vector<std::uint32_t>& group) {
    std::uint32_t start = 0;
    for (std::size_t f = 0; f < end.size(); ++f) {
      const bool joins = !flush_group_.empty() && flush_group_.back() == group.data()[f];
      if (joins && end.data()[f] - start <= static_cast<std::uint32_t>(isa_.flush_steps)) {
        flush_end_.back() = end.data()[f];
      } else {
        start = flush_end_.empty() ? 0 : flush_end_.back();
        flush_end_.push_back(end.data()[f]);
        flush_group_.push_back(group.data()[f]);
      }
    }
    layout_.flushes = static_cast<int>(flush_end_.size());
    layout_.flush_end = flush_end_.data(), layout_.flush_group = flush_group_.data();
  }

  // Steps of a group where the layout is regular (see `walk_regular`), else 0.
  int regular_group_steps() const {
    const Layout& l = layout_;
    const int steps = l.blocks * kBlockSteps, group = steps / l.groups;
    const bool halves = group == kBlockSteps / 2 && l.groups % 2 == 0;
    if (steps % l.groups != 0 || !(halves || group % kBlockSteps == 0)) return 0;
    std::vector<bool> ends(steps);
    for (int f = 0; f < l.flushes; ++f) {
      if (l.flush_group[f] != (l.flush_end[f] - 1) / group) return 0;
      ends[l.flush_end[f] - 1] = true;
    }
    for (int i = group - 1; i < steps; i += group) {
      if (!ends[i]) return 0;
    }
    const std::uint32_t index_bytes = ((1u << l.index_bits) - 1) * 0x01010101u;
    const auto even = [&](std::uint32_t base) { return (base & index_bytes) == 0; };
    return std::all_of(l.lane_base, l.lane_base + steps, even) ? group : 0;
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
    const int chunk = std::max(kGemmTiles, layout_.tiles / (8 * std::max(1, threads)) / kGemmTiles * kGemmTiles);
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
  std::vector<std::uint32_t> step_base_, lane_base_, flush_end_, flush_group_;
  Layout layout_;
};

}  // namespace nmforge
