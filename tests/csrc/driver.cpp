// Runs every instruction set of this machine on cases from a file, without Python: also under an emulator.
//
//   driver FILE     for each instruction set one line: name, sums compared, sums wrong, digest of the float32 functions
//
// A case in the file, little-endian, without padding between its parts:
//   CaseHeader      sizes, 14 int32
//   the arrays      planes, mult, bias_correction, row_scale, gather_base, lane_base, segment_end, segment_group
//   int8[m][k]      activations xq;   int32[m][n]   their sums
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "common/require.hpp"
#include "w4a8/isas.hpp"
#include "w4a8/plan.hpp"

namespace nmforge {
namespace {

class Reader {
 public:
  explicit Reader(std::vector<char> bytes) : bytes_(std::move(bytes)) {}
  bool done() const { return at_ == bytes_.size(); }

  template <class T>
  std::vector<T> take(std::size_t count) {
    require(count * sizeof(T) <= bytes_.size() - at_, "the file ends inside a case");
    std::vector<T> values(count);
    if (count != 0) std::memcpy(values.data(), bytes_.data() + at_, count * sizeof(T));
    at_ += count * sizeof(T);
    return values;
  }

 private:
  std::vector<char> bytes_;
  std::size_t at_ = 0;
};

// Sizes of a layer, of its activations, and of the arrays that follow.
struct CaseHeader {
  std::int32_t n, k, groups, code_bits, index_bits, m;
  std::int32_t planes, mult, bias_correction, row_scale, gather_base, lane_base, segment_end, segment_group;
};
static_assert(sizeof(CaseHeader) == 14 * sizeof(std::int32_t), "test_driver.py writes 14 int32");

struct Case {
  CaseHeader head;
  std::vector<std::uint8_t> planes, mult;
  std::vector<std::int32_t> bias_correction;
  std::vector<float> row_scale;
  std::vector<std::uint32_t> gather_base, lane_base, segment_end, segment_group;
  std::vector<std::int8_t> xq;
  std::vector<std::int32_t> sums;

  explicit Case(Reader& from)
      : head(from.take<CaseHeader>(1)[0]),
        planes(from.take<std::uint8_t>(head.planes)),
        mult(from.take<std::uint8_t>(head.mult)),
        bias_correction(from.take<std::int32_t>(head.bias_correction)),
        row_scale(from.take<float>(head.row_scale)),
        gather_base(from.take<std::uint32_t>(head.gather_base)),
        lane_base(from.take<std::uint32_t>(head.lane_base)),
        segment_end(from.take<std::uint32_t>(head.segment_end)),
        segment_group(from.take<std::uint32_t>(head.segment_group)),
        xq(from.take<std::int8_t>(static_cast<std::size_t>(head.m) * head.k)),
        sums(from.take<std::int32_t>(static_cast<std::size_t>(head.m) * head.n)) {}

  template <class T>
  static Span<T> span(const std::vector<T>& v) {
    return {v.data(), v.size()};
  }
  LayerArrays arrays() const {
    return {head.n,
            head.k,
            head.groups,
            head.code_bits,
            head.index_bits,
            span(planes),
            span(mult),
            span(bias_correction),
            span(row_scale),
            span(gather_base),
            span(lane_base),
            span(segment_end),
            span(segment_group)};
  }
};

std::vector<Case> read_cases(const char* path) {
  std::ifstream file(path, std::ios::binary);
  Reader reader({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
  std::vector<Case> cases;
  while (!reader.done()) cases.emplace_back(reader);
  return cases;
}

long wrong_sums(const Isa& isa, const Case& c) {
  const Plan plan(isa, c.arrays());
  GemmArgs args;
  args.layout = &plan.layout(), args.m = c.head.m, args.stride = activation_stride(c.head.k);
  std::vector<std::uint8_t> x(args.m * args.stride, kActivationBias);
  for (int row = 0; row < args.m; ++row) {
    for (int i = 0; i < c.head.k; ++i) {
      const std::int8_t xq = c.xq[static_cast<std::size_t>(row) * c.head.k + i];
      x[row * args.stride + i] = static_cast<std::uint8_t>(xq + kActivationBias);
    }
  }
  std::vector<std::int32_t> out(c.sums.size(), -1);
  args.x = x.data(), args.out_int = out.data();
  isa.multiply(args, 0, plan.layout().tiles);
  long wrong = 0;
  for (std::size_t i = 0; i < out.size(); ++i) wrong += out[i] != c.sums[i];
  return wrong;
}

// FNV-1a over the bits of every float32 function on the same seeded numbers: alike on every machine.
class Digest {
 public:
  template <class T>
  void add(const std::vector<T>& values) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
    for (std::size_t i = 0; i < values.size() * sizeof(T); ++i) hash_ = (hash_ ^ bytes[i]) * 0x100000001b3u;
  }
  unsigned long long value() const { return hash_; }

 private:
  unsigned long long hash_ = 0xcbf29ce484222325u;
};

std::vector<float> numbers(int count, std::uint32_t seed) {
  std::vector<float> values(count);
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<std::int32_t>(seed)) * 0x1p-29f;  // -4 .. 4
  }
  return values;
}

unsigned long long digest_floats(const Isa& isa) {
  constexpr int kSize = 64, kCount = 37;
  const FloatOps& ops = *isa.floats;
  Digest digest;
  std::vector<float> x = numbers(kSize, 1), out(kSize), scores(kCount + 16), steps(1);
  const std::vector<float> y = numbers(kSize, 2), many = numbers(2 * kCount * kSize, 3);
  std::vector<std::uint16_t> half(many.size()), keys((kCount + 16) * kSize);
  std::vector<std::uint8_t> bytes(2 * kSize);
  ops.to_bf16(many.data(), static_cast<int>(many.size()), half.data()), digest.add(half);
  ops.rms_norm(x.data(), y.data(), kSize, 1e-5f, out.data()), digest.add(out);
  ops.add(x.data(), y.data(), kSize), digest.add(x);
  ops.silu_times(x.data(), y.data(), kSize), digest.add(x);
  ops.rotate(x.data(), y.data(), y.data() + kSize / 2, kSize), digest.add(x);
  for (int t = 0; t < kCount; ++t) ops.put_key(many.data() + t * kSize, kSize, keys.data(), t);
  digest.add(keys);
  ops.attend({x.data(), keys.data(), half.data(), kCount, kSize, 0.125f}, scores.data(), out.data());
  digest.add(out);
  ops.rows_bf16({half.data(), kCount, kSize, x.data(), 1, scores.data()}, 0, kCount), digest.add(scores);
  isa.quantize(x.data(), 1, kSize, bytes.data(), bytes.size(), steps.data()), digest.add(bytes), digest.add(steps);
  ops.round_to_bf16(x.data(), kSize), digest.add(x);
  ops.from_bf16(half.data(), kSize, x.data()), digest.add(x);
  return digest.value();
}

int run(const char* path) {
  const std::vector<Case> cases = read_cases(path);
  for (const Isa* isa : available_isas()) {
    long compared = 0, wrong = 0;
    for (const Case& c : cases) {
      compared += static_cast<long>(c.sums.size());
      wrong += wrong_sums(*isa, c);
    }
    std::printf("%s %ld %ld %016llx\n", isa->name, compared, wrong, digest_floats(*isa));
  }
  return 0;
}

}  // namespace
}  // namespace nmforge

int main(int count, char** words) {
  if (count != 2) {
    std::fprintf(stderr, "usage: driver FILE\n");
    return 2;
  }
  try {
    return nmforge::run(words[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "driver: %s: %s\n", words[1], error.what());
    return 1;
  }
}
