// AVX-VNNI: vpdpbusd in registers of 32 bytes, for processors that have it without AVX-512.
#include <cpuid.h>

#include "w4a8/avx2.hpp"
#include "w4a8/isa.hpp"

namespace nmforge {
namespace {

struct AvxVnni : Avx2Bytes {
  static constexpr int kFlushSteps = kChunkSteps;

  static Partial dot(Partial sum, Bytes x, Bytes codes) {
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(codes));  // around its builtin GCC copies every sum
    return sum;
  }
  static Partial sum(Partial a, Partial b) { return _mm256_add_epi32(a, b); }
  static __m256i multiplier(const std::uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  template <int>
  static Ints flush(Ints acc, Partial sum, __m256i mult) {
    return _mm256_add_epi32(acc, _mm256_mullo_epi32(sum, mult));
  }
};

// Compilers of the age of GCC 12 have no name for the bit: leaf 7, subleaf 1, EAX bit 4.
bool available() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0;
}

}  // namespace

const Isa& isa_avxvnni() {
  static const Isa isa = make_isa<AvxVnni>("avxvnni", available);
  return isa;
}

}  // namespace nmforge
