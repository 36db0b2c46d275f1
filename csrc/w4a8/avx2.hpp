// Registers of 32 bytes, shared by the paths that have AVX2.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace nmforge {
namespace {

struct Avx2Bytes {
  static constexpr int kBytes = 32;
  static constexpr int kGatherWidth = 16;
  static constexpr int kTiles = 1, kTokens = 3;
  static constexpr bool kCodesOnTop = false;
  using Bytes = __m256i;
  using Partial = __m256i;
  using Ints = __m256i;

  static Bytes load(const std::uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static void store(std::uint8_t* p, Bytes v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  static Ints load_ints(const std::int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static void store_ints(std::int32_t* p, Ints v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }

  // Shifts act on 16 bits; what crosses a byte lies outside the field.
  template <int From, int To>
  static Bytes move(Bytes v) {
    if constexpr (From > To) v = _mm256_srli_epi16(v, From - To);
    if constexpr (From < To) v = _mm256_slli_epi16(v, To - From);
    return v;
  }
  template <int Mask>
  static Bytes merge(Bytes a, Bytes b) {
    const Bytes mask = _mm256_set1_epi8(static_cast<char>(Mask));
    return _mm256_or_si256(_mm256_and_si256(mask, a), _mm256_andnot_si256(mask, b));
  }
  template <int Width>
  static Bytes codes(Bytes v) {
    return _mm256_sub_epi8(low<Width>(v), _mm256_set1_epi8(1 << (Width - 1)));
  }
  template <int Width, bool kDisjoint>
  static Bytes lane_index(Bytes v, Bytes base) {
    return _mm256_add_epi8(low<Width>(v), base);
  }
  template <int Width>
  static Bytes low(Bytes v) {
    return _mm256_and_si256(v, _mm256_set1_epi8((1 << Width) - 1));
  }
  static Bytes broadcast4(const void* p) {
    int four;
    __builtin_memcpy(&four, p, 4);
    return _mm256_set1_epi32(four);
  }
  static Bytes table(const void* p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  }
  static Bytes select(Bytes table, Bytes lane_index) { return _mm256_shuffle_epi8(table, lane_index); }
  static Partial zero() { return _mm256_setzero_si256(); }
};

}  // namespace
}  // namespace nmforge
