#include "core/txn/count_ledger.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"

namespace sop::txn {
namespace {

constexpr uint8_t kFormat = 1;

absl::Status Damaged() { return Error(Reason::kDamaged, "count record is damaged"); }

}  // namespace

std::string EncodeCountRecord(std::span<const TreeCountChange> changes) {
  std::string out;
  out.push_back(static_cast<char>(kFormat));
  base::AppendVarint(&out, changes.size());
  for (const TreeCountChange& row : changes) {
    base::AppendVarint(&out, row.tree.value);
    base::AppendVarint(&out, row.change.inner.value);
    base::AppendVarint(&out, row.change.child.value);
    base::AppendSignedVarint(&out, row.change.amount);
  }
  base::AppendLittle32(&out, base::Checksum32(out));
  return out;
}

absl::StatusOr<std::vector<TreeCountChange>> DecodeCountRecord(std::string_view bytes) {
  if (bytes.size() < 4) return Damaged();
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  if (base::Checksum32(body) != base::LoadLittle32(bytes.data() + body.size())) return Damaged();
  base::ByteReader reader(body);
  uint8_t format;
  uint64_t count;
  if (!reader.GetByte(&format) || format != kFormat || !reader.GetVarint(&count) ||
      count > body.size()) {
    return Damaged();
  }
  std::vector<TreeCountChange> changes(count);
  for (TreeCountChange& row : changes) {
    uint64_t tree;
    if (!reader.GetVarint(&tree) || tree > UINT32_MAX ||
        !reader.GetVarint(&row.change.inner.value) || !reader.GetVarint(&row.change.child.value) ||
        !reader.GetSignedVarint(&row.change.amount)) {
      return Damaged();
    }
    row.tree.value = static_cast<uint32_t>(tree);
  }
  if (!reader.empty()) return Damaged();
  return changes;
}

std::string CountRecordKey(Sequence sequence) {
  std::string key(kCountRecordsBegin);
  base::AppendBigEndian64(&key, sequence.value);
  return key;
}

absl::StatusOr<Sequence> CountRecordSequence(std::string_view key) {
  if (key.size() != kCountRecordsBegin.size() + 8 || !key.starts_with(kCountRecordsBegin)) {
    return Damaged();
  }
  return Sequence{base::LoadBig64(key.data() + kCountRecordsBegin.size())};
}

std::vector<CountLedger::Key>& CountLedger::TouchedBy(Sequence sequence) {
  if (order_.empty() || order_.back().first != sequence)
    order_.emplace_back(sequence, std::vector<Key>());
  return order_.back().second;
}

void CountLedger::Add(Sequence sequence, std::span<const TreeCountChange> changes) {
  if (changes.empty()) return;
  base::WriterLock lock(mu_);
  std::vector<Key>& touched = TouchedBy(sequence);
  for (const TreeCountChange& row : changes) {
    const Key key{row.tree, row.change.inner};
    nodes_[key].push_back({sequence, row.change.child, row.change.amount});
    if (touched.empty() || touched.back() != key) touched.push_back(key);
  }
}

void CountLedger::NoteImage(Sequence sequence, const Node& node) {
  base::WriterLock lock(mu_);
  const Key key{node.tree, node.inner};
  const auto it = nodes_.find(key);
  if (it == nodes_.end()) return;
  it->second.push_back({sequence, NodeId{0}, 0});
  TouchedBy(sequence).push_back(key);
}

void CountLedger::AssumeImages(Sequence through) {
  base::WriterLock lock(mu_);
  unnoted_through_ = std::max(unnoted_through_, through);
}

void CountLedger::DropAbove(Sequence sequence) {
  base::WriterLock lock(mu_);
  while (!order_.empty() && order_.back().first > sequence) {
    for (const Key& key : order_.back().second) {
      const auto it = nodes_.find(key);
      if (it == nodes_.end()) continue;
      while (!it->second.empty() && it->second.back().sequence > sequence) it->second.pop_back();
      if (it->second.empty()) nodes_.erase(it);
    }
    order_.pop_back();
  }
}

// What was compacted is no longer in order_, so all nodes are looked at: once for a folding.
void CountLedger::DropThrough(Sequence sequence) {
  base::WriterLock lock(mu_);
  absl::erase_if(nodes_, [&](auto& node) {
    Entries& entries = node.second;
    entries.erase(entries.begin(), FirstAfter(entries, sequence));
    return entries.empty();
  });
  while (!order_.empty() && order_.front().first <= sequence) order_.pop_front();
  while (!epochs_.empty() && epochs_.front().folding.through <= sequence) epochs_.pop_front();
}

CountLedger::Entries::const_iterator CountLedger::FirstAfter(const Entries& entries,
                                                             Sequence sequence) {
  return std::upper_bound(
      entries.begin(), entries.end(), sequence,
      [](Sequence value, const Entry& entry) { return value < entry.sequence; });
}

void CountLedger::Compact(const Folding& folding, std::span<const Sequence> snapshots) {
  base::WriterLock lock(mu_);
  epochs_.push_back({folding, SIZE_MAX});
  while (!order_.empty() && order_.front().first <= folding.through) order_.pop_front();
  for (Epoch& epoch : epochs_) {
    // Whoever sees the folding needs nothing of it, nor who is before all of its records.
    const auto begin = std::upper_bound(snapshots.begin(), snapshots.end(), epoch.folding.after);
    const auto end = std::lower_bound(begin, snapshots.end(), epoch.folding.folded);
    const auto needing = static_cast<size_t>(end - begin);
    // Snapshots only go: an equal number means the same ones.
    if (std::exchange(epoch.snapshots, needing) == needing) continue;
    for (auto& node : nodes_) CompactNode(epoch.folding, {begin, end}, &node.second);
  }
  std::erase_if(epochs_, [](const Epoch& epoch) { return epoch.snapshots == 0; });
  absl::erase_if(nodes_, [](const auto& node) { return node.second.empty(); });
}

void CountLedger::CompactNode(const Folding& folding, std::span<const Sequence> snapshots,
                              Entries* entries) {
  const auto begin = FirstAfter(*entries, folding.after);
  const auto end = FirstAfter(*entries, folding.through);
  if (begin == end) return;
  Entries kept;
  // Of the run being summed up: where each child's sum is. All sums of a run count from its newest
  // record on, which no snapshot divides.
  absl::flat_hash_map<NodeId, size_t> sums;
  size_t run = 0;
  const auto end_run = [&](Sequence newest) {
    for (; run < kept.size(); ++run) kept[run].sequence = newest;
    sums.clear();
  };
  auto snapshot = snapshots.begin();
  Sequence newest;
  for (auto entry = begin; entry != end; ++entry) {
    const auto next = std::lower_bound(snapshot, snapshots.end(), entry->sequence);
    if (next == snapshots.end()) break;  // newer than all snapshots that lack the folding
    const bool image = entry->child.value == 0;
    const bool alone = image || entry->sequence <= unnoted_through_;
    if (alone || next != snapshot) end_run(newest);
    snapshot = next;
    newest = entry->sequence;
    if (image && !kept.empty() && kept.back().child.value == 0) kept.pop_back();
    const auto [sum, first] = sums.try_emplace(entry->child, kept.size());
    if (first) {
      kept.push_back(*entry);
    } else {
      kept[sum->second].amount += entry->amount;
    }
    if (alone) end_run(newest);
  }
  end_run(newest);
  const auto rest = entries->erase(begin, end);
  entries->insert(rest, kept.begin(), kept.end());
}

void CountLedger::Complete(const Node& node, const Span& span, std::span<const NodeId> children,
                           std::span<uint64_t> counts) const {
  base::ReaderLock lock(mu_);
  const auto it = nodes_.find(Key{node.tree, node.inner});
  if (it == nodes_.end()) return;
  absl::flat_hash_map<NodeId, size_t> places;
  for (size_t i = 0; i < children.size(); ++i) places[children[i]] = i;
  const Entries& entries = it->second;
  for (auto entry = FirstAfter(entries, span.after);
       entry != entries.end() && entry->sequence <= span.through; ++entry) {
    const auto place = places.find(entry->child);
    if (place != places.end()) counts[place->second] += static_cast<uint64_t>(entry->amount);
  }
}

std::optional<Sequence> CountLedger::StoredAsOf(const Node& node, Sequence folded) const {
  base::ReaderLock lock(mu_);
  if (folded < unnoted_through_) return std::nullopt;
  const auto it = nodes_.find(Key{node.tree, node.inner});
  if (it == nodes_.end()) return folded;
  for (auto entry = it->second.rbegin(); entry != it->second.rend(); ++entry) {
    if (entry->sequence <= folded) break;
    if (entry->child.value == 0) return entry->sequence;
  }
  return folded;
}

std::vector<CountLedger::Node> CountLedger::InnerNodes(const Span& span) const {
  base::ReaderLock lock(mu_);
  std::vector<Node> nodes;
  for (const auto& [key, entries] : nodes_) {
    const auto first = FirstAfter(entries, span.after);
    if (first != entries.end() && first->sequence <= span.through) {
      nodes.push_back({key.first, key.second});
    }
  }
  return nodes;
}

std::vector<Sequence> CountLedger::Records(Sequence after, Sequence through) const {
  base::ReaderLock lock(mu_);
  std::vector<Sequence> sequences;
  for (const auto& [sequence, touched] : order_) {
    if (sequence > after && sequence <= through) sequences.push_back(sequence);
  }
  return sequences;
}

size_t CountLedger::records() const {
  base::ReaderLock lock(mu_);
  return order_.size();
}

size_t CountLedger::entries() const {
  base::ReaderLock lock(mu_);
  size_t entries = 0;
  for (const auto& [key, list] : nodes_) entries += list.size();
  return entries;
}

}  // namespace sop::txn
