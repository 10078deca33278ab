#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "core/btree/node/node_version.h"

namespace sop::btree {

// How large nodes may become.
struct NodeLimits {
  size_t image_bytes = 16 * 1024;  // what a full node aims at; one huge item may exceed it
  uint32_t slots = 20'000;         // most items of a leaf; at least 2
  // A node is stored whole once its deltas since then have so many times its size. More writes less
  // and leaves more for a cold read to put together.
  uint32_t delta_share = 1;
};

// The entries of one or more nodes of a level, taken apart so that they can be divided anew. Keys
// and items are views into versions that the caller keeps alive. Confined to one thread.
class NodeEntries {
 public:
  struct Entry {
    std::string_view key;
    ItemView item;
    ChildView child;
    size_t cost = 0;
  };

  NodeEntries(NodeKind kind, int level) : kind_(kind), level_(level) {}

  // Everything in `node`. For an inner node, `low` is the separator of its first child.
  void Append(const NodeVersion& node, std::string_view low);
  void AppendItem(std::string_view key, const ItemView& item);
  void AppendChild(std::string_view key, const ChildView& child);
  // Keeps a copy of `key`; the view lives as long as this object.
  std::string_view Keep(std::string key);

  NodeKind kind() const { return kind_; }
  int level() const { return level_; }
  const std::vector<Entry>& entries() const { return entries_; }
  // Size of one image with everything in it.
  size_t bytes() const { return bytes_ - SharedPrefix() * entries_.size(); }
  bool Fits(const NodeLimits& limits) const;
  uint64_t ItemCount(size_t begin, size_t end) const;

  // Divides the entries into runs that fit. `kTail` fills all but the last run: for keys that
  // arrive in order. Returns the index of the first entry of every run; at least {0}.
  enum class Growth { kAnywhere, kTail };
  std::vector<size_t> Divide(const NodeLimits& limits, Growth growth) const;

  // The shortest key that is above entry `index - 1` and not above entry `index` (Bayer and
  // Unterauer 1977, prefix B-trees). REQUIRES: 0 < index < entries().size().
  std::string Separator(size_t index) const;

  std::string BuildImage(size_t begin, size_t end, const NodeImageBuilder::Stamps& stamps) const;

 private:
  size_t SharedPrefix() const;

  NodeKind kind_;
  int level_;
  std::vector<Entry> entries_;
  std::deque<std::string> kept_;
  size_t bytes_ = NodeImage::kHeaderSize;
};

}  // namespace sop::btree
