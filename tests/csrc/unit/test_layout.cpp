// Planes written bit by bit after the drawing in layout.hpp, multiplied by every instruction set of this machine; and
// what a plan accepts, merges and refuses.
#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "w4a8/isas.hpp"
#include "w4a8/plan.hpp"

namespace nmforge {
namespace {

std::uint32_t next(std::uint32_t& seed) {
  seed = seed * 1664525u + 1013904223u;
  return seed >> 8;
}

// Field of `width` bits of step `step`, byte `byte`, written into the planes of one block.
void put_field(std::uint8_t* planes, int width, int step, int byte, unsigned value) {
  const auto put = [&](int plane, int shift, unsigned bits) {
    planes[plane * kStepBytes + byte] |= static_cast<std::uint8_t>(bits << shift);
  };
  if (width == 4) put(step / 2, 4 * (step % 2), value);
  if (width == 2 || width == 3) put(step / 4, 2 * (step % 4), value & 3);
  if (width == 3) put(2, step, value >> 2);
  if (width == 1) put(0, step, value);
}

// A layer whose steps choose among 16 activations: four windows of 2^index_bits, two bits at most.
struct Layer {
  int n, k, groups, code_bits, index_bits, blocks;
  std::vector<std::uint8_t> planes, mult;
  std::vector<std::int32_t> bias_correction;
  std::vector<float> row_scale;
  std::vector<std::uint32_t> gather_base, lane_base, segment_end, segment_group;
  std::vector<int> weights;  // [rows][k], code times multiplier

  LayerArrays arrays() const {
    return {n,
            k,
            groups,
            code_bits,
            index_bits,
            {planes.data(), planes.size()},
            {mult.data(), mult.size()},
            {bias_correction.data(), bias_correction.size()},
            {row_scale.data(), row_scale.size()},
            {gather_base.data(), gather_base.size()},
            {lane_base.data(), lane_base.size()},
            {segment_end.data(), segment_end.size()},
            {segment_group.data(), segment_group.size()}};
  }
};

// group_steps: steps of a group. Every step selects from 16 activations of its own.
Layer random_layer(int code_bits, int index_bits, int blocks, int group_steps, std::uint32_t seed) {
  const int steps = blocks * kBlockSteps, n = 18, rows = 32, span = index_bits == 0 ? 4 : 16;
  Layer l{n,         steps * span, (steps + group_steps - 1) / group_steps,
          code_bits, index_bits,   blocks,
          {},        {},           {},
          {},        {},           {},
          {},        {},           {}};
  const std::size_t block_bytes = static_cast<std::size_t>(code_bits + index_bits) * kStepBytes;
  l.planes.resize(rows / kTileRows * blocks * block_bytes), l.mult.resize(static_cast<std::size_t>(rows) * l.groups);
  l.bias_correction.resize(rows), l.row_scale.assign(rows, 1.0f);
  l.weights.resize(static_cast<std::size_t>(rows) * l.k);
  const unsigned window = 1u << index_bits;
  for (int s = 0; s < steps; ++s) {
    l.gather_base.push_back(s * span);
    std::uint32_t bases = 0;
    for (unsigned lane = 0; index_bits > 0 && lane < 4; ++lane) bases |= lane * window % 16 << (8 * lane);
    l.lane_base.push_back(bases);
    const int end = (s + 1) % group_steps == 0 || s + 1 == steps || (s % group_steps + 1) % kBlockSteps == 0;
    if (end != 0) l.segment_end.push_back(s + 1), l.segment_group.push_back(s / group_steps);
  }
  for (auto& m : l.mult) m = static_cast<std::uint8_t>(1 + next(seed) % 127);
  for (int row = 0; row < rows; ++row) {
    const int tile = row / kTileRows, r = row % kTileRows;
    for (int s = 0; s < steps; ++s) {
      std::uint8_t* block = l.planes.data() + (static_cast<std::size_t>(tile) * blocks + s / kBlockSteps) * block_bytes;
      const int m = l.mult[(static_cast<std::size_t>(tile) * l.groups + s / group_steps) * kTileRows + r];
      for (int lane = 0; lane < 4; ++lane) {
        const int code = static_cast<int>(next(seed) % (1u << code_bits)) - (1 << (code_bits - 1));
        const unsigned index = next(seed) % window;
        put_field(block, code_bits, s % kBlockSteps, 4 * r + lane, code + (1 << (code_bits - 1)));
        if (index_bits > 0) put_field(block + code_bits * kStepBytes, index_bits, s % kBlockSteps, 4 * r + lane, index);
        const int base = static_cast<int>(l.lane_base[s] >> (8 * lane) & 0xff);
        const int at = s * span + (index_bits == 0 ? lane : base + static_cast<int>(index));
        l.weights[static_cast<std::size_t>(row) * l.k + at] += code * m;
        l.bias_correction[row] -= kActivationBias * code * m;
      }
    }
  }
  return l;
}

// Sums of the layer for m random tokens that differ from those of its dense weights.
int wrong_sums(const Isa& isa, const Layer& layer, int m, std::uint32_t seed) {
  const Plan plan(isa, layer.arrays());
  GemmArgs args;
  args.layout = &plan.layout(), args.m = m, args.stride = activation_stride(layer.k);
  std::vector<std::uint8_t> x(m * args.stride, kActivationBias);
  for (int t = 0; t < m; ++t) {
    for (int i = 0; i < layer.k; ++i) x[t * args.stride + i] = static_cast<std::uint8_t>(1 + next(seed) % 255);
  }
  std::vector<std::int32_t> out(static_cast<std::size_t>(m) * layer.n, -1);
  args.x = x.data(), args.out_int = out.data();
  isa.multiply(args, 0, plan.layout().tiles);
  int wrong = 0;
  for (int t = 0; t < m; ++t) {
    for (int row = 0; row < layer.n; ++row) {
      std::int64_t sum = 0;
      for (int i = 0; i < layer.k; ++i) {
        const int xq = x[t * args.stride + i] - kActivationBias;
        sum += static_cast<std::int64_t>(layer.weights[static_cast<std::size_t>(row) * layer.k + i]) * xq;
      }
      wrong += out[static_cast<std::size_t>(t) * layer.n + row] != sum;
    }
  }
  return wrong;
}

TEST_CASE("planes as drawn multiply to the sums of the dense weights") {
  for (const Isa* isa : available_isas()) {
    for (const int code_bits : {2, 3, 4}) {
      for (const int index_bits : {0, 1, 2}) {
        for (const int group_steps : {4, 5, 8, 16}) {
          const Layer layer = random_layer(code_bits, index_bits, 4, group_steps, 100 * code_bits + index_bits);
          CAPTURE(std::string(isa->name));
          CAPTURE(code_bits);
          CAPTURE(index_bits);
          CAPTURE(group_steps);
          for (const int m : {1, 3, 17}) CHECK(wrong_sums(*isa, layer, m, m) == 0);
        }
      }
    }
  }
}

TEST_CASE("segments of one group merge up to the limit of the instruction set") {
  const Layer layer = random_layer(4, 0, 4, 16, 1);  // two groups of two segments of eight steps
  Isa isa = isa_portable;
  isa.segment_steps = 16;
  const Plan merged(isa, layer.arrays());
  CHECK(merged.layout().segments == 2);
  CHECK(merged.layout().segment_end[0] == 16);
  CHECK(merged.layout().segment_group[1] == 1);
  isa.segment_steps = 8;
  CHECK(Plan(isa, layer.arrays()).layout().segments == 4);
}

TEST_CASE("uniform layouts are found, others are not") {
  const auto group_steps = [](int steps, int index_bits) {
    return Plan(isa_portable, random_layer(4, index_bits, 4, steps, 1).arrays()).layout().group_steps;
  };
  CHECK(group_steps(4, 0) == 4);
  CHECK(group_steps(8, 2) == 8);
  CHECK(group_steps(16, 0) == 16);
  CHECK(group_steps(5, 0) == 0);
  CHECK(group_steps(12, 0) == 0);
}

TEST_CASE("neighbouring steps share a table where the instruction set selects from more") {
  const Layer layer = random_layer(4, 2, 1, 8, 1);
  Isa isa = isa_portable;
  isa.gather_width = 64;
  const Plan plan(isa, layer.arrays());
  CHECK(plan.layout().gather_base[3] == 0);
  CHECK(plan.layout().lane_base[3] == layer.lane_base[3] + 48 * 0x01010101u);
  CHECK(plan.layout().gather_base[4] == 64);
}

TEST_CASE("signed activations need no bias correction") {
  const Layer layer = random_layer(4, 0, 1, 8, 1);
  Isa isa = isa_portable;
  isa.signed_activations = true;
  const Plan plan(isa, layer.arrays());
  for (int row = 0; row < 32; ++row) CHECK(plan.layout().bias_correction[row] == 0);
}

TEST_CASE("a plan refuses arrays that a product would read outside of") {
  const auto refusal = [](const std::function<void(Layer&)>& damage) -> std::string {
    Layer layer = random_layer(4, 2, 2, 8, 1);
    damage(layer);
    try {
      const Plan plan(isa_portable, layer.arrays());
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  };
  CHECK(refusal([](Layer&) {}) == "accepted");
  CHECK(refusal([](Layer& l) { l.n = 0; }) == "sizes must be positive");
  CHECK(refusal([](Layer& l) { l.code_bits = 5; }) == "code_bits must be 2, 3 or 4");
  CHECK(refusal([](Layer& l) { l.index_bits = 5; }) == "index_bits must be 0..4");
  CHECK(refusal([](Layer& l) { l.planes.pop_back(); }) == "planes has a wrong size");
  CHECK(refusal([](Layer& l) { l.mult.pop_back(); }) == "mult has a wrong size");
  CHECK(refusal([](Layer& l) { l.row_scale.pop_back(); }) == "rows have a wrong size");
  CHECK(refusal([](Layer& l) { l.lane_base.pop_back(); }) == "steps have a wrong size");
  CHECK(refusal([](Layer& l) { l.gather_base[3] = l.k; }) == "gather_base leaves the row");
  CHECK(refusal([](Layer& l) { l.lane_base[3] = 125u << 16; }) == "lane_base is too large");
  CHECK(refusal([](Layer& l) { l.segment_group[1] = l.groups; }) == "segment_group is out of range");
  CHECK(refusal([](Layer& l) { l.segment_end[0] = 9; }) == "segment_end does not ascend by 1..8");
  CHECK(refusal([](Layer& l) { l.segment_end.back() = 15; }) == "segment_end does not reach the last step");
}

}  // namespace
}  // namespace nmforge
