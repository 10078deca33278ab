#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace sop::txn {

// Memory that is given back all at once. Blocks grow from 512 bytes to 64 KiB, so that a small
// owner costs one small allocation and a large one few; an empty arena owns nothing. Objects must
// be trivially destructible. Thread-compatible.
class Arena {
 public:
  Arena() = default;
  Arena(Arena&&) = default;
  Arena& operator=(Arena&&) = default;

  // `size` bytes, aligned to 8, that live until Clear().
  char* Allocate(size_t size) {
    size = (size + 7) & ~size_t{7};
    if (size > left_) return AllocateSlow(size);
    char* const result = next_;
    next_ += size;
    left_ -= size;
    return result;
  }

  std::string_view Copy(std::string_view bytes) {
    char* const copy = Allocate(bytes.size());
    if (!bytes.empty()) std::memcpy(copy, bytes.data(), bytes.size());
    return {copy, bytes.size()};
  }

  void Clear() { *this = Arena(); }

  // Bytes of all blocks.
  size_t memory_bytes() const { return memory_bytes_; }

 private:
  static constexpr size_t kSmallestBlock = 512;
  static constexpr size_t kLargestBlock = size_t{64} << 10;

  char* AllocateSlow(size_t size) {
    const size_t block = std::clamp(memory_bytes_, kSmallestBlock, kLargestBlock);
    if (size > block / 4) return AddBlock(size);  // Its own block: the current one goes on.
    next_ = AddBlock(block);
    left_ = block;
    return Allocate(size);
  }

  char* AddBlock(size_t size) {
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(size));
    memory_bytes_ += size;
    return blocks_.back().get();
  }

  char* next_ = nullptr;
  size_t left_ = 0;
  size_t memory_bytes_ = 0;
  std::vector<std::unique_ptr<char[]>> blocks_;
};

}  // namespace sop::txn
