#include "storage/memory/memory_state.h"

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::memory {

using persistence::AppendResult;
using persistence::CommitRecord;
using persistence::NodeAction;

namespace {

std::optional<std::string> Copy(const std::shared_ptr<const std::string>& bytes) {
  return bytes == nullptr ? std::nullopt : std::optional(*bytes);
}

std::shared_ptr<const std::string> Share(std::optional<std::string> bytes) {
  if (!bytes.has_value()) return nullptr;
  return std::make_shared<const std::string>(*std::move(bytes));
}

// What `at` sees of `map` in `range`. Keys are pairs of tree and a strong number.
template <typename Key>
std::vector<std::pair<Key, std::string>> CopyRange(const VersionedMap<Key>& map,
                                                   const persistence::PlaceRange& range,
                                                   Sequence at) {
  std::vector<std::pair<Key, std::string>> found;
  const auto& begin = range.begin;
  map.Scan({begin.tree, {begin.number}}, at, [&](const Key& key, const std::string& bytes) {
    if (range.end.has_value() &&
        persistence::PlaceRange::Place{key.first, key.second.value} >= *range.end) {
      return false;
    }
    found.emplace_back(key, bytes);
    return true;
  });
  return found;
}

}  // namespace

Sequence MemoryState::Tail() const {
  const base::MutexLock lock(mu_);
  return tail_;
}

absl::StatusOr<AppendResult> MemoryState::Append(Sequence expected_tail, const CommitRecord& record,
                                                 persistence::ApplyFunction apply, Sequence* view) {
  SOP_CHECK(record.first.value == expected_tail.value + 1 && record.first <= record.last);
  const base::MutexLock lock(mu_);
  SOP_CHECK(expected_tail <= tail_);
  if (expected_tail != tail_) {
    MoveReader(tail_, view);
    return persistence::TailMoved{RecordsFrom(expected_tail)};
  }
  SOP_RETURN_IF_ERROR(CheckReferences(record));
  MoveReader(record.last, view);
  TakeStaged(record);
  ChangeNodes(record, apply);
  ChangeRows(record);
  ChangeValues(record);
  DropTrees(record);
  records_.push_back(record);
  tail_ = record.last;
  return persistence::Committed{tail_};
}

absl::Status MemoryState::CheckReferences(const CommitRecord& record) const {
  for (const uint64_t id : record.staged) {
    if (staged_.count(id) > 0) continue;
    return Error(Reason::kPreconditionNotMet, fmt::format("staged nodes {} are not there", id));
  }
  return absl::OkStatus();
}

void MemoryState::TakeStaged(const CommitRecord& record) {
  for (const uint64_t id : record.staged) {
    Staged staged = std::move(staged_.extract(id).mapped());
    for (auto& [key, image] : staged.nodes) {
      nodes_.Set(key, record.last, Share(std::move(image)), readers_);
    }
    for (auto& [key, value] : staged.values) {
      values_.Set(key, record.last, Share(std::move(value)), readers_);
    }
  }
}

uint64_t MemoryState::NextStagedId() {
  const base::MutexLock lock(mu_);
  return next_staged_++;
}

void MemoryState::AddStaged(uint64_t id, Staged staged) {
  const base::MutexLock lock(mu_);
  staged_.emplace(id, std::move(staged));
}

void MemoryState::RemoveStaged(uint64_t id) {
  const base::MutexLock lock(mu_);
  staged_.erase(id);
}

size_t MemoryState::StagedCount() const {
  const base::MutexLock lock(mu_);
  return staged_.size();
}

std::vector<CommitRecord> MemoryState::RecordsFrom(Sequence expected_tail) const {
  auto record = records_.end();
  while (record != records_.begin() && std::prev(record)->first > expected_tail) --record;
  // A tail that is no record's end was never ours to expect.
  SOP_CHECK(record->first.value == expected_tail.value + 1);
  return {record, records_.end()};
}

void MemoryState::ChangeNodes(const CommitRecord& record, persistence::ApplyFunction apply) {
  for (const persistence::NodeChange& change : record.nodes) {
    const NodeKey key{change.tree, change.node};
    std::optional<std::string> image;
    if (change.action == NodeAction::kPut) {
      image = change.bytes;
    } else if (change.action == NodeAction::kMerge) {
      const auto base = nodes_.Get(key, record.last);
      const std::string_view delta = change.bytes;
      image = apply(base == nullptr ? std::nullopt : std::optional<std::string_view>(*base),
                    std::span(&delta, 1));
    }
    nodes_.Set(key, record.last, Share(std::move(image)), readers_);
  }
}

void MemoryState::ChangeRows(const CommitRecord& record) {
  for (const persistence::RowChange& row : record.rows) {
    if (row.space == persistence::Space::kFeed && !row.value.has_value()) {
      rows_.RemoveRange({row.space, {}}, {row.space, row.key}, record.last, readers_);
      continue;
    }
    rows_.Set({row.space, row.key}, record.last, Share(row.value), readers_);
  }
}

void MemoryState::ChangeValues(const CommitRecord& record) {
  for (const persistence::ValueChange& value : record.values) {
    values_.Set({value.tree, value.value_id}, record.last, Share(value.value), readers_);
  }
}

void MemoryState::DropTrees(const CommitRecord& record) {
  for (const TreeId tree : record.dropped_trees) {
    // Keys of the last tree have no successor that a key could express; its id is never given out.
    SOP_CHECK(tree.value != UINT32_MAX);
    const TreeId next{tree.value + 1};
    nodes_.RemoveRange({tree, NodeId{0}}, {next, NodeId{0}}, record.last, readers_);
    values_.RemoveRange({tree, Serial{0}}, {next, Serial{0}}, record.last, readers_);
  }
}

Sequence MemoryState::AddReader() {
  const base::MutexLock lock(mu_);
  readers_.insert(tail_);
  return tail_;
}

void MemoryState::AddReaderAt(Sequence at) {
  const base::MutexLock lock(mu_);
  SOP_CHECK(readers_.contains(at));
  readers_.insert(at);
}

void MemoryState::MoveReader(Sequence to, Sequence* reader) {
  readers_.erase(readers_.find(*reader));
  readers_.insert(to);
  *reader = to;
}

void MemoryState::RemoveReader(Sequence at) {
  const base::MutexLock lock(mu_);
  readers_.erase(readers_.find(at));
}

std::optional<std::string> MemoryState::ReadNode(TreeId tree, NodeId node, Sequence at) const {
  VersionedMap<NodeKey>::Bytes bytes;
  {
    const base::MutexLock lock(mu_);
    bytes = nodes_.Get({tree, node}, at);
  }
  return Copy(bytes);
}

std::optional<std::string> MemoryState::ReadRow(persistence::Space space, std::string_view key,
                                                Sequence at) const {
  const base::MutexLock lock(mu_);
  return Copy(rows_.Get({space, std::string(key)}, at));
}

std::optional<std::string> MemoryState::ReadValue(TreeId tree, Serial value_id, Sequence at) const {
  VersionedMap<ValueKey>::Bytes bytes;
  {
    const base::MutexLock lock(mu_);
    bytes = values_.Get({tree, value_id}, at);
  }
  return Copy(bytes);
}

void MemoryState::ScanRows(
    persistence::Space space, std::string_view begin, std::string_view end, Sequence at,
    absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const {
  std::vector<std::pair<std::string, std::string>> rows;
  {
    const base::MutexLock lock(mu_);
    rows_.Scan({space, std::string(begin)}, at, [&](const RowKey& key, const std::string& value) {
      if (key.first != space || (!end.empty() && key.second >= end)) return false;
      rows.emplace_back(key.second, value);
      return true;
    });
  }
  for (const auto& row : rows) {
    if (!visit(row.first, row.second)) return;
  }
}

void MemoryState::ScanNodes(const persistence::PlaceRange& range, Sequence at,
                            absl::FunctionRef<bool(TreeId, NodeId, std::string_view)> visit) const {
  std::vector<std::pair<NodeKey, std::string>> found;
  {
    const base::MutexLock lock(mu_);
    found = CopyRange(nodes_, range, at);
  }
  for (const auto& node : found) {
    if (!visit(node.first.first, node.first.second, node.second)) return;
  }
}

void MemoryState::ScanValues(
    const persistence::PlaceRange& range, Sequence at,
    absl::FunctionRef<bool(TreeId, Serial, std::string_view)> visit) const {
  std::vector<std::pair<ValueKey, std::string>> found;
  {
    const base::MutexLock lock(mu_);
    found = CopyRange(values_, range, at);
  }
  for (const auto& value : found) {
    if (!visit(value.first.first, value.first.second, value.second)) return;
  }
}

uint64_t MemoryState::ApproximateSize(TreeId tree) const {
  const base::MutexLock lock(mu_);
  uint64_t size = 0;
  nodes_.Scan({tree, NodeId{0}}, tail_, [&](const NodeKey& key, const std::string& image) {
    if (key.first == tree) size += image.size();
    return key.first == tree;
  });
  values_.Scan({tree, Serial{0}}, tail_, [&](const ValueKey& key, const std::string& value) {
    if (key.first == tree) size += value.size();
    return key.first == tree;
  });
  return size;
}

size_t MemoryState::VersionCount() const {
  const base::MutexLock lock(mu_);
  return nodes_.VersionCount() + rows_.VersionCount() + values_.VersionCount();
}

}  // namespace sop::memory
