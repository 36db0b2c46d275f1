// AVX-512 VBMI: activations are selected from 64 at a time (vpermb), loaded as they lie; no broadcast is needed.
#include "w4a8/avx512.hpp"
#include "w4a8/isa.hpp"

namespace nmforge {
namespace {

struct Avx512Vbmi : Avx512Vnni {
  static constexpr int kTable = 64;
  static Bytes table(const std::uint8_t* p) { return load(p); }
  static Bytes select(Bytes table, Bytes places) { return _mm512_permutexvar_epi8(places, table); }
};

#ifdef NMFORGE_EMULATE_AVX512
bool has_vbmi() { return true; }
#else
bool has_vbmi() { return has_vnni() && __builtin_cpu_supports("avx512vbmi"); }
#endif

}  // namespace

const Isa& isa_avx512vbmi() {
  static const Isa isa = make_isa<Avx512Vbmi>("avx512vbmi", has_vbmi);
  return isa;
}

}  // namespace nmforge
