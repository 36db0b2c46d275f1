#include "w4a8/plan.hpp"

#include <algorithm>

namespace nmforge {
namespace {

void check_sizes(const Arrays& a) {
  require(a.n > 0 && a.k > 0 && a.groups > 0 && a.step_base.size >= kBlockSteps, "sizes must be positive");
  require(a.code_bits >= 2 && a.code_bits <= 4, "code_bits must be 2, 3 or 4");
  require(a.index_bits >= 0 && a.index_bits <= 4, "index_bits must be 0..4");
  const std::size_t rows = (static_cast<std::size_t>(a.n) + kTileRows - 1) / kTileRows * kTileRows;
  const std::size_t blocks = a.step_base.size / kBlockSteps;
  require(a.planes.size == rows / kTileRows * blocks * (a.code_bits + a.index_bits) * kStepBytes,
          "planes has a wrong size");
  require(a.mult.size == rows * a.groups, "mult has a wrong size");
  require(a.start.size == rows && a.row_scale.size == rows, "rows have a wrong size");
  require(a.step_base.size == blocks * kBlockSteps && a.lane_base.size == a.step_base.size, "steps have a wrong size");
}

// Every read stays inside its array: bases inside a row, places inside a table.
void check_reach(const Arrays& a) {
  const std::uint32_t largest_index = (1u << a.index_bits) - 1;
  for (std::size_t i = 0; i < a.step_base.size; ++i) {
    require(a.step_base.data[i] < static_cast<std::uint32_t>(a.k), "step_base leaves the row");
    for (int lane = 0; lane < 4; ++lane) {
      const std::uint32_t base = a.lane_base.data[i] >> (8 * lane) & 0xff;
      require(a.index_bits == 0 || base + largest_index < 128, "lane_base is too large");
    }
  }
}

// Groups in range, steps ascending up to the last.
void check_flushes(const Arrays& a) {
  const Span<std::uint32_t>&end = a.flush_end, &group = a.flush_group;
  require(end.size == group.size && end.size > 0, "flushes have a wrong size");
  std::uint32_t last = 0;
  for (std::size_t f = 0; f < end.size; ++f) {
    require(end.data[f] > last && end.data[f] - last <= kBlockSteps, "flush_end does not ascend by 1..8");
    require(group.data[f] < static_cast<std::uint32_t>(a.groups), "flush_group is out of range");
    last = end.data[f];
  }
  require(last == a.step_base.size, "flush_end does not reach the last step");
}

}  // namespace

Plan::Plan(const Isa& isa, const Arrays& a) {
  check_sizes(a);
  check_reach(a);
  check_flushes(a);
  Layout& l = layout_;
  l.n = a.n, l.k = a.k, l.groups = a.groups, l.code_bits = a.code_bits, l.index_bits = a.index_bits;
  l.tiles = static_cast<int>(a.start.size / kTileRows);
  l.blocks = static_cast<int>(a.step_base.size / kBlockSteps);
  l.planes = a.planes.data, l.mult = a.mult.data, l.row_scale = a.row_scale.data;
  share_tables(a, static_cast<std::uint32_t>(isa.table));
  if (isa.signed_activations) zeros_.resize(a.start.size);
  l.start = isa.signed_activations ? zeros_.data() : a.start.data;
  merge_flushes(a, isa.flush_steps);
  l.group_steps = regular_group_steps();
}

// Where a selection reaches further than a step, neighbouring steps share a table that starts at a multiple of it.
void Plan::share_tables(const Arrays& a, std::uint32_t table) {
  step_base_.assign(a.step_base.data, a.step_base.data + a.step_base.size);
  lane_base_.assign(a.lane_base.data, a.lane_base.data + a.lane_base.size);
  const std::uint32_t largest_index = (1u << a.index_bits) - 1;
  for (std::size_t i = 0; a.index_bits > 0 && i < step_base_.size(); ++i) {
    std::uint32_t reach = 0;
    for (int lane = 0; lane < 4; ++lane) reach = std::max(reach, (lane_base_[i] >> (8 * lane) & 0xff) + largest_index);
    const std::uint32_t shift = step_base_[i] % table;
    if (shift + reach < table) {
      step_base_[i] -= shift;
      lane_base_[i] += shift * 0x01010101u;
    }
  }
  layout_.step_base = step_base_.data(), layout_.lane_base = lane_base_.data();
}

// Partial sums of one group become one, as long as they fit the registers of the instruction set.
void Plan::merge_flushes(const Arrays& a, int most_steps) {
  std::uint32_t start = 0;
  for (std::size_t f = 0; f < a.flush_end.size; ++f) {
    const std::uint32_t end = a.flush_end.data[f], group = a.flush_group.data[f];
    const bool joins = !flush_group_.empty() && flush_group_.back() == group;
    if (joins && end - start <= static_cast<std::uint32_t>(most_steps)) {
      flush_end_.back() = end;
    } else {
      start = flush_end_.empty() ? 0 : flush_end_.back();
      flush_end_.push_back(end);
      flush_group_.push_back(group);
    }
  }
  layout_.flushes = static_cast<int>(flush_end_.size());
  layout_.flush_end = flush_end_.data(), layout_.flush_group = flush_group_.data();
}

// Steps of a group where the layout is regular (see `walk_regular`), else 0.
int Plan::regular_group_steps() const {
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

}  // namespace nmforge
