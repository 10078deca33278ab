#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sop::txn {

// A blocked Bloom filter (Putze, Sanders and Singler 2007): says for certain that a key was not
// added, and wrongly that it may have been for about one key in a hundred. 10 bits for each
// expected key, all bits of a key in one cache line. Keys are given as 64-bit hashes.
// Thread-compatible.
class KeyFilter {
 public:
  explicit KeyFilter(uint64_t expected_keys)
      : block_count_(expected_keys * kBitsPerKey / kBlockBits + 1),
        words_(block_count_ * kBlockWords) {}

  void Add(uint64_t hash) {
    uint64_t* const block = &words_[BlockOf(hash) * kBlockWords];
    uint64_t bits = BitsOf(hash);
    for (int i = 0; i < kProbes; ++i, bits >>= 9) {
      block[(bits >> 6) & 7] |= uint64_t{1} << (bits & 63);
    }
  }

  bool MayContain(uint64_t hash) const {
    const uint64_t* const block = &words_[BlockOf(hash) * kBlockWords];
    uint64_t bits = BitsOf(hash);
    for (int i = 0; i < kProbes; ++i, bits >>= 9) {
      if ((block[(bits >> 6) & 7] >> (bits & 63) & 1) == 0) return false;
    }
    return true;
  }

  size_t memory_bytes() const { return words_.size() * sizeof(uint64_t); }

 private:
  static constexpr int kBitsPerKey = 10;
  static constexpr int kBlockBits = 512;
  static constexpr int kBlockWords = kBlockBits / 64;
  static constexpr int kProbes = 6;

  // The high bits choose the block, a multiple of the whole the bits in it.
  uint64_t BlockOf(uint64_t hash) const {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * block_count_) >> 64);
  }
  static uint64_t BitsOf(uint64_t hash) { return (hash * 0x9e3779b97f4a7c15ULL) >> 8; }

  uint64_t block_count_;
  std::vector<uint64_t> words_;
};

}  // namespace sop::txn
