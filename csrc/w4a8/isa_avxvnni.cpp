// AVX-VNNI: vpdpbusd in registers of 32 bytes, for processors that have it without AVX-512.
#include "w4a8/avx2.hpp"
#include "w4a8/make_isa.hpp"

namespace nmforge {
namespace {

struct AvxVnni : Avx2Bytes {
  static constexpr int kSegmentSteps = kChunkSteps;

  static Partial dot(Partial sum, Bytes x, Bytes codes) {
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(codes));  // around its builtin GCC copies every sum
    return sum;
  }
  static Partial sum(Partial a, Partial b) { return _mm256_add_epi32(a, b); }
  static __m256i multiplier(const std::uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  template <int>
  static Ints scale_add(Ints acc, Partial sum, __m256i mult) {
    return _mm256_add_epi32(acc, _mm256_mullo_epi32(sum, mult));
  }
};

}  // namespace

constexpr Isa isa_avxvnni = make_isa<AvxVnni>("avxvnni");

}  // namespace nmforge
