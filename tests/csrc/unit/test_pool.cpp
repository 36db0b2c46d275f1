// The pool runs everything once, on the threads it was asked for, and in phases where it is asked for those.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "common/aligned.hpp"
#include "common/pool.hpp"

namespace nmforge {
namespace {

// Whether every index of 0 .. count - 1 is visited once, in chunks of at most `chunk`, by workers 0 .. threads - 1.
bool visits_each_once(int threads, int count, int chunk) {
  std::vector<std::atomic<int>> visits(count);
  std::atomic<bool> fits{true};
  parallel_for(threads, count, chunk, [&](int begin, int end, int worker) {
    const bool whole = threads == 1 || count <= chunk;
    if (worker < 0 || worker >= threads || begin >= end || (!whole && end - begin > chunk)) fits = false;
    for (int i = begin; i < end; ++i) ++visits[i];
  });
  for (const auto& times : visits) fits = fits && times == 1;
  return fits;
}

TEST_CASE("parallel_for visits each index once") {
  for (const int threads : {1, 2, 3, 7}) {
    for (const int count : {0, 1, 2, 15, 16, 100}) {
      for (const int chunk : {1, 2, 16, 1000}) {
        CAPTURE(threads);
        CAPTURE(count);
        CAPTURE(chunk);
        CHECK(visits_each_once(threads, count, chunk));
      }
    }
  }
}

TEST_CASE("calls in quick succession with changing sizes lose and repeat nothing") {
  int wrong = 0;
  for (int i = 0; i < 3000; ++i) wrong += !visits_each_once(1 + i % 5, 1 + i % 17, 1 + i % 3);
  CHECK(wrong == 0);
}

TEST_CASE("callers on several threads take turns") {
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&wrong, caller] {
      for (int i = 0; i < 300; ++i) wrong += !visits_each_once(2 + caller % 3, 40, 3);
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("a phase of a region sees all of the phase before it") {
  constexpr int kCount = 64, kPhases = 50;
  for (const int threads : {1, 2, 5}) {
    std::vector<int> now(kCount, 0), next(kCount, 0);
    std::atomic<int> members{0};
    parallel_region(threads, [&](ParallelRegion& region) {
      ++members;
      for (int phase = 0; phase < kPhases; ++phase) {
        region.share(kCount, 3, [&](int begin, int end) {
          for (int i = begin; i < end; ++i) next[i] = now[(i + 1) % kCount] + 1;  // a neighbour's value
        });
        region.share(kCount, 7, [&](int begin, int end) {
          for (int i = begin; i < end; ++i) now[i] = next[i];
        });
      }
    });
    CAPTURE(threads);
    CHECK(members == threads);
    CHECK(now == std::vector<int>(kCount, kPhases));
  }
}

TEST_CASE("a forked child, which has none of the workers, starts its own") {
  CHECK(visits_each_once(3, 20, 1));
  const pid_t child = fork();
  if (child == 0) _exit(visits_each_once(3, 20, 1) ? 0 : 1);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("aligned bytes start at a cache line and grow only when they must") {
  AlignedBytes bytes(1);
  for (const std::size_t size : {1, 63, 64, 65, 1000}) {
    bytes.reserve(size);
    CHECK(reinterpret_cast<std::uintptr_t>(bytes.data()) % 64 == 0);
    bytes.data()[size - 1] = 7;
  }
  const std::uint8_t* before = bytes.data();
  bytes.reserve(10);
  CHECK(bytes.data() == before);
  CHECK(bytes.data()[999] == 7);
}

}  // namespace
}  // namespace nmforge
