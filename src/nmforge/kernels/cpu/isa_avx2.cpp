// AVX2: bytes multiply into 16-bit pairs (vpmaddubsw), and one vpmaddwd both widens and scales a group.
//
// A pair of products is at most 255 * 8 * 2 = 4,080 in size and the layout flushes after at most eight steps, so a
// 16-bit lane holds at most 32,640: neither vpmaddubsw nor vpaddw can leave INT16.
#include "gemm.hpp"

#include <immintrin.h>

namespace nmforge {
namespace {

struct Avx2 {
  static constexpr int kBytes = 32;
  static constexpr int kTokens = 3;
  using Bytes = __m256i;
  using Partial = __m256i;
  using Ints = __m256i;

  static Bytes load(const std::uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static void store(std::uint8_t* p, Bytes v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  static Ints load_ints(const std::int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static void store_ints(std::int32_t* p, Ints v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }

  // Shifts act on 16 bits; the mask drops what crossed a byte.
  template <int From, int Width, int To>
  static Bytes pick(Bytes v) {
    if constexpr (From > To) v = _mm256_srli_epi16(v, From - To);
    if constexpr (From < To) v = _mm256_slli_epi16(v, To - From);
    return _mm256_and_si256(v, _mm256_set1_epi8(((1 << Width) - 1) << To));
  }
  static Bytes either(Bytes a, Bytes b) { return _mm256_or_si256(a, b); }
  static Bytes add(Bytes a, Bytes b) { return _mm256_add_epi8(a, b); }
  static Bytes subtract(Bytes a, int b) { return _mm256_sub_epi8(a, _mm256_set1_epi8(static_cast<char>(b))); }
  static Bytes broadcast4(const void* p) {
    int four;
    __builtin_memcpy(&four, p, 4);
    return _mm256_set1_epi32(four);
  }
  static Bytes broadcast16(const void* p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  }
  static Bytes select(Bytes table, Bytes places) { return _mm256_shuffle_epi8(table, places); }

  static Partial zero() { return _mm256_setzero_si256(); }
  static Partial dot(Partial sum, Bytes x, Bytes codes) {
    return _mm256_add_epi16(sum, _mm256_maddubs_epi16(x, codes));
  }
  // Eight multipliers, each twice, as 16-bit pairs.
  static __m256i multiplier(const std::uint8_t* p) {
    const __m256i once = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    return _mm256_or_si256(once, _mm256_slli_epi32(once, 16));
  }
  static Ints flush(Ints acc, Partial sum, __m256i mult) {
    return _mm256_add_epi32(acc, _mm256_madd_epi16(sum, mult));
  }
};

bool available() { return __builtin_cpu_supports("avx2"); }

}  // namespace

const Isa& isa_avx2() {
  static const Isa isa{"avx2", available, multiply<Avx2>, quantize<Avx2>};
  return isa;
}

}  // namespace nmforge
