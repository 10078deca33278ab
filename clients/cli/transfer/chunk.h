#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sop/v1/btree.pb.h"

namespace sop::cli {

// Items for one request: a packed page, or messages where keys cannot be encoded here because the
// store has still to learn a field.
struct WritePage {
  std::string packed;
  v1::UpsertRequest messages;
  // Of a page of one message: its value, which is too large for one.
  std::string large_value;
  uint64_t items = 0;
};

// A line that is no item.
struct MalformedLine {
  uint64_t line = 0;
  std::string complaint;
};

// A piece of the input that is written by one transaction.
struct Chunk {
  // Malformed lines that are told one by one; the others are only counted.
  static constexpr size_t kMostTold = 20;

  // Bytes [begin, end) of the input, which are whole lines.
  uint64_t begin = 0;
  uint64_t end = 0;
  // Lines before `end`.
  uint64_t lines = 0;
  // Nothing follows in the input.
  bool is_last = false;
  // Of the bytes before `end`: tells whether the input is still what it was.
  uint64_t digest = 0;
  std::vector<WritePage> pages;
  uint64_t items = 0;
  // Some page has a large value.
  bool has_large = false;
  uint64_t malformed = 0;
  std::vector<MalformedLine> told;

  // The encoded keys are in [least, greatest]; known only if all were encoded.
  std::string least_key;
  std::string greatest_key;
  bool keys_known = true;
  // Hashes of the keys, ascending; none if all keys of the chunk are above all before it.
  std::vector<uint64_t> key_hashes;

  // Whether a key may be in both, so that their order matters.
  bool MayShareKeys(const Chunk& other) const;
};

}  // namespace sop::cli
