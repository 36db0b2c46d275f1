// Plain C++: the path every machine has.
#include "w4a8/make_isa.hpp"

namespace nmforge {
namespace {

struct Portable {
  static constexpr int kBytes = 64;
  static constexpr int kGatherWidth = 16;
  static constexpr int kTiles = 1, kTokens = 4;
  static constexpr int kSegmentSteps = kChunkSteps;
  static constexpr bool kCodesOnTop = false;
  struct Bytes {
    std::uint8_t at[64];
  };
  struct Ints {
    std::int32_t at[16];
  };
  using Partial = Ints;

  static Bytes load(const std::uint8_t* p) {
    Bytes v;
    __builtin_memcpy(v.at, p, sizeof v.at);
    return v;
  }
  static void store(std::uint8_t* p, const Bytes& v) { __builtin_memcpy(p, v.at, sizeof v.at); }
  static Ints load_ints(const std::int32_t* p) {
    Ints v;
    __builtin_memcpy(v.at, p, sizeof v.at);
    return v;
  }
  static void store_ints(std::int32_t* p, const Ints& v) { __builtin_memcpy(p, v.at, sizeof v.at); }

  template <int From, int To>
  static Bytes move(Bytes v) {
    for (auto& byte : v.at) byte = static_cast<std::uint8_t>(byte << 8 >> (8 + From - To));
    return v;
  }
  template <int Mask>
  static Bytes merge(Bytes a, const Bytes& b) {
    for (int i = 0; i < 64; ++i) a.at[i] = static_cast<std::uint8_t>((a.at[i] & Mask) | (b.at[i] & ~Mask));
    return a;
  }
  template <int Width>
  static Bytes codes(Bytes v) {
    constexpr int kMask = (1 << Width) - 1, kBias = 1 << (Width - 1);
    for (auto& byte : v.at) byte = static_cast<std::uint8_t>((byte & kMask) - kBias);
    return v;
  }
  template <int Width, bool>
  static Bytes lane_index(Bytes v, const Bytes& base) {
    for (int i = 0; i < 64; ++i) v.at[i] = static_cast<std::uint8_t>((v.at[i] & ((1 << Width) - 1)) + base.at[i]);
    return v;
  }
  static Bytes broadcast4(const void* p) {
    Bytes v;
    for (int i = 0; i < 64; i += 4) __builtin_memcpy(v.at + i, p, 4);
    return v;
  }
  static Bytes table(const void* p) {
    Bytes v;
    for (int i = 0; i < 64; i += 16) __builtin_memcpy(v.at + i, p, 16);
    return v;
  }
  static Bytes select(const Bytes& table, const Bytes& lane_index) {
    Bytes v;
    for (int i = 0; i < 64; ++i) v.at[i] = table.at[lane_index.at[i] & 15];
    return v;
  }

  static Partial zero() { return Partial{}; }
  static Partial dot(Partial sum, const Bytes& x, const Bytes& codes) {
    for (int r = 0; r < 16; ++r) {
      int four = 0;  // a separate sum: g++ 13 crashes where it accumulates in sum.at[r]
      for (int j = 4 * r; j < 4 * r + 4; ++j) four += x.at[j] * static_cast<std::int8_t>(codes.at[j]);
      sum.at[r] += four;
    }
    return sum;
  }
  static Partial sum(Partial a, const Partial& b) {
    for (int r = 0; r < 16; ++r) a.at[r] += b.at[r];
    return a;
  }
  static const std::uint8_t* multiplier(const std::uint8_t* p) { return p; }
  // Unsigned, so that intermediate sums wrap; the total fits in INT32.
  template <int>
  static Ints scale_add(Ints acc, const Partial& sum, const std::uint8_t* mult) {
    for (int r = 0; r < 16; ++r) {
      acc.at[r] = static_cast<std::int32_t>(static_cast<std::uint32_t>(acc.at[r]) +
                                            static_cast<std::uint32_t>(sum.at[r]) * mult[r]);
    }
    return acc;
  }
};

}  // namespace

constexpr Isa isa_portable = make_isa<Portable>("portable");

}  // namespace nmforge
