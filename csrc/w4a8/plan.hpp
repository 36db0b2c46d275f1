// From the arrays of a re-laid layer to the layout one instruction set reads. Knows nothing of Python.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "w4a8/layout.hpp"

namespace nmforge {

inline void require(bool holds, const char* rule) {
  if (!holds) throw std::invalid_argument(rule);
}

template <class T>
struct Span {
  const T* data = nullptr;
  std::size_t size = 0;
};

// A layer as it arrives, unchecked. Arrays are those of `Layout`, flat; partial sums end after at most eight steps.
struct Arrays {
  int n = 0, k = 0, groups = 0, code_bits = 0, index_bits = 0;
  Span<std::uint8_t> planes, mult;
  Span<std::int32_t> start;
  Span<float> row_scale;
  Span<std::uint32_t> step_base, lane_base, flush_end, flush_group;
};

// The layout of `arrays`, which must outlive it. The constructor raises std::invalid_argument where a product could
// read outside an array.
class Plan {
 public:
  Plan(const Isa& isa, const Arrays& arrays);
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  const Layout& layout() const { return layout_; }

 private:
  void share_tables(const Arrays& arrays, std::uint32_t table);
  void merge_flushes(const Arrays& arrays, int most_steps);
  int regular_group_steps() const;

  std::vector<std::uint32_t> step_base_, lane_base_, flush_end_, flush_group_;
  std::vector<std::int32_t> zeros_;
  Layout layout_;
};

}  // namespace nmforge
