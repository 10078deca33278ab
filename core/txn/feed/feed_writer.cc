#include "core/txn/feed/feed_writer.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sop::txn {
namespace {

// A part takes no more changes beyond this, so that a reader never holds much more at once.
constexpr size_t kPartBytes = size_t{64} << 10;

}  // namespace

void FeedWriter::Add(TreeId tree, const FeedChange& change) {
  auto known = std::find_if(pending_.begin(), pending_.end(),
                            [tree](const Pending& own) { return own.tree == tree; });
  if (known == pending_.end()) known = pending_.insert(known, Pending{tree, {}});
  std::vector<FeedRow>& parts = known->parts;
  if (parts.empty()) {
    parts.emplace_back(0);
  } else if (parts.back().size_bytes() >= kPartBytes) {
    parts.emplace_back(parts.back().next_ordinal());
  }
  parts.back().Add(change);
}

void FeedWriter::Commit(Sequence version) {
  for (const Pending& own : pending_) {
    for (size_t part = 0; part < own.parts.size(); ++part) {
      const FeedRowKey key{version, own.tree, static_cast<uint32_t>(part)};
      rows_.push_back(
          {persistence::Space::kFeed, EncodeFeedRowKey(key), own.parts[part].Encode(unix_ms_)});
      row_bytes_ += rows_.back().key.size() + rows_.back().value->size();
    }
    if (std::find(trees_.begin(), trees_.end(), own.tree) == trees_.end()) {
      trees_.push_back(own.tree);
    }
  }
  pending_.clear();
}

void FeedWriter::Finish(std::vector<persistence::RowChange>* rows) {
  std::move(rows_.begin(), rows_.end(), std::back_inserter(*rows));
  rows_.clear();
}

}  // namespace sop::txn
