// AVX2: bytes multiply into 16-bit pairs (vpmaddubsw), and one vpmaddwd both widens and scales a group.
//
// A pair of products is at most 255 * 8 * 2 = 4,080 in size and a partial sum ends after at most eight steps, so a
// 16-bit lane holds at most 32,640: neither vpmaddubsw nor vpaddw can leave INT16.
#include "w4a8/avx2.hpp"
#include "w4a8/make_isa.hpp"

namespace nmforge {
namespace {

struct Avx2 : Avx2Bytes {
  static constexpr int kSegmentSteps = 8;

  static Partial dot(Partial sum, Bytes x, Bytes codes) {
    return _mm256_add_epi16(sum, _mm256_maddubs_epi16(x, codes));
  }
  static Partial sum(Partial a, Partial b) { return _mm256_add_epi16(a, b); }
  // Eight multipliers, each twice, as 16-bit pairs.
  static __m256i multiplier(const std::uint8_t* p) {
    const __m256i once = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    return _mm256_or_si256(once, _mm256_slli_epi32(once, 16));
  }
  template <int>
  static Ints scale_add(Ints acc, Partial sum, __m256i mult) {
    return _mm256_add_epi32(acc, _mm256_madd_epi16(sum, mult));
  }
};

}  // namespace

constexpr Isa isa_avx2 = make_isa<Avx2>("avx2");

}  // namespace nmforge
