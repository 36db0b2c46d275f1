#include "common/pool.hpp"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace nmforge {
namespace {

using Body = std::function<void(int, int, int)>;

// A worker polls for the next call this long before it sleeps.
constexpr auto kSpinTimeout = std::chrono::microseconds(50);

// Polls of a barrier before a thread yields its core: about ten microseconds.
constexpr int kSpinIterations = 400;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Yields its core between two polls: caller and worker may share one.
template <class Ready>
bool wait_for(const Ready& ready, std::chrono::microseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  while (!ready()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

// Keeps a woken worker off its caller's core. The scheduler may wake it there, next to an idle core, and leave it there
// for as long as calls are short: both halves of a product then run one after the other. While an object of this class
// lives, a worker that last ran on the caller's core may run on all of its cores but that one; the destructor restores
// its own set. docs/kernels.md has what it gains and costs.
class ScopedAffinity {
 public:
  ScopedAffinity(std::thread& worker, int worker_cpu, int caller_cpu) : worker_(worker.native_handle()) {
    if (worker_cpu != caller_cpu || caller_cpu < 0) return;
    if (pthread_getaffinity_np(worker_, sizeof allowed_, &allowed_) != 0 || CPU_COUNT(&allowed_) < 2) return;
    cpu_set_t others = allowed_;
    CPU_CLR(caller_cpu, &others);
    moved_ = pthread_setaffinity_np(worker_, sizeof others, &others) == 0;
  }
  ~ScopedAffinity() {
    if (moved_) pthread_setaffinity_np(worker_, sizeof allowed_, &allowed_);
  }
  ScopedAffinity(const ScopedAffinity&) = delete;
  ScopedAffinity& operator=(const ScopedAffinity&) = delete;

 private:
  pthread_t worker_;
  cpu_set_t allowed_;
  bool moved_ = false;
};

class Pool {
 public:
  void run(int threads, int count, int chunk, const Body& body) {
    const std::scoped_lock turn(turn_);
    call(threads, count, chunk, false, body);
  }

  // One chunk of one for each thread: `body` must hold its thread until all have come.
  void run_together(int threads, const Body& body) {
    const std::scoped_lock turn(turn_);
    call(threads, threads, 1, true, body);
  }

 private:
  void call(int threads, int count, int chunk, bool once, const Body& body) {
    while (static_cast<int>(workers_.size()) < threads - 1) {
      const int number = static_cast<int>(workers_.size()) + 1;
      cpus_.emplace_back(-1);
      workers_.emplace_back([this, number, cpu = &cpus_.back(), seen = calls_.load()] { serve(number, cpu, seen); });
    }
    body_ = &body, count_ = count, once_ = once;
    threads_ = threads, chunk_ = chunk, finished_ = 0;
    wake(threads);
    work(0);
    while (finished_ != count) std::this_thread::yield();
  }

  void wake(int threads) {
    const int here = sched_getcpu();
    std::deque<ScopedAffinity> moves;
    for (int i = 0; i < threads - 1; ++i) moves.emplace_back(workers_[i], cpus_[i], here);
    {
      const std::scoped_lock guard(mutex_);
      const unsigned number = calls_ + 1;  // seen only once there is something to take
      remaining_ = std::uint64_t{number} << 32 | static_cast<std::uint32_t>(count_);
      calls_ = number;
    }
    wake_.notify_all();
  }

  // Takes chunks until none remain. Whoever holds a chunk keeps the call alive, so body_ and count_ are read after a
  // successful exchange only; a worker that wakes late finds nothing and touches nothing. What remains carries the
  // number of its call: neither a chunk size nor a number of threads read in one call can take chunks of the next.
  void work(int worker) {
    std::uint64_t seen = remaining_;
    while (static_cast<std::uint32_t>(seen) > 0 && worker < threads_) {
      const int left = static_cast<int>(static_cast<std::uint32_t>(seen));
      const int size = std::min<int>(chunk_, left);
      if (remaining_.compare_exchange_weak(seen, seen - static_cast<std::uint32_t>(size))) {
        const int begin = count_ - left;
        (*body_)(begin, begin + size, worker);
        const bool once = once_;
        finished_ += size;
        if (once) return;
        seen = remaining_;
      }
    }
  }

  [[noreturn]] void serve(int worker, std::atomic<int>* cpu, unsigned seen) {
    for (;;) {
      const auto called = [this, &seen, cpu] {
        *cpu = sched_getcpu();
        return calls_ != seen;
      };
      if (!wait_for(called, kSpinTimeout)) {
        std::unique_lock<std::mutex> guard(mutex_);
        wake_.wait(guard, called);
      }
      seen = calls_;
      if (worker < threads_) work(worker);
    }
  }

  std::mutex turn_, mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
  std::deque<std::atomic<int>> cpus_;  // where each worker last ran; a deque, since workers hold addresses
  const Body* body_ = nullptr;
  int count_ = 0;
  bool once_ = false;
  std::atomic<int> threads_{0}, chunk_{1}, finished_{0};
  std::atomic<std::uint64_t> remaining_{0};  // number of the call above, chunks left below
  std::atomic<unsigned> calls_{0};
};

// Never destroyed: its threads live until the process ends. A forked child has none of them and starts its own.
Pool& pool() {
  static std::mutex mutex;
  static Pool* current = nullptr;
  static pid_t owner = 0;
  const std::scoped_lock guard(mutex);
  if (owner != getpid()) {
    current = new Pool;
    owner = getpid();
  }
  return *current;
}

}  // namespace

void parallel_for(int threads, int count, int chunk, const Body& body) {
  if (threads <= 1 || count <= chunk) {
    if (count > 0) body(0, count, 0);
    return;
  }
  pool().run(threads, count, chunk, body);
}

void parallel_region(int threads, const std::function<void(ParallelRegion&)>& body) {
  threads = std::max(threads, 1);
  ParallelRegion region(threads);
  const auto member = [&](int, int, int) {
    body(region);
    region.share(0, 1, [](int, int) {});  // no thread leaves before all have arrived
  };
  if (threads == 1) {
    member(0, 1, 0);
  } else {
    pool().run_together(threads, member);
  }
}

void ParallelRegion::barrier() {
  const unsigned round = round_;
  if (++arrived_ == threads_) {
    arrived_ = 0, next_ = 0;
    ++round_;
    return;
  }
  for (int spins = 0; round_ == round; ++spins) {
    if (spins < kSpinIterations) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
}

}  // namespace nmforge
