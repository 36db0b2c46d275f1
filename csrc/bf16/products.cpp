// Asks the processor for the instruction and shares the products out among threads. Compiled without instruction-set
// flags; sums do not depend on the number of threads.
#include "bf16/products.hpp"

#ifdef NMFORGE_X86
#include "bf16/kernel.hpp"
#include "common/aligned.hpp"
#include "common/pool.hpp"

namespace nmforge {
namespace {

constexpr std::size_t kRowBlock = 128;  // rows of x that one task multiplies

std::size_t tiles_of(std::size_t columns) { return (columns + kTileColumns - 1) / kTileColumns; }

Pair* pairs_in(AlignedBytes& room, std::size_t count) {
  room.reserve(count * sizeof(Pair));
  return reinterpret_cast<Pair*>(room.data());
}

// Runs body(task, worker) for every task.
template <class Body>
void each_task(int threads, std::size_t tasks, const Body& body) {
  parallel_for(threads, static_cast<int>(tasks), 1, [&](int begin, int end, int worker) {
    for (int task = begin; task < end; ++task) body(static_cast<std::size_t>(task), worker);
  });
}

}  // namespace

bool has_bf16_products() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16");
}

void multiply_rows(FloatMatrix x, FloatMatrix w, float* out, int threads) {
  const std::size_t m = x.rows, n = w.rows, k = x.columns;
  const std::size_t pairs = padded_pairs(k), tiles = tiles_of(n), blocks = (m + kRowBlock - 1) / kRowBlock;
  static thread_local AlignedBytes a_room, b_room, row_room;
  Pair* const a = pairs_in(a_room, m * pairs);
  Pair* const b = pairs_in(b_room, tiles * pairs * kTileColumns);
  Pair* const row = pairs_in(row_room, threads * pairs);
  each_task(threads, tiles + blocks, [&](std::size_t task, int worker) {
    if (task < tiles) {
      avx512bf16::pack_rows(w.at, task * kTileColumns, n, k, row + worker * pairs, b + task * pairs * kTileColumns);
      return;
    }
    const std::size_t first = (task - tiles) * kRowBlock;
    for (std::size_t i = first; i < m && i < first + kRowBlock; ++i) {
      avx512bf16::round_row(x.at + i * k, k, a + i * pairs);
    }
  });
  each_task(threads, tiles * blocks, [&](std::size_t task, int) {
    const std::size_t tile = task / blocks, first = task % blocks * kRowBlock, column = tile * kTileColumns;
    const std::size_t rows = m - first < kRowBlock ? m - first : kRowBlock;
    avx512bf16::multiply_tile({a + first * pairs, pairs, 1}, b + tile * pairs * kTileColumns, pairs, rows,
                              {out + first * n + column, n, n - column, false});
  });
}

void add_outer_products(FloatMatrix y, FloatMatrix x, bool upper, float* total, int threads) {
  const std::size_t t = x.rows, n = y.columns, k = x.columns;
  const std::size_t pairs = (t + 1) / 2, tiles = tiles_of(k), y_tiles = tiles_of(n), size = pairs * kTileColumns;
  const bool same = y.at == x.at && n == k;
  static thread_local AlignedBytes x_room, y_room;
  Pair* const b = pairs_in(x_room, tiles * size);
  Pair* const a = same ? b : pairs_in(y_room, y_tiles * size);
  each_task(threads, tiles + (same ? 0 : y_tiles), [&](std::size_t task, int) {
    if (task < tiles) {
      avx512bf16::pack_columns(x.at, task * kTileColumns, t, k, b + task * size);
    } else {
      avx512bf16::pack_columns(y.at, (task - tiles) * kTileColumns, t, n, a + (task - tiles) * size);
    }
  });
  each_task(threads, tiles * y_tiles, [&](std::size_t task, int) {
    const std::size_t tile = task / y_tiles, row_tile = task % y_tiles;
    if (upper && row_tile > tile) return;
    const std::size_t first = row_tile * kTileColumns, column = tile * kTileColumns;
    const std::size_t rows = n - first < kTileColumns ? n - first : kTileColumns;
    avx512bf16::multiply_tile({a + row_tile * size, 1, kTileColumns}, b + tile * size, pairs, rows,
                              {total + first * k + column, k, k - column, true});
  });
}

}  // namespace nmforge
#else
#include <stdexcept>

namespace nmforge {

bool has_bf16_products() { return false; }

void multiply_rows(FloatMatrix, FloatMatrix, float*, int) {
  throw std::logic_error("no bf16 products on this machine");
}

void add_outer_products(FloatMatrix, FloatMatrix, bool, float*, int) {
  throw std::logic_error("no bf16 products on this machine");
}

}  // namespace nmforge
#endif
