// What a decoder computes in float32 between its linear layers, once, for every instruction set.
//
// Vectors of sixteen floats in GCC's and Clang's own notation: the compiler maps them to the registers it has. Lanes
// and their order of summation are the same everywhere and nothing is fused, so every path returns the same bits.
// As in gemm.hpp, `Simd` keeps the copies of the instruction sets apart, and nothing of the standard library is called.
#pragma once

#include <cstddef>
#include <cstdint>

#include "w4a8/isa.hpp"

namespace nmforge {

constexpr int kLanes = 16;

template <class Simd>
struct Floats {
  using Vec __attribute__((vector_size(4 * kLanes))) = float;
  using Ints __attribute__((vector_size(4 * kLanes))) = std::int32_t;
  using Words __attribute__((vector_size(4 * kLanes))) = std::uint32_t;
  using Halves __attribute__((vector_size(2 * kLanes))) = std::uint16_t;

  static Vec load(const float* p) {
    Vec v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
  }
  static void store(float* p, Vec v) { __builtin_memcpy(p, &v, sizeof v); }
  static Vec set(float x) { return x - Vec{}; }

  // bf16 is the upper half of a float32.
  static Vec load_bf16(const std::uint16_t* p) {
    Halves h;
    __builtin_memcpy(&h, p, sizeof h);
    return reinterpret_cast<Vec>(__builtin_convertvector(h, Words) << 16);
  }
  static void store_bf16(std::uint16_t* p, Vec v) {
    const auto bits = reinterpret_cast<Words>(v);
    const Halves h = __builtin_convertvector((bits + 0x7fff + (bits >> 16 & 1)) >> 16, Halves);
    __builtin_memcpy(p, &h, sizeof h);
  }

  // Lanes added pairwise: 8 apart, 4 apart, 2 apart, neighbours.
  static float total(Vec v) {
    float at[kLanes];
    store(at, v);
    for (int half = kLanes / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) at[i] += at[i + half];
    }
    return at[0];
  }

  // e^x with a relative error below 2e-7: x = n ln 2 + r, |r| <= ln 2 / 2, and the Taylor series of e^r to r^7.
  static Vec exp(Vec x) {
    const Vec low = set(-87.0f), high = set(88.0f), round = set(12582912.0f);
    x = x < low ? low : x;
    x = x > high ? high : x;
    const Vec n = (x * 1.44269504f + round) - round;
    const Vec r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    Vec sum = set(1.0f / 5040);
    sum = sum * r + 1.0f / 720;
    sum = sum * r + 1.0f / 120;
    sum = sum * r + 1.0f / 24;
    sum = sum * r + 1.0f / 6;
    sum = sum * r + 0.5f;
    sum = sum * r + 1.0f;
    sum = sum * r + 1.0f;
    return sum * reinterpret_cast<Vec>((__builtin_convertvector(n, Ints) + 127) << 23);
  }

  // out = x / sqrt(mean(x^2) + eps) * weight; n is a multiple of 16.
  static void rms_norm(const float* x, const float* weight, int n, float eps, float* out) {
    Vec squares{};
    for (int i = 0; i < n; i += kLanes) squares += load(x + i) * load(x + i);
    const float scale = 1.0f / __builtin_sqrtf(total(squares) / static_cast<float>(n) + eps);
    for (int i = 0; i < n; i += kLanes) store(out + i, load(x + i) * scale * load(weight + i));
  }

  static void add(float* x, const float* y, int n) {
    for (int i = 0; i < n; i += kLanes) store(x + i, load(x + i) + load(y + i));
  }

  // gate = gate / (1 + e^-gate) * up
  static void silu_times(float* gate, const float* up, int n) {
    for (int i = 0; i < n; i += kLanes) {
      const Vec g = load(gate + i);
      store(gate + i, g / (1.0f + exp(-g)) * load(up + i));
    }
  }

  static void round_to_bf16(float* x, int n) {
    for (int i = 0; i < n; i += kLanes) {
      std::uint16_t half[kLanes];
      store_bf16(half, load(x + i));
      store(x + i, load_bf16(half));
    }
  }

  // Rotary position: pairs (i, i + size / 2) turn by angle i; cosines and sines float32[size / 2] of this position.
  static void rotate(float* head, const float* cosines, const float* sines, int size) {
    const int half = size / 2;
    for (int i = 0; i < half; ++i) {
      const float a = head[i], b = head[i + half];
      head[i] = a * cosines[i] - b * sines[i];
      head[i + half] = b * cosines[i] + a * sines[i];
    }
  }

  static void to_bf16(const float* x, int n, std::uint16_t* out) {
    for (int i = 0; i < n; i += kLanes) store_bf16(out + i, load(x + i));
  }
  static void from_bf16(const std::uint16_t* x, int n, float* out) {
    for (int i = 0; i < n; i += kLanes) store(out + i, load_bf16(x + i));
  }

  // Keys lie in blocks of sixteen positions, bf16[position / 16][size][position % 16]: a lane is a position.
  static void put_key(const float* key, int size, std::uint16_t* keys, int position) {
    std::uint16_t* to = keys + static_cast<std::size_t>(position / kLanes) * size * kLanes + position % kLanes;
    for (int i = 0; i < size; i += kLanes) {
      std::uint16_t half[kLanes];
      store_bf16(half, load(key + i));
      for (int j = 0; j < kLanes; ++j) to[(i + j) * kLanes] = half[j];
    }
  }

  // Scores of one query with sixteen keys. Four sums, so that a product need not wait for the one before.
  static Vec score(const float* query, const std::uint16_t* keys, int size) {
    Vec sum[4] = {};
    for (int i = 0; i < size; i += 4) {
      for (int j = 0; j < 4; ++j) sum[j] += query[i + j] * load_bf16(keys + (i + j) * kLanes);
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }

  // out[16 * Vectors] = sum_t weights[t] * values[t], values bf16[count][size].
  template <int Vectors>
  static void mix(const float* weights, const std::uint16_t* values, int count, int size, float* out) {
    Vec sum[Vectors] = {};
    for (int t = 0; t < count; ++t, values += size) {
      for (int j = 0; j < Vectors; ++j) sum[j] += weights[t] * load_bf16(values + j * kLanes);
    }
    for (int j = 0; j < Vectors; ++j) store(out + j * kLanes, sum[j]);
  }

  // One query over args.count positions. scores: room for count floats, rounded up to 16. out: float32[size].
  static void attend(const AttentionArgs& args, float* scores, float* out) {
    const int count = args.count, size = args.size;
    constexpr float kNever = -3.0e38f;
    float largest = kNever;
    for (int t = 0; t < count; t += kLanes) {
      store(scores + t, score(args.query, args.keys + static_cast<std::size_t>(t) * size, size) * args.scale);
      for (int i = t; i < t + kLanes; ++i) {
        if (i >= count) scores[i] = kNever;
        largest = scores[i] > largest ? scores[i] : largest;
      }
    }
    Vec sums{};
    for (int t = 0; t < count; t += kLanes) {
      const Vec e = exp(load(scores + t) - largest);
      store(scores + t, e);
      sums += e;
    }
    // Lanes after the last position count as e^-87 = 1.6e-38, below the last bit of a sum that holds e^0.
    const float inverse = 1.0f / total(sums);
    for (int i = 0; i < count; i += kLanes) store(scores + i, load(scores + i) * inverse);
    int i = 0;
    for (; i + 8 * kLanes <= size; i += 8 * kLanes) mix<8>(scores, args.values + i, count, size, out + i);
    for (; i + 4 * kLanes <= size; i += 4 * kLanes) mix<4>(scores, args.values + i, count, size, out + i);
    for (; i < size; i += kLanes) mix<1>(scores, args.values + i, count, size, out + i);
  }

  // Columns first_row .. last_row - 1 of out. Four rows of weights at a time, and a line of the four rows after them is
  // fetched with every line multiplied.
  static void rows_bf16(const Bf16Args& args, int first_row, int last_row) {
    const int k = args.k;
    for (int token = 0; token < args.m; ++token) {
      const float* from = args.x + static_cast<std::size_t>(token) * k;
      float* to = args.out + static_cast<std::size_t>(token) * args.n;
      int row = first_row;
      for (; row + 4 <= last_row; row += 4) four_rows(args.w + static_cast<std::size_t>(row) * k, k, from, to + row);
      for (; row < last_row; ++row) {
        const std::uint16_t* at = args.w + static_cast<std::size_t>(row) * k;
        Vec sum{};
        for (int i = 0; i < k; i += kLanes) sum += load(from + i) * load_bf16(at + i);
        to[row] = total(sum);
      }
    }
  }

  static void four_rows(const std::uint16_t* w, int k, const float* x, float* out) {
    constexpr int kLine = 2 * kLanes;  // bf16 numbers of a cache line
    const std::size_t stride = k;
    Vec sum[4] = {};
    int i = 0;
    for (; i + kLine <= k; i += kLine) {
      const Vec low = load(x + i), high = load(x + i + kLanes);
      for (int r = 0; r < 4; ++r) {
        const std::uint16_t* at = w + r * stride + i;
        __builtin_prefetch(at + 4 * stride);
        sum[r] += low * load_bf16(at);
        sum[r] += high * load_bf16(at + kLanes);
      }
    }
    for (; i < k; i += kLanes) {
      for (int r = 0; r < 4; ++r) sum[r] += load(x + i) * load_bf16(w + r * stride + i);
    }
    for (int r = 0; r < 4; ++r) out[r] = total(sum[r]);
  }

  static constexpr FloatOps kOps{rms_norm, add,       silu_times, round_to_bf16, rotate,
                                 to_bf16,  from_bf16, put_key,    attend,        rows_bf16};
};

}  // namespace nmforge
