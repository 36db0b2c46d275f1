// Arm's I8MM extension: usdot multiplies unsigned activations by signed codes as they are.
#include "w4a8/make_isa.hpp"
#include "w4a8/neon.hpp"

namespace nmforge {
namespace {

struct NeonI8mm : NeonBytes {
  static Bytes select(Bytes table, Bytes lane_index) { return vqtbl1q_u8(table, lane_index); }
  static Partial dot(Partial sum, Bytes x, Bytes codes) { return vusdotq_s32(sum, x, vreinterpretq_s8_u8(codes)); }
};

}  // namespace

constexpr Isa isa_neon_i8mm = make_isa<NeonI8mm>("neon_i8mm");

}  // namespace nmforge
