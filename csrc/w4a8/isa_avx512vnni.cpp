// AVX-512 VNNI: activations are selected within 16 bytes (vpshufb).
#include "w4a8/avx512.hpp"
#include "w4a8/make_isa.hpp"

namespace nmforge {

constexpr Isa isa_avx512vnni = make_isa<Avx512Vnni>("avx512vnni");

}  // namespace nmforge
