// Registers of 16 bytes, shared by the paths of 64-bit Arm.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "w4a8/layout.hpp"

namespace nmforge {
namespace {

struct NeonBytes {
  static constexpr int kBytes = 16;
  static constexpr int kGatherWidth = 16;
  static constexpr int kTiles = 1, kTokens = 4;
  static constexpr int kSegmentSteps = kChunkSteps;
  static constexpr bool kCodesOnTop = false;
  using Bytes = uint8x16_t;
  using Partial = int32x4_t;
  using Ints = int32x4_t;

  static Bytes load(const std::uint8_t* p) { return vld1q_u8(p); }
  static void store(std::uint8_t* p, Bytes v) { vst1q_u8(p, v); }
  static Ints load_ints(const std::int32_t* p) { return vld1q_s32(p); }
  static void store_ints(std::int32_t* p, Ints v) { vst1q_s32(p, v); }

  template <int From, int To>
  static Bytes move(Bytes v) {
    if constexpr (From > To) v = vshrq_n_u8(v, From - To);
    if constexpr (From < To) v = vshlq_n_u8(v, To - From);
    return v;
  }
  template <int Mask>
  static Bytes merge(Bytes a, Bytes b) {
    return vbslq_u8(vdupq_n_u8(Mask), a, b);
  }
  template <int Width>
  static Bytes codes(Bytes v) {
    return vsubq_u8(low<Width>(v), vdupq_n_u8(1 << (Width - 1)));
  }
  template <int Width, bool kDisjoint>
  static Bytes lane_index(Bytes v, Bytes base) {
    return vaddq_u8(low<Width>(v), base);
  }
  template <int Width>
  static Bytes low(Bytes v) {
    return vandq_u8(v, vdupq_n_u8((1 << Width) - 1));
  }
  static Bytes broadcast4(const void* p) {
    std::uint32_t four;
    __builtin_memcpy(&four, p, 4);
    return vreinterpretq_u8_u32(vdupq_n_u32(four));
  }
  static Bytes table(const void* p) { return vld1q_u8(static_cast<const std::uint8_t*>(p)); }

  static Partial zero() { return vdupq_n_s32(0); }
  static Partial sum(Partial a, Partial b) { return vaddq_s32(a, b); }
  static int32x4_t multiplier(const std::uint8_t* p) {
    std::uint32_t four;
    __builtin_memcpy(&four, p, 4);
    const uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
  }
  template <int>
  static Ints scale_add(Ints acc, Partial sum, int32x4_t mult) {
    return vmlaq_s32(acc, sum, mult);
  }
};

}  // namespace
}  // namespace nmforge
