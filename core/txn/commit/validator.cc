#include "core/txn/commit/validator.h"

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/fault/seeded_bug.h"
#include "core/base/status_macros.h"

namespace sop::txn {
namespace {

bool Concerns(ChangeKind change, ReadMode mode) {
  return mode == ReadMode::kItem || change == ChangeKind::kStructural;
}

bool Below(std::string_view key, std::string_view end) { return end.empty() || key < end; }

// A key-only read does not mind another value.
bool SameFor(ReadMode mode, const btree::ItemView& a, const btree::ItemView& b) {
  return mode == ReadMode::kItem ? a.version == b.version : a.ride_on == b.ride_on;
}

std::string_view SmallerEnd(std::string_view a, std::string_view b) {
  if (a.empty()) return b;
  return b.empty() ? a : std::min(a, b);
}

}  // namespace

absl::Status ConflictAt(TreeId tree, std::string_view key) {
  return Error(Reason::kConflict,
               fmt::format("another transaction changed key '{}' of tree {} first",
                           base::Printable(key), tree.value),
               {{"tree", fmt::format("{}", tree.value)}, {"key", std::string(key)}});
}

absl::Status Validator::Validate(const Transaction& transaction) {
  if (base::HasSeededBug("skip_conflict_check")) return absl::OkStatus();
  since_ = &transaction.snapshot();
  if (transaction.isolation() == Isolation::kSnapshot) return CheckWrites(transaction);
  return CheckReads(transaction);
}

absl::Status Validator::ValidateSince(const Transaction& transaction, const Snapshot& since) {
  since_ = &since;
  if (transaction.isolation() == Isolation::kSnapshot) return absl::OkStatus();
  return CheckReads(transaction);
}

absl::Status Validator::CheckReads(const Transaction& transaction) {
  const ReadSet& reads = transaction.read_set_;
  absl::Status status;
  for (int slot = 0; slot < reads.tree_count() && status.ok(); ++slot) {
    if (static_cast<size_t>(slot) >= transaction.trees_.size()) break;
    const auto id = transaction.trees_[static_cast<size_t>(slot)]->id;
    if (!id.has_value()) continue;
    const TreeId tree = *id;
    reads.ForEachPoint(slot, [&](std::string_view key, ReadMode mode) {
      status = CheckPoint(tree, key, mode);
      return status.ok();
    });
    if (!status.ok()) break;
    reads.ForEachRange(slot, [&](std::string_view begin, std::string_view end, ReadMode mode) {
      status = CheckRange(tree, begin, end, mode);
      return status.ok();
    });
    if (!status.ok()) break;
    reads.ForEachCount(slot, [&](std::string_view begin, std::string_view end, uint64_t count) {
      status = CheckCount(tree, begin, end, count);
      return status.ok();
    });
  }
  return status;
}

absl::Status Validator::CheckWrites(const Transaction& transaction) {
  for (const auto& tree : transaction.trees_) {
    if (!tree->id.has_value()) continue;
    Overlay::Iterator own(tree->overlay);
    for (own.SeekToFirst(); own.Valid(); own.Next()) {
      SOP_ASSIGN_OR_RETURN(const OwnWrite write, DecodeOwnWrite(own.payload()));
      if (write.kind == OwnWriteKind::kAdd) continue;
      SOP_RETURN_IF_ERROR(CheckPoint(*tree->id, own.key(), ReadMode::kItem));
    }
    SOP_RETURN_IF_ERROR(own.status());
  }
  return absl::OkStatus();
}

bool Validator::CountsDependOnLastGroup(const Transaction& transaction) const {
  const CommitGroup& group = *groups_.back();
  const ReadSet& reads = transaction.read_set_;
  for (int slot = 0; slot < reads.tree_count(); ++slot) {
    if (static_cast<size_t>(slot) >= transaction.trees_.size()) break;
    const auto id = transaction.trees_[static_cast<size_t>(slot)]->id;
    if (!id.has_value() || !group.trees.contains(*id)) continue;
    const bool none = reads.ForEachCount(
        slot, [](std::string_view, std::string_view, uint64_t) { return false; });
    if (!none) return true;
  }
  return false;
}

absl::Status Validator::CheckPoint(TreeId tree, std::string_view key, ReadMode mode) {
  const Sequence since = since_->sequence();
  for (const CommitGroup* group : groups_) {
    const auto writes = group->trees.find(tree);
    if (writes == group->trees.end()) continue;
    const NetWrite* const write = writes->second.writes.Find(key);
    if (write != nullptr && write->sequence > since && Concerns(write->change, mode)) {
      return ConflictAt(tree, key);
    }
  }
  if (window_ == nullptr) return ComparePoint(tree, key, mode);
  switch (window_->Probe(tree, key, since, mode).outcome) {
    case ProbeOutcome::kUnchanged:
      return absl::OkStatus();
    case ProbeOutcome::kChanged:
      return ConflictAt(tree, key);
    case ProbeOutcome::kBeyondReach:
      break;
  }
  return ComparePoint(tree, key, mode);
}

absl::Status Validator::CheckRange(TreeId tree, std::string_view begin, std::string_view end,
                                   ReadMode mode) {
  if (base::HasSeededBug("lose_phantom")) return absl::OkStatus();
  const Sequence since = since_->sequence();
  for (const CommitGroup* group : groups_) {
    const auto writes = group->trees.find(tree);
    if (writes == group->trees.end()) continue;
    const NetWrites& net = writes->second.writes;
    for (auto it = net.LowerBound(begin); it != net.end() && Below((*it).key(), end); ++it) {
      if ((*it).write.sequence > since && Concerns((*it).write.change, mode)) {
        return ConflictAt(tree, (*it).key());
      }
    }
  }
  if (window_ == nullptr) return CompareRange(tree, begin, end, mode);
  const ProbeResult probe = window_->ProbeRange(tree, begin, end, since, mode);
  switch (probe.outcome) {
    case ProbeOutcome::kUnchanged:
      return absl::OkStatus();
    case ProbeOutcome::kChanged:
      return ConflictAt(tree, probe.key);
    case ProbeOutcome::kBeyondReach:
      break;
  }
  return CompareRange(tree, begin, end, mode);
}

absl::Status Validator::CheckCount(TreeId tree, std::string_view begin, std::string_view end,
                                   uint64_t count) {
  if (base::HasSeededBug("ignore_counts")) return absl::OkStatus();
  SOP_ASSIGN_OR_RETURN(const uint64_t now, btree::CountRange(head_, tree, begin, end));
  if (now == count) return absl::OkStatus();
  return Error(Reason::kConflict,
               fmt::format("another transaction changed the number of items counted in tree {} "
                           "from {} to {}",
                           tree.value, count, now),
               {{"tree", fmt::format("{}", tree.value)}, {"key", std::string(begin)}});
}

absl::Status Validator::ComparePoint(TreeId tree, std::string_view key, ReadMode mode) {
  btree::Cursor now(head_, tree);
  SOP_RETURN_IF_ERROR(now.SeekToLeaf(key));
  if (now.leaf() != nullptr && now.leaf()->sequence() <= since_->sequence()) {
    return absl::OkStatus();
  }
  SnapshotSource source(*since_);
  SOP_ASSIGN_OR_RETURN(const auto before, btree::Find(source, tree, key));
  btree::ItemView after;
  const bool there_now = now.leaf() != nullptr && now.leaf()->Find(key, &after);
  if (there_now != before.has_value() || (there_now && !SameFor(mode, before->item, after))) {
    return ConflictAt(tree, key);
  }
  return absl::OkStatus();
}

// Leaf by leaf of the newest state: untouched leaves cost one descent each.
absl::Status Validator::CompareRange(TreeId tree, std::string_view begin, std::string_view end,
                                     ReadMode mode) {
  std::string at(begin);
  for (;;) {
    btree::Cursor now(head_, tree);
    SOP_RETURN_IF_ERROR(now.SeekToLeaf(at));
    const std::string high =
        now.leaf() == nullptr ? std::string() : now.LeafHigh().value_or(std::string());
    const std::string stop(SmallerEnd(high, end));
    if (now.leaf() == nullptr || now.leaf()->sequence() > since_->sequence()) {
      SOP_RETURN_IF_ERROR(CompareItems(tree, {at, stop}, mode));
    }
    if (high.empty() || !Below(high, end)) return absl::OkStatus();
    at = high;
  }
}

absl::Status Validator::CompareItems(TreeId tree, const KeyRange& range, ReadMode mode) {
  SnapshotSource source(*since_);
  btree::Cursor before(source, tree);
  btree::Cursor now(head_, tree);
  SOP_RETURN_IF_ERROR(before.Seek(range.begin));
  SOP_RETURN_IF_ERROR(now.Seek(range.begin));
  for (;;) {
    const bool had = before.Valid() && Below(before.key(), range.end);
    const bool has = now.Valid() && Below(now.key(), range.end);
    if (!had && !has) return absl::OkStatus();
    if (had != has) return ConflictAt(tree, had ? before.key() : now.key());
    if (before.key() != now.key()) return ConflictAt(tree, std::min(before.key(), now.key()));
    if (!SameFor(mode, before.item(), now.item())) return ConflictAt(tree, now.key());
    SOP_RETURN_IF_ERROR(before.Next());
    SOP_RETURN_IF_ERROR(now.Next());
  }
}

}  // namespace sop::txn
