// Arm's I8MM extension: usdot multiplies unsigned activations by signed codes as they are.
#include <sys/auxv.h>

#include "w4a8/isa.hpp"
#include "w4a8/neon.hpp"

namespace nmforge {
namespace {

struct NeonI8mm : NeonBytes {
  static Bytes select(Bytes table, Bytes places) { return vqtbl1q_u8(table, places); }
  static Partial dot(Partial sum, Bytes x, Bytes codes) { return vusdotq_s32(sum, x, vreinterpretq_s8_u8(codes)); }
};

bool available() { return (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0; }

}  // namespace

const Isa& isa_neon_i8mm() {
  static const Isa isa = make_isa<NeonI8mm>("neon_i8mm", available);
  return isa;
}

}  // namespace nmforge
