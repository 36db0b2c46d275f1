// Bytes that start at a cache line: a load of 64 never touches two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace nmforge {

class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(std::size_t size) { reserve(size); }

  // Room for `size` bytes; what was there before is lost where it grows.
  void reserve(std::size_t size) {
    if (size <= size_) return;
    room_.reset(new std::uint8_t[size + kLine]);
    const auto address = reinterpret_cast<std::uintptr_t>(room_.get());
    data_ = room_.get() + (kLine - address % kLine) % kLine;
    size_ = size;
  }
  std::uint8_t* data() { return data_; }
  const std::uint8_t* data() const { return data_; }

 private:
  static constexpr std::size_t kLine = 64;
  std::unique_ptr<std::uint8_t[]> room_;
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace nmforge
