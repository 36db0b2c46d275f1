// AVX-512 VBMI: activations are selected from 64 at a time (vpermb), loaded as they lie; no broadcast is needed.
#include "w4a8/avx512.hpp"
#include "w4a8/make_isa.hpp"

namespace nmforge {
namespace {

struct Avx512Vbmi : Avx512Vnni {
  static constexpr int kGatherWidth = 64;
  static Bytes table(const std::uint8_t* p) { return load(p); }
  static Bytes select(Bytes table, Bytes lane_index) { return _mm512_permutexvar_epi8(lane_index, table); }
};

}  // namespace

constexpr Isa isa_avx512vbmi = make_isa<Avx512Vbmi>("avx512vbmi");

}  // namespace nmforge
