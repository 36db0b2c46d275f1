// Worker threads that stay between calls: waking one costs microseconds, starting one costs more than a product.
#pragma once

#include <functional>

namespace nmforge {

// Runs body(begin, end, worker) over 0..count in chunks on `threads` threads, the caller among them (worker 0).
// Returns when all chunks are done. Calls from several threads take turns. `body` must not throw.
void parallel_for(int threads, int count, int chunk, const std::function<void(int, int, int)>& body);

}  // namespace nmforge
