// Fields of the bit planes, unpacked into registers, once for every instruction set.
//
// `Simd` is what a file `isa_*.cpp` supplies: registers of Simd::kBytes bytes and sixteen operations on them.
#pragma once

#include <type_traits>
#include <utility>

#include "w4a8/layout.hpp"

namespace nmforge {

// The field of step S, part p of its 64 bytes, in bits At .. At + Width - 1 of every byte; other bits are undefined.
template <class Simd, int Width, int S, int At>
inline typename Simd::Bytes field(const std::uint8_t* planes, int p) {
  const std::uint8_t* part = planes + p * Simd::kBytes;
  if constexpr (Width == 4) {
    return Simd::template move<4 * (S % 2), At>(Simd::load(part + S / 2 * kStepBytes));
  } else if constexpr (Width == 2) {
    return Simd::template move<2 * (S % 4), At>(Simd::load(part + S / 4 * kStepBytes));
  } else if constexpr (Width == 1) {
    return Simd::template move<S, At>(Simd::load(part));
  } else {
    static_assert(Width == 3);
    const auto high = Simd::template move<S, At + 2>(Simd::load(part + 2 * kStepBytes));
    return Simd::template merge<1 << (At + 2)>(high, field<Simd, 2, S, At>(planes, p));
  }
}

// Unpacked codes are signed and multiplied by 2^code_shift.
template <class Simd, int CodeBits>
constexpr int code_shift() {
  return Simd::kCodesOnTop ? 8 - CodeBits : 0;
}
template <class Simd, int CodeBits, int S>
inline typename Simd::Bytes unpack_codes(const std::uint8_t* block, int p) {
  return Simd::template codes<CodeBits>(field<Simd, CodeBits, S, code_shift<Simd, CodeBits>()>(block, p));
}

// index + base. kDisjoint: no base has a bit in common with an index, so an `or` adds them.
template <class Simd, int CodeBits, int IndexBits, int S, bool kDisjoint>
inline typename Simd::Bytes unpack_lane_index(const std::uint8_t* block, int p, typename Simd::Bytes base) {
  const std::uint8_t* indices = block + CodeBits * kStepBytes;
  return Simd::template lane_index<IndexBits, kDisjoint>(field<Simd, IndexBits, S, 0>(indices, p), base);
}

// Calls body(std::integral_constant<int, S>) for S = 0..7.
template <class Body, int... S>
inline void each_step(Body&& body, std::integer_sequence<int, S...>) {
  (body(std::integral_constant<int, S>{}), ...);
}
template <class Body>
inline void each_step(Body&& body) {
  each_step(static_cast<Body&&>(body), std::make_integer_sequence<int, kBlockSteps>{});
}

template <class Simd, int Lines>
inline void prefetch(const std::uint8_t* at) {
  for (int line = 0; line < Lines; ++line) __builtin_prefetch(at + line * kStepBytes);
}

// Stores the rows of a tile that exist: as INT32, or as float32(acc) * (step * row_scale). acc: int32[16].
template <class Simd>
void write_tile(const GemmArgs& args, int tile, int token, const std::int32_t* acc) {
  const Layout& layout = *args.layout;
  const int first = tile * kTileRows;
  const int rows = layout.n - first < kTileRows ? layout.n - first : kTileRows;
  const std::size_t at = static_cast<std::size_t>(token) * layout.n + first;
  if (args.out_int != nullptr) {
    for (int r = 0; r < rows; ++r) args.out_int[at + r] = acc[r];
  } else {
    for (int r = 0; r < rows; ++r) {
      const float scale = args.step[token] * layout.row_scale[first + r];
      args.out_float[at + r] = static_cast<float>(acc[r]) * scale;
    }
  }
}

}  // namespace nmforge
