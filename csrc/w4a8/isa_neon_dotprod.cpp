// Arm's DotProd extension: sdot multiplies signed bytes only.
//
// A stored activation xq + 128 with its top bit flipped is xq itself, so sums need no correction and there is no bias
// correction. The flip is applied before a selection: once a step instead of once a register.
#include "w4a8/make_isa.hpp"
#include "w4a8/neon.hpp"

namespace nmforge {
namespace {

struct NeonDotprod : NeonBytes {
  struct Signed {
    int8x16_t at;
  };

  static Signed flip(Bytes x) { return {vreinterpretq_s8_u8(veorq_u8(x, vdupq_n_u8(0x80)))}; }
  static Signed select(Bytes table, Bytes lane_index) { return {vqtbl1q_s8(flip(table).at, lane_index)}; }
  static Partial dot(Partial sum, Signed x, Bytes codes) { return vdotq_s32(sum, x.at, vreinterpretq_s8_u8(codes)); }
  static Partial dot(Partial sum, Bytes x, Bytes codes) { return dot(sum, flip(x), codes); }
};

}  // namespace

constexpr Isa isa_neon_dotprod = make_isa<NeonDotprod>("neon_dotprod", true);

}  // namespace nmforge
