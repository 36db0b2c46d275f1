#include "w4a8/plan.hpp"

#include <algorithm>

#include "common/require.hpp"

namespace nmforge {
namespace {

void check_sizes(const LayerArrays& a) {
  require(a.n > 0 && a.k > 0 && a.groups > 0 && a.gather_base.size >= kBlockSteps, "sizes must be positive");
  require(a.code_bits >= kMinCodeBits && a.code_bits <= kMaxCodeBits, "code_bits must be 2, 3 or 4");
  require(a.index_bits >= 0 && a.index_bits <= kMaxIndexBits, "index_bits must be 0..4");
  const std::size_t rows = (static_cast<std::size_t>(a.n) + kTileRows - 1) / kTileRows * kTileRows;
  const std::size_t blocks = a.gather_base.size / kBlockSteps;
  require(a.planes.size == rows / kTileRows * blocks * (a.code_bits + a.index_bits) * kStepBytes,
          "planes has a wrong size");
  require(a.mult.size == rows * a.groups, "mult has a wrong size");
  require(a.bias_correction.size == rows && a.row_scale.size == rows, "rows have a wrong size");
  require(a.gather_base.size == blocks * kBlockSteps && a.lane_base.size == a.gather_base.size,
          "steps have a wrong size");
}

// Every read stays inside its array: gather bases inside a row, lane indices inside a table.
void check_gathers(const LayerArrays& a) {
  const std::uint32_t largest_index = (1u << a.index_bits) - 1;
  for (std::size_t i = 0; i < a.gather_base.size; ++i) {
    require(a.gather_base.data[i] < static_cast<std::uint32_t>(a.k), "gather_base leaves the row");
    for (int lane = 0; lane < 4; ++lane) {
      const std::uint32_t base = a.lane_base.data[i] >> (8 * lane) & 0xff;
      require(a.index_bits == 0 || base + largest_index < kLaneIndexEnd, "lane_base is too large");
    }
  }
}

// Groups in range, ends ascending up to the last step.
void check_segments(const LayerArrays& a) {
  const Span<std::uint32_t>&end = a.segment_end, &group = a.segment_group;
  require(end.size == group.size && end.size > 0, "segments have a wrong size");
  std::uint32_t last = 0;
  for (std::size_t f = 0; f < end.size; ++f) {
    require(end.data[f] > last && end.data[f] - last <= kBlockSteps, "segment_end does not ascend by 1..8");
    require(group.data[f] < static_cast<std::uint32_t>(a.groups), "segment_group is out of range");
    last = end.data[f];
  }
  require(last == a.gather_base.size, "segment_end does not reach the last step");
}

}  // namespace

Plan::Plan(const Isa& isa, const LayerArrays& a) {
  check_sizes(a);
  check_gathers(a);
  check_segments(a);
  Layout& l = layout_;
  l.n = a.n, l.k = a.k, l.groups = a.groups, l.code_bits = a.code_bits, l.index_bits = a.index_bits;
  l.tiles = static_cast<int>(a.bias_correction.size / kTileRows);
  l.blocks = static_cast<int>(a.gather_base.size / kBlockSteps);
  l.planes = a.planes.data, l.mult = a.mult.data, l.row_scale = a.row_scale.data;
  share_tables(a, static_cast<std::uint32_t>(isa.gather_width));
  if (isa.signed_activations) zeros_.resize(a.bias_correction.size);
  l.bias_correction = isa.signed_activations ? zeros_.data() : a.bias_correction.data;
  merge_segments(a, isa.segment_steps);
  l.group_steps = uniform_group_steps();
}

// Where a selection covers more activations than a step needs, neighbouring steps share one table, which starts at a
// multiple of the gather width.
void Plan::share_tables(const LayerArrays& a, std::uint32_t gather_width) {
  gather_base_.assign(a.gather_base.data, a.gather_base.data + a.gather_base.size);
  lane_base_.assign(a.lane_base.data, a.lane_base.data + a.lane_base.size);
  const std::uint32_t largest_index = (1u << a.index_bits) - 1;
  for (std::size_t i = 0; a.index_bits > 0 && i < gather_base_.size(); ++i) {
    std::uint32_t farthest = 0;
    for (int lane = 0; lane < 4; ++lane) {
      farthest = std::max(farthest, (lane_base_[i] >> (8 * lane) & 0xff) + largest_index);
    }
    const std::uint32_t shift = gather_base_[i] % gather_width;
    if (shift + farthest < gather_width) {
      gather_base_[i] -= shift;
      lane_base_[i] += shift * 0x01010101u;
    }
  }
  layout_.gather_base = gather_base_.data(), layout_.lane_base = lane_base_.data();
}

// Segments of one group become one, as long as their partial sum fits the registers of the instruction set.
void Plan::merge_segments(const LayerArrays& a, int most_steps) {
  std::uint32_t start = 0;
  for (std::size_t f = 0; f < a.segment_end.size; ++f) {
    const std::uint32_t end = a.segment_end.data[f], group = a.segment_group.data[f];
    const bool joins = !segment_group_.empty() && segment_group_.back() == group;
    if (joins && end - start <= static_cast<std::uint32_t>(most_steps)) {
      segment_end_.back() = end;
    } else {
      start = segment_end_.empty() ? 0 : segment_end_.back();
      segment_end_.push_back(end);
      segment_group_.push_back(group);
    }
  }
  layout_.segments = static_cast<int>(segment_end_.size());
  layout_.segment_end = segment_end_.data(), layout_.segment_group = segment_group_.data();
}

// Steps of a group where the layout is uniform (see `gemv_uniform_groups`), else 0.
int Plan::uniform_group_steps() const {
  const Layout& l = layout_;
  const int steps = l.blocks * kBlockSteps, group = steps / l.groups;
  const bool half_blocks = group == kBlockSteps / 2 && l.groups % 2 == 0;
  if (steps % l.groups != 0 || !(half_blocks || group % kBlockSteps == 0)) return 0;
  std::vector<bool> ends(steps);
  for (int f = 0; f < l.segments; ++f) {
    if (l.segment_group[f] != (l.segment_end[f] - 1) / group) return 0;
    ends[l.segment_end[f] - 1] = true;
  }
  for (int i = group - 1; i < steps; i += group) {
    if (!ends[i]) return 0;
  }
  const std::uint32_t index_bytes = ((1u << l.index_bits) - 1) * 0x01010101u;
  const auto disjoint = [&](std::uint32_t base) { return (base & index_bytes) == 0; };
  return std::all_of(l.lane_base, l.lane_base + steps, disjoint) ? group : 0;
}

}  // namespace nmforge
