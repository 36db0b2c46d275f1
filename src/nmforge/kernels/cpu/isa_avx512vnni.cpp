// AVX-512 VNNI: activations are selected within 16 bytes (vpshufb).
#include "avx512.hpp"
#include "isa.hpp"

namespace nmforge {
namespace {

#ifdef NMFORGE_EMULATE_AVX512
bool available() { return true; }
#else
bool available() {
  return __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}
#endif

}  // namespace

const Isa& isa_avx512vnni() {
  static const Isa isa = make_isa<Avx512Vnni>("avx512vnni", available);
  return isa;
}

}  // namespace nmforge
