// Worker threads that stay between calls: waking one costs microseconds, starting one costs more than a product.
#pragma once

#include <atomic>
#include <functional>

namespace nmforge {

// Runs body(begin, end, worker) over 0..count in chunks on `threads` threads, the caller among them (worker 0).
// Returns when all chunks are done. Calls from several threads are serialized. `body` must not throw.
void parallel_for(int threads, int count, int chunk, const std::function<void(int, int, int)>& body);

// Threads inside one parallel region.
class ParallelRegion {
 public:
  explicit ParallelRegion(int threads) : threads_(threads) {}
  int threads() const { return threads_; }

  // A phase: every member calls it, body(begin, end) runs over 0..count in chunks, and all leave together.
  template <class Body>
  void share(int count, int chunk, const Body& body) {
    for (int begin; (begin = next_.fetch_add(chunk)) < count;) {
      body(begin, begin + chunk < count ? begin + chunk : count);
    }
    barrier();
  }

 private:
  void barrier();

  int threads_;
  std::atomic<int> next_{0}, arrived_{0};
  std::atomic<unsigned> round_{0};
};

// Runs body(region) once on each of `threads` threads, the caller among them; ends with all of them.
void parallel_region(int threads, const std::function<void(ParallelRegion&)>& body);

}  // namespace nmforge
