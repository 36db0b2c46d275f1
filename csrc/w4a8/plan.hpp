// From the arrays of a repacked layer to the layout that one instruction set reads. Knows nothing of Python.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "w4a8/isa.hpp"

namespace nmforge {

template <class T>
struct Span {
  const T* data = nullptr;
  std::size_t size = 0;
};

// A layer as it arrives, unchecked: the flat arrays of `Layout`, in segments of at most eight steps.
struct LayerArrays {
  int n = 0, k = 0, groups = 0, code_bits = 0, index_bits = 0;
  Span<std::uint8_t> planes, mult;
  Span<std::int32_t> bias_correction;
  Span<float> row_scale;
  Span<std::uint32_t> gather_base, lane_base, segment_end, segment_group;
};

// The layout of `arrays`, which must outlive it. The constructor raises std::invalid_argument where a product could
// read outside an array.
class Plan {
 public:
  Plan(const Isa& isa, const LayerArrays& arrays);
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  const Layout& layout() const { return layout_; }

 private:
  void share_tables(const LayerArrays& arrays, std::uint32_t gather_width);
  void merge_segments(const LayerArrays& arrays, int most_steps);
  int uniform_group_steps() const;

  std::vector<std::uint32_t> gather_base_, lane_base_, segment_end_, segment_group_;
  std::vector<std::int32_t> zeros_;
  Layout layout_;
};

}  // namespace nmforge
