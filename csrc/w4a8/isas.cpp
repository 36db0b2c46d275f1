// Asks the processor for its instruction sets. Compiled without instruction-set flags: it runs on every machine.
#include "w4a8/isas.hpp"

#include <stdexcept>

#ifdef NMFORGE_X86
#include <cpuid.h>
#endif
#ifdef NMFORGE_AARCH64
#include <sys/auxv.h>
#endif

namespace nmforge {
namespace {

struct Candidate {
  const Isa* isa;
  bool (*available)();
};

bool always() { return true; }

#ifdef NMFORGE_X86
bool has_avx2() { return __builtin_cpu_supports("avx2"); }

// GCC 12 has no name for this bit: leaf 7, subleaf 1, EAX bit 4.
bool has_avxvnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0;
}

#ifdef NMFORGE_EMULATE_AVX512
bool has_avx512vnni() { return true; }
bool has_avx512vbmi() { return true; }
#else
bool has_avx512vnni() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
bool has_avx512vbmi() { return has_avx512vnni() && __builtin_cpu_supports("avx512vbmi"); }
#endif
#endif

#ifdef NMFORGE_AARCH64
bool has_dotprod() { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }
bool has_i8mm() { return (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0; }
#endif

constexpr Candidate kCandidates[] = {
    {&isa_portable, always},
#ifdef NMFORGE_X86
    {&isa_avx2, has_avx2},
    {&isa_avxvnni, has_avxvnni},
    {&isa_avx512vnni, has_avx512vnni},
    {&isa_avx512vbmi, has_avx512vbmi},
#endif
#ifdef NMFORGE_AARCH64
    {&isa_neon_dotprod, has_dotprod},
    {&isa_neon_i8mm, has_i8mm},
#endif
};

}  // namespace

std::vector<const Isa*> available_isas() {
  std::vector<const Isa*> found;
  for (const Candidate& candidate : kCandidates) {
    if (candidate.available()) found.push_back(candidate.isa);
  }
  return found;
}

const Isa& find_isa(const std::string& name) {
  for (const Isa* isa : available_isas()) {
    if (name == isa->name) return *isa;
  }
  throw std::invalid_argument("instruction set " + name + " is not available");
}

}  // namespace nmforge
