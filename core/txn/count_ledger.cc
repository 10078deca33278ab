#include "core/txn/count_ledger.h"

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

void CountLedger::Add(Sequence sequence, std::span<const TreeCountChange> changes) {
  if (changes.empty()) return;
  base::WriterLock lock(mu_);
  std::vector<Key> touched;
  for (const TreeCountChange& row : changes) {
    const Key key{row.tree, row.change.inner};
    nodes_[key].push_back({sequence, row.change.child, row.change.amount});
    if (touched.empty() || touched.back() != key) touched.push_back(key);
  }
  order_.emplace_back(sequence, std::move(touched));
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

void CountLedger::DropThrough(Sequence sequence) {
  base::WriterLock lock(mu_);
  while (!order_.empty() && order_.front().first <= sequence) {
    for (const Key& key : order_.front().second) {
      const auto it = nodes_.find(key);
      if (it == nodes_.end()) continue;
      while (!it->second.empty() && it->second.front().sequence <= sequence) {
        it->second.pop_front();
      }
      if (it->second.empty()) nodes_.erase(it);
    }
    order_.pop_front();
  }
}

void CountLedger::Complete(const Node& node, const Span& span, std::span<const NodeId> children,
                           std::span<uint64_t> counts) const {
  base::ReaderLock lock(mu_);
  const auto it = nodes_.find(Key{node.tree, node.inner});
  if (it == nodes_.end()) return;
  absl::flat_hash_map<NodeId, size_t> places;
  for (size_t i = 0; i < children.size(); ++i) places[children[i]] = i;
  for (const Entry& entry : it->second) {
    if (entry.sequence <= span.after || entry.sequence > span.through) continue;
    const auto place = places.find(entry.child);
    if (place != places.end()) counts[place->second] += static_cast<uint64_t>(entry.amount);
  }
}

std::vector<CountLedger::Node> CountLedger::InnerNodes(Sequence through) const {
  base::ReaderLock lock(mu_);
  std::vector<Node> nodes;
  for (const auto& [key, entries] : nodes_) {
    if (!entries.empty() && entries.front().sequence <= through) {
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

}  // namespace sop::txn
