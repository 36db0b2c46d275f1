// Registers of 64 bytes: one vpdpbusd multiplies a whole step of a tile, 64 codes, into sixteen 32-bit sums.
//
// With NMFORGE_EMULATE_AVX512 the same source compiles against SIMDe's emulation, to be tested on any machine.
#pragma once

#ifdef NMFORGE_EMULATE_AVX512
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#else
#include <immintrin.h>
#endif

#include <cstdint>

#include "w4a8/layout.hpp"

namespace nmforge {
namespace {

struct Avx512Vnni {
  static constexpr int kBytes = 64;
  static constexpr int kGatherWidth = 16;
  static constexpr int kTiles = 2, kTokens = 8;
  static constexpr int kSegmentSteps = kChunkSteps;
  static constexpr bool kCodesOnTop = true;
  using Bytes = __m512i;
  using Partial = __m512i;
  using Ints = __m512i;

  static Bytes load(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
  static void store(std::uint8_t* p, Bytes v) { _mm512_storeu_si512(p, v); }
  static Ints load_ints(const std::int32_t* p) { return _mm512_loadu_si512(p); }
  static void store_ints(std::int32_t* p, Ints v) { _mm512_storeu_si512(p, v); }

  // Shifts act on 16 bits; what crosses a byte lies outside the field.
  template <int From, int To>
  static Bytes move(Bytes v) {
    if constexpr (From > To) v = _mm512_srli_epi16(v, From - To);
    if constexpr (From < To) v = _mm512_slli_epi16(v, To - From);
    return v;
  }
  template <int Mask>
  static Bytes merge(Bytes a, Bytes b) {
    return _mm512_ternarylogic_epi32(_mm512_set1_epi8(static_cast<char>(Mask)), a, b, 0xca);  // mask ? a : b
  }
  // Biased codes in the topmost bits become signed ones by their sign bit: (v & mask) ^ 0x80.
  template <int Width>
  static Bytes codes(Bytes v) {
    const Bytes mask = _mm512_set1_epi8(static_cast<char>(0xff << (8 - Width)));
    return _mm512_ternarylogic_epi32(v, mask, _mm512_set1_epi8(static_cast<char>(0x80)), 0x6a);
  }
  template <int Width, bool kDisjoint>
  static Bytes lane_index(Bytes v, Bytes base) {
    const Bytes mask = _mm512_set1_epi8((1 << Width) - 1);
    if constexpr (kDisjoint) return _mm512_ternarylogic_epi32(v, mask, base, 0xea);  // (v & mask) | base
    return _mm512_add_epi8(_mm512_and_si512(v, mask), base);
  }
  static Bytes broadcast4(const void* p) {
    int four;
    __builtin_memcpy(&four, p, 4);
    return _mm512_set1_epi32(four);
  }
  static Bytes table(const void* p) { return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(p))); }
  static Bytes select(Bytes table, Bytes lane_index) { return _mm512_shuffle_epi8(table, lane_index); }

  static Partial zero() { return _mm512_setzero_si512(); }
  static Partial dot(Partial sum, Bytes x, Bytes codes) {
#if defined(__GNUC__) && !defined(NMFORGE_EMULATE_AVX512)
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(codes));  // around its builtin GCC copies every sum twice
    return sum;
#else
    return _mm512_dpbusd_epi32(sum, x, codes);
#endif
  }
  static Partial sum(Partial a, Partial b) { return _mm512_add_epi32(a, b); }
  static __m512i multiplier(const std::uint8_t* p) {
    const __m256i low = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    const __m256i high = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8)));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }
  // SIMDe has the shift for registers of 32 bytes only.
  template <int Shift>
  static Partial shift(Partial v) {
#ifdef NMFORGE_EMULATE_AVX512
    const __m256i low = _mm256_srai_epi32(_mm512_castsi512_si256(v), Shift);
    const __m256i high = _mm256_srai_epi32(_mm512_extracti64x4_epi64(v, 1), Shift);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
#else
    return _mm512_srai_epi32(v, Shift);
#endif
  }
  // The shift takes the codes' power of two out of their sum, exactly.
  template <int Shift>
  static Ints scale_add(Ints acc, Partial sum, __m512i mult) {
    return _mm512_add_epi32(acc, _mm512_mullo_epi32(shift<Shift>(sum), mult));
  }
};

}  // namespace
}  // namespace nmforge
