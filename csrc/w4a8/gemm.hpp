// The W4A8 product, once, for every instruction set.
//
// `V` supplies registers of V::kBytes bytes and the few operations below; all else is shared, so that paths can only
// differ in those operations. Sums are exact integers, hence every path returns the same bits.
// Each kept code selects its activation, so pruned weights cost no multiplication at any M.
//
// Include from one file per instruction set with V in an anonymous namespace, and call nothing from the standard
// library here: a shared inline function compiled for AVX-512 could be the copy the linker keeps.
#pragma once

#include <type_traits>
#include <utility>

#include "w4a8/layout.hpp"

namespace nmforge {

// ---- unpacking -----------------------------------------------------------------------------------------------

// The field of step S, part p of its 64 bytes, in bits At .. At + Width - 1 of every byte; other bits are undefined.
template <class V, int Width, int S, int At>
inline typename V::Bytes field(const std::uint8_t* planes, int p) {
  const std::uint8_t* part = planes + p * V::kBytes;
  if constexpr (Width == 4) {
    return V::template move<4 * (S % 2), At>(V::load(part + S / 2 * kStepBytes));
  } else if constexpr (Width == 2) {
    return V::template move<2 * (S % 4), At>(V::load(part + S / 4 * kStepBytes));
  } else if constexpr (Width == 1) {
    return V::template move<S, At>(V::load(part));
  } else {
    static_assert(Width == 3);
    const auto high = V::template move<S, At + 2>(V::load(part + 2 * kStepBytes));
    return V::template merge<1 << (At + 2)>(high, field<V, 2, S, At>(planes, p));
  }
}

// Signed codes, times 2^code_shift.
template <class V, int CodeBits>
constexpr int code_shift() {
  return V::kCodesOnTop ? 8 - CodeBits : 0;
}
template <class V, int CodeBits, int S>
inline typename V::Bytes unpack_codes(const std::uint8_t* block, int p) {
  return V::template codes<CodeBits>(field<V, CodeBits, S, code_shift<V, CodeBits>()>(block, p));
}

// kEven: the bases have no bit in common with an index.
template <class V, int CodeBits, int IndexBits, int S, bool kEven>
inline typename V::Bytes unpack_places(const std::uint8_t* block, int p, typename V::Bytes base) {
  return V::template places<IndexBits, kEven>(field<V, IndexBits, S, 0>(block + CodeBits * kStepBytes, p), base);
}

// Calls body(std::integral_constant<int, S>) for S = 0..7.
template <class Body, int... S>
inline void each_step(Body&& body, std::integer_sequence<int, S...>) {
  (body(std::integral_constant<int, S>{}), ...);
}
template <class Body>
inline void each_step(Body&& body) {
  each_step(static_cast<Body&&>(body), std::make_integer_sequence<int, kBlockSteps>{});
}

// ---- writing -------------------------------------------------------------------------------------------------

// Stores the rows of a tile that exist: as INT32, or as float32(acc) * (a * row_scale).
template <class V>
void write_tile(const Job& job, int tile, int token, const std::int32_t* acc) {
  const Layout& layout = *job.layout;
  const int first = tile * kTileRows;
  const int rows = layout.n - first < kTileRows ? layout.n - first : kTileRows;
  const std::size_t at = static_cast<std::size_t>(token) * layout.n + first;
  if (job.out_int != nullptr) {
    for (int r = 0; r < rows; ++r) job.out_int[at + r] = acc[r];
  } else {
    for (int r = 0; r < rows; ++r) {
      const float scale = job.step[token] * layout.row_scale[first + r];
      job.out_float[at + r] = static_cast<float>(acc[r]) * scale;
    }
  }
}

// ---- one token: unpack in registers, read every weight byte once ------------------------------------------------

// Partial sums of one tile. Two chains, so that a step need not wait for the one before.
template <class V, int CodeBits>
struct Sums {
  static constexpr int kParts = kStepBytes / V::kBytes;
  static constexpr int kChains = 2;
  typename V::Ints acc[kParts];
  typename V::Partial partial[kChains][kParts];

  void clear() {
    for (auto& chain : partial) {
      for (auto& p : chain) p = V::zero();
    }
  }
  void start(const std::int32_t* from) {
    for (int p = 0; p < kParts; ++p) acc[p] = V::load_ints(from + p * V::kBytes / 4);
    clear();
  }
  void flush(const std::uint8_t* mult) {
    for (int p = 0; p < kParts; ++p) {
      const auto sum = V::sum(partial[0][p], partial[1][p]);
      acc[p] = V::template flush<code_shift<V, CodeBits>()>(acc[p], sum, V::multiplier(mult + p * V::kBytes / 4));
    }
    clear();
  }
};

template <class V, int Lines>
inline void prefetch(const std::uint8_t* at) {
  for (int line = 0; line < Lines; ++line) __builtin_prefetch(at + line * kStepBytes);
}

// Any layout: looks up every step's reach and every end of a partial sum.
template <class V, int CodeBits, int IndexBits>
void walk_any(const Job& job, const std::uint8_t* block, const std::uint8_t* mult, Sums<V, CodeBits>& sums) {
  constexpr int kPlanes = CodeBits + IndexBits;
  const Layout& layout = *job.layout;
  std::uint32_t step = 0;
  int flush = 0;
  for (int b = 0; b < layout.blocks; ++b, block += kPlanes * kStepBytes) {
    prefetch<V, kPlanes>(block + kAhead);
    each_step([&](auto s) {
      const std::uint8_t* x = job.x + layout.step_base[step];
      const auto base = V::broadcast4(layout.lane_base + step);
      for (int p = 0; p < sums.kParts; ++p) {
        const auto codes = unpack_codes<V, CodeBits, s>(block, p);
        auto& partial = sums.partial[s % sums.kChains][p];
        if constexpr (IndexBits == 0) {
          partial = V::dot(partial, V::broadcast4(x), codes);
        } else {
          const auto places = unpack_places<V, CodeBits, IndexBits, s, false>(block, p, base);
          partial = V::dot(partial, V::select(V::table(x), places), codes);
        }
      }
      if (++step == layout.flush_end[flush]) sums.flush(mult + layout.flush_group[flush++] * kTileRows);
    });
  }
}

// A regular layout: a group ends with every fourth step or with a block, and no base shares a bit with an index.
template <class V, int CodeBits, int IndexBits, bool kHalves>
void walk_regular(const Job& job, const std::uint8_t* block, const std::uint8_t* mult, Sums<V, CodeBits>& sums) {
  constexpr int kPlanes = CodeBits + IndexBits;
  const Layout& layout = *job.layout;
  const std::uint32_t *reach = layout.step_base, *lane_base = layout.lane_base;
  for (int group = 0; group < layout.groups; ++group, mult += kTileRows) {
    for (int left = layout.group_steps; left > 0; left -= kBlockSteps) {
      prefetch<V, kPlanes>(block + kAhead);
      each_step([&](auto s) {
        const std::uint8_t* x = job.x + reach[s];
        for (int p = 0; p < sums.kParts; ++p) {
          const auto codes = unpack_codes<V, CodeBits, s>(block, p);
          auto& partial = sums.partial[s % sums.kChains][p];
          if constexpr (IndexBits == 0) {
            partial = V::dot(partial, V::broadcast4(x), codes);
          } else {
            const auto base = V::broadcast4(lane_base + s);
            const auto places = unpack_places<V, CodeBits, IndexBits, s, true>(block, p, base);
            partial = V::dot(partial, V::select(V::table(x), places), codes);
          }
        }
        if constexpr (kHalves && s == kBlockSteps / 2 - 1) {
          sums.flush(mult);
          mult += kTileRows, ++group;
        }
      });
      block += kPlanes * kStepBytes, reach += kBlockSteps, lane_base += kBlockSteps;
      if (V::kFlushSteps <= kBlockSteps && left > kBlockSteps) sums.flush(mult);
    }
    sums.flush(mult);
  }
}

template <class V, int CodeBits, int IndexBits>
void multiply_packed(const Job& job, int tile) {
  const Layout& layout = *job.layout;
  constexpr std::size_t kBlockBytes = (CodeBits + IndexBits) * kStepBytes;
  const std::uint8_t* block = layout.planes + tile * layout.blocks * kBlockBytes;
  const std::uint8_t* mult = layout.mult + static_cast<std::size_t>(tile) * layout.groups * kTileRows;
  Sums<V, CodeBits> sums;
  sums.start(layout.start + tile * kTileRows);
  if (layout.group_steps == 0) {
    walk_any<V, CodeBits, IndexBits>(job, block, mult, sums);
  } else if (layout.group_steps == kBlockSteps / 2) {
    walk_regular<V, CodeBits, IndexBits, true>(job, block, mult, sums);
  } else {
    walk_regular<V, CodeBits, IndexBits, false>(job, block, mult, sums);
  }
  alignas(kStepBytes) std::int32_t acc[kTileRows];
  for (int p = 0; p < sums.kParts; ++p) V::store_ints(acc + p * V::kBytes / 4, sums.acc[p]);
  write_tile<V>(job, tile, 0, acc);
}

// ---- several tokens: unpack a chunk of steps once, then multiply all tokens by it ---------------------------------

// Unpacked steps of Tiles tiles, in the cache nearest to the multipliers; they begin with a block.
template <int Tiles>
struct Chunk {
  static constexpr int kBlocks = kChunkSteps / kBlockSteps + 1;  // a chunk may begin and end inside a block
  std::uint32_t first_step = 0;
  int begin = 0, end = 0;                                                            // partial sums
  alignas(kStepBytes) std::uint8_t codes[Tiles][kBlocks * kBlockSteps][kStepBytes];  // signed
  alignas(kStepBytes) std::uint8_t places[Tiles][kBlocks * kBlockSteps][kStepBytes];
};

template <class V, int CodeBits, int IndexBits, int Tiles>
void unpack(const Layout& layout, int tile, Chunk<Tiles>& chunk) {
  constexpr int kPlaneBytes = (CodeBits + IndexBits) * kStepBytes;
  const std::uint32_t start = chunk.begin == 0 ? 0 : layout.flush_end[chunk.begin - 1];
  const int first = static_cast<int>(start) / kBlockSteps;
  const int last = (static_cast<int>(layout.flush_end[chunk.end - 1]) + kBlockSteps - 1) / kBlockSteps;
  chunk.first_step = first * kBlockSteps;
  for (int i = 0; i < Tiles; ++i) {
    const std::size_t block_index = static_cast<std::size_t>(tile + i) * layout.blocks + first;
    const std::uint8_t* block = layout.planes + block_index * kPlaneBytes;
    const std::uint32_t* lane_base = layout.lane_base + chunk.first_step;
    std::uint8_t *codes = chunk.codes[i][0], *places = chunk.places[i][0];
    for (int b = first; b < last; ++b, block += kPlaneBytes) {
      prefetch<V, CodeBits + IndexBits>(block + kAhead / 2);
      each_step([&](auto s) {
        for (int p = 0; p < kStepBytes / V::kBytes; ++p) {
          V::store(codes + p * V::kBytes, unpack_codes<V, CodeBits, s>(block, p));
          if constexpr (IndexBits != 0) {
            const auto base = V::broadcast4(lane_base);
            V::store(places + p * V::kBytes, unpack_places<V, CodeBits, IndexBits, s, false>(block, p, base));
          }
        }
        codes += kStepBytes, places += kStepBytes, ++lane_base;
      });
    }
  }
}

// Adds the chunk's products with tokens first .. first + Tokens - 1 to sums[Tokens][Tiles * 16]; partial sums stay in
// registers until they end.
template <class V, int Shift, bool kSelect, int Tiles, int Tokens>
void multiply_chunk(const Job& job, int tile, int first, const Chunk<Tiles>& chunk, std::int32_t* sums) {
  constexpr int kParts = Tiles * kStepBytes / V::kBytes, kPerTile = kStepBytes / V::kBytes;
  const Layout& layout = *job.layout;
  const std::size_t mult_stride = static_cast<std::size_t>(layout.groups) * kTileRows;
  const std::uint8_t* mult = layout.mult + tile * mult_stride;
  const std::uint8_t* rows = job.x + first * job.stride;
  std::uint32_t step = chunk.begin == 0 ? 0 : layout.flush_end[chunk.begin - 1];
  for (int f = chunk.begin; f < chunk.end; ++f) {
    typename V::Partial partial[Tokens][kParts];
#pragma GCC unroll 16
    for (int t = 0; t < Tokens; ++t) {
#pragma GCC unroll 8
      for (int p = 0; p < kParts; ++p) partial[t][p] = V::zero();
    }
    for (; step < layout.flush_end[f]; ++step) {
      const std::uint8_t* x = rows + layout.step_base[step];
      const std::uint32_t at = step - chunk.first_step;
      typename V::Bytes code[kParts], place[kParts];
#pragma GCC unroll 8
      for (int p = 0; p < kParts; ++p) {
        code[p] = V::load(chunk.codes[p / kPerTile][at] + p % kPerTile * V::kBytes);
        if constexpr (kSelect) place[p] = V::load(chunk.places[p / kPerTile][at] + p % kPerTile * V::kBytes);
      }
#pragma GCC unroll 16
      for (int t = 0; t < Tokens; ++t) {
        if constexpr (kSelect) {
          const typename V::Bytes table = V::table(x + t * job.stride);
#pragma GCC unroll 8
          for (int p = 0; p < kParts; ++p) partial[t][p] = V::dot(partial[t][p], V::select(table, place[p]), code[p]);
        } else {
          const typename V::Bytes four = V::broadcast4(x + t * job.stride);
#pragma GCC unroll 8
          for (int p = 0; p < kParts; ++p) partial[t][p] = V::dot(partial[t][p], four, code[p]);
        }
      }
    }
    const std::uint8_t* scales = mult + layout.flush_group[f] * kTileRows;
#pragma GCC unroll 8
    for (int p = 0; p < kParts; ++p) {
      const auto scale = V::multiplier(scales + p / kPerTile * mult_stride + p % kPerTile * V::kBytes / 4);
#pragma GCC unroll 16
      for (int t = 0; t < Tokens; ++t) {
        std::int32_t* sum = sums + t * Tiles * kTileRows + p * V::kBytes / 4;
        V::store_ints(sum, V::template flush<Shift>(V::load_ints(sum), partial[t][p], scale));
      }
    }
  }
}

// Tokens token .. last - 1, as many at once as there are left, Tokens at most.
template <class V, int Shift, bool kSelect, int Tiles, int Tokens>
void multiply_rest(const Job& job, int tile, int token, int last, const Chunk<Tiles>& chunk, std::int32_t* sums) {
  for (; token + Tokens <= last; token += Tokens, sums += Tokens * Tiles * kTileRows) {
    multiply_chunk<V, Shift, kSelect, Tiles, Tokens>(job, tile, token, chunk, sums);
  }
  if constexpr (Tokens > 1) multiply_rest<V, Shift, kSelect, Tiles, Tokens / 2>(job, tile, token, last, chunk, sums);
}

// Tokens first .. last - 1, at most kTokenBlock, by Tiles tiles.
template <class V, int CodeBits, int IndexBits, int Tiles>
void multiply_tokens(const Job& job, int tile, int first, int last) {
  constexpr int kShift = code_shift<V, CodeBits>();
  const Layout& layout = *job.layout;
  alignas(kStepBytes) std::int32_t sums[kTokenBlock][Tiles * kTileRows];
  for (int t = 0; t < last - first; ++t) {
    for (int r = 0; r < Tiles * kTileRows; ++r) sums[t][r] = layout.start[tile * kTileRows + r];
  }
  Chunk<Tiles> chunk;
  for (chunk.begin = 0; chunk.begin < layout.flushes; chunk.begin = chunk.end) {
    const std::uint32_t start = chunk.begin == 0 ? 0 : layout.flush_end[chunk.begin - 1];
    chunk.end = chunk.begin + 1;
    while (chunk.end < layout.flushes && layout.flush_end[chunk.end] - start <= kChunkSteps) ++chunk.end;
    unpack<V, CodeBits, IndexBits>(layout, tile, chunk);
    multiply_rest<V, kShift, IndexBits != 0, Tiles, V::kTokens>(job, tile, first, last, chunk, sums[0]);
  }
  for (int t = 0; t < last - first; ++t) {
    for (int i = 0; i < Tiles; ++i) write_tile<V>(job, tile + i, first + t, sums[t] + i * kTileRows);
  }
}

template <class V, int CodeBits, int IndexBits>
void multiply_tiles(const Job& job, int begin, int end) {
  if (job.m == 1) {
    for (int tile = begin; tile < end; ++tile) multiply_packed<V, CodeBits, IndexBits>(job, tile);
    return;
  }
  for (int first = 0; first < job.m; first += kTokenBlock) {
    const int last = job.m - first < kTokenBlock ? job.m : first + kTokenBlock;
    int tile = begin;
    for (; tile + V::kTiles <= end; tile += V::kTiles) {
      multiply_tokens<V, CodeBits, IndexBits, V::kTiles>(job, tile, first, last);
    }
    for (; tile < end; ++tile) multiply_tokens<V, CodeBits, IndexBits, 1>(job, tile, first, last);
  }
}

// Row `CodeBits - 2`, column `IndexBits`.
template <class V>
void multiply(const Job& job, int begin, int end) {
  using Tiles = void (*)(const Job&, int, int);
  static constexpr Tiles kTable[3][5] = {
      {multiply_tiles<V, 2, 0>, multiply_tiles<V, 2, 1>, multiply_tiles<V, 2, 2>, multiply_tiles<V, 2, 3>,
       multiply_tiles<V, 2, 4>},
      {multiply_tiles<V, 3, 0>, multiply_tiles<V, 3, 1>, multiply_tiles<V, 3, 2>, multiply_tiles<V, 3, 3>,
       multiply_tiles<V, 3, 4>},
      {multiply_tiles<V, 4, 0>, multiply_tiles<V, 4, 1>, multiply_tiles<V, 4, 2>, multiply_tiles<V, 4, 3>,
       multiply_tiles<V, 4, 4>},
  };
  kTable[job.layout->code_bits - 2][job.layout->index_bits](job, begin, end);
}

// ---- activations -----------------------------------------------------------------------------------------------

// a = max|x| / 127 and xq = round_half_even(x / a), stored as xq + 128. Adding and subtracting 1.5 * 2^23 rounds a
// float32 below 2^22 to the nearest integer, ties to even. Magnitudes are compared as integers, whose order is that
// of the floats they are the bits of, so that compilers may vectorize the maximum; NaN and infinity come out on top.
template <class V>
bool quantize(const float* x, int m, int k, std::uint8_t* out, std::size_t stride, float* step) {
  constexpr float kRound = 12582912.0f;
  constexpr std::int32_t kMagnitude = 0x7fffffff, kInfinity = 0x7f800000;
  for (int row = 0; row < m; ++row, x += k, out += stride) {
    std::int32_t largest = 0;
    for (int i = 0; i < k; ++i) {
      std::int32_t bits;
      __builtin_memcpy(&bits, x + i, sizeof bits);
      bits &= kMagnitude;
      largest = bits > largest ? bits : largest;
    }
    if (largest >= kInfinity) return false;
    float a;
    __builtin_memcpy(&a, &largest, sizeof a);
    a /= 127.0f;
    step[row] = a;
    if (a == 0.0f) {
      __builtin_memset(out, kActivationBias, stride);
      continue;
    }
    for (int i = 0; i < k; ++i) {
      float quotient = x[i] / a;
      quotient = quotient > 127.0f ? 127.0f : quotient;
      quotient = quotient < -127.0f ? -127.0f : quotient;
      const float rounded = (quotient + kRound) - kRound;
      out[i] = static_cast<std::uint8_t>(static_cast<int>(rounded) + kActivationBias);
    }
    __builtin_memset(out + k, kActivationBias, stride - k);
  }
  return true;
}

}  // namespace nmforge
