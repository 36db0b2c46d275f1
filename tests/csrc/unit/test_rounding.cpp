// Rounding of activations to INT8 and of floats to bf16, on every instruction set of this machine, to the bit.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "w4a8/isas.hpp"

namespace nmforge {
namespace {

float from_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

struct Quantized {
  std::vector<std::uint8_t> bytes;
  float step;
  bool finite;

  std::vector<int> values(std::size_t k) const {
    std::vector<int> found;
    for (std::size_t i = 0; i < k; ++i) found.push_back(bytes[i] - kActivationBias);
    return found;
  }
};

Quantized quantized(const Isa& isa, const std::vector<float>& x) {
  const int k = static_cast<int>(x.size());
  Quantized found{std::vector<std::uint8_t>(activation_stride(k), 77), -1.0f, false};
  found.finite = isa.quantize(x.data(), 1, k, found.bytes.data(), found.bytes.size(), &found.step);
  return found;
}

// round_half_even(x / a) by the C library, which rounds to even by default.
std::vector<int> expected(const std::vector<float>& x, float a) {
  std::vector<int> found;
  for (const float value : x) found.push_back(static_cast<int>(std::nearbyint(std::fmin(127.0f, value / a))));
  return found;
}

TEST_CASE("halves round to the even integer") {
  const std::vector<float> x = {127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, -126.5f, 0, 0.49999997f, -127};
  const std::vector<int> even = {127, 0, 2, 2, 0, -2, -2, 126, -126, 0, 0, -127};
  for (const Isa* isa : available_isas()) {
    CAPTURE(std::string(isa->name));
    const Quantized found = quantized(*isa, x);
    CHECK(found.finite);
    CHECK(found.step == 1.0f);
    CHECK(found.values(x.size()) == even);
  }
}

TEST_CASE("activations of any size are those of the C library, and the padding is zero") {
  std::uint32_t seed = 1;
  for (const float scale : {1e-38f, 1e-20f, 1.0f, 1e30f}) {
    std::vector<float> x(61);
    for (float& value : x) {
      seed = seed * 1664525u + 1013904223u;
      value = static_cast<float>(static_cast<std::int32_t>(seed)) * 0x1p-31f * scale;
    }
    for (const Isa* isa : available_isas()) {
      CAPTURE(std::string(isa->name));
      const Quantized found = quantized(*isa, x);
      CHECK(found.values(x.size()) == expected(x, found.step));
      for (std::size_t i = x.size(); i < found.bytes.size(); ++i) REQUIRE(found.bytes[i] == kActivationBias);
    }
  }
}

TEST_CASE("a row of zeros has step 0 and zeros, a row that is not finite is refused") {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const Isa* isa : available_isas()) {
    CAPTURE(std::string(isa->name));
    const Quantized zeros = quantized(*isa, {0.0f, -0.0f, 0.0f});
    CHECK(zeros.step == 0.0f);
    CHECK(zeros.values(3) == std::vector<int>{0, 0, 0});
    CHECK_FALSE(quantized(*isa, {1.0f, infinity}).finite);
    CHECK_FALSE(quantized(*isa, {-infinity, 1.0f}).finite);
    CHECK_FALSE(quantized(*isa, {1.0f, std::numeric_limits<float>::quiet_NaN()}).finite);
  }
}

// The nearer of the two bf16 numbers around a float; at equal distance the one with an even last bit.
std::uint16_t nearest_bf16(float x) {
  const auto below = static_cast<std::uint16_t>(bits_of(x) >> 16);  // towards zero
  const auto above = static_cast<std::uint16_t>(below + 1);
  const double down = std::fabs(static_cast<double>(x) - from_bits(static_cast<std::uint32_t>(below) << 16));
  const double up = std::fabs(from_bits(static_cast<std::uint32_t>(above) << 16) - static_cast<double>(x));
  if (down == up) return below % 2 == 0 ? below : above;
  return down < up ? below : above;
}

TEST_CASE("bf16 is the nearest, ties to even, and back is exact") {
  std::vector<float> x = {1.0f,
                          from_bits(0x3f808000),
                          from_bits(0x3f818000),
                          from_bits(0x3f808001),
                          from_bits(0xbf808000),
                          from_bits(0x00008000),
                          from_bits(0x00018000),
                          -0.0f};
  std::uint32_t seed = 3;
  while (x.size() % 16 != 0 || x.size() < 256) {
    seed = seed * 1664525u + 1013904223u;
    x.push_back(from_bits((seed & 0x807fffff) | (0x20u + (seed >> 24 & 0x7f)) << 23));
  }
  const int n = static_cast<int>(x.size());
  for (const Isa* isa : available_isas()) {
    CAPTURE(std::string(isa->name));
    std::vector<std::uint16_t> half(x.size());
    std::vector<float> back(x.size()), rounded = x;
    isa->floats->to_bf16(x.data(), n, half.data());
    isa->floats->from_bf16(half.data(), n, back.data());
    isa->floats->round_to_bf16(rounded.data(), n);
    for (std::size_t i = 0; i < x.size(); ++i) {
      REQUIRE(half[i] == nearest_bf16(x[i]));
      REQUIRE(bits_of(back[i]) == static_cast<std::uint32_t>(half[i]) << 16);
      REQUIRE(bits_of(rounded[i]) == bits_of(back[i]));
    }
  }
}

}  // namespace
}  // namespace nmforge
