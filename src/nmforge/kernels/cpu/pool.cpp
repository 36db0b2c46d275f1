#include "pool.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace nmforge {
namespace {

using Body = std::function<void(int, int, int)>;

// A worker spins this long for the next call before it sleeps, and the caller before it yields its core.
constexpr auto kSpin = std::chrono::microseconds(50);

template <class Ready>
bool spin(const Ready& ready) {
  const auto until = std::chrono::steady_clock::now() + kSpin;
  while (!ready()) {
    if (std::chrono::steady_clock::now() > until) return ready();
  }
  return true;
}

class Pool {
 public:
  void run(int threads, int count, int chunk, const Body& body) {
    const std::lock_guard<std::mutex> turn(turn_);
    while (static_cast<int>(workers_.size()) < threads - 1) {
      const int worker = static_cast<int>(workers_.size()) + 1;
      workers_.emplace_back([this, worker, seen = generation_.load()] { serve(worker, seen); });
    }
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      body_ = &body, threads_ = threads, count_ = count, chunk_ = chunk;
      next_.store(0);
      running_.store(static_cast<int>(workers_.size()));
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    work(0);
    while (!spin([this] { return running_.load() == 0; })) std::this_thread::yield();
  }

 private:
  void work(int worker) {
    for (int begin = next_.fetch_add(chunk_); begin < count_; begin = next_.fetch_add(chunk_)) {
      (*body_)(begin, std::min(begin + chunk_, count_), worker);
    }
  }

  [[noreturn]] void serve(int worker, unsigned seen) {
    for (;;) {
      const auto called = [this, seen] { return generation_.load() != seen; };
      if (!spin(called)) {
        std::unique_lock<std::mutex> guard(mutex_);
        wake_.wait(guard, called);
      }
      seen = generation_.load();
      if (worker < threads_) work(worker);
      running_.fetch_sub(1);
    }
  }

  std::mutex turn_, mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
  const Body* body_ = nullptr;
  int threads_ = 0, count_ = 0, chunk_ = 1;
  std::atomic<int> next_{0}, running_{0};
  std::atomic<unsigned> generation_{0};
};

// Never destroyed: its threads live until the process ends. A forked child has none of them and starts its own.
Pool& pool() {
  static std::mutex mutex;
  static Pool* current = nullptr;
  static pid_t owner = 0;
  const std::lock_guard<std::mutex> guard(mutex);
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

}  // namespace nmforge
