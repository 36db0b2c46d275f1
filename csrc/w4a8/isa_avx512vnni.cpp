// AVX-512 VNNI: activations are selected within 16 bytes (vpshufb).
#include "w4a8/avx512.hpp"
#include "w4a8/isa.hpp"

namespace nmforge {

const Isa& isa_avx512vnni() {
  static const Isa isa = make_isa<Avx512Vnni>("avx512vnni", has_vnni);
  return isa;
}

}  // namespace nmforge
