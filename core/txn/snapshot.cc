#include "core/txn/snapshot.h"

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::txn {
namespace {

thread_local uint64_t storage_reads = 0;

}  // namespace

uint64_t Snapshot::StorageReadsOfThisThread() { return storage_reads; }

absl::StatusOr<btree::NodeRef> MakeNodeVersion(std::string bytes, TreeId tree, NodeId node,
                                               Sequence at, const CountLedger& ledger) {
  auto image = btree::NodeImage::Parse(std::move(bytes));
  if (!image.ok()) {
    return WithDetail(image.status(), "tree", fmt::format("{}", tree.value));
  }
  if ((*image)->is_leaf()) return btree::NodeVersion::FromImage(*std::move(image));
  const uint32_t slots = (*image)->slots();
  std::vector<NodeId> children(slots);
  std::vector<uint64_t> counts(slots);
  for (uint32_t slot = 0; slot < slots; ++slot) {
    const btree::ChildView child = (*image)->child(slot);
    children[slot] = child.child;
    counts[slot] = child.count;
  }
  ledger.Complete({tree, node}, {(*image)->counts_sequence(), at}, children, counts);
  return btree::NodeVersion::WithCounts(*std::move(image), std::move(counts));
}

absl::StatusOr<btree::NodeRef> Snapshot::ReadStored(TreeId tree, NodeId node, Use use) const {
  ++storage_reads;
  auto bytes =
      use == Use::kOnce ? storage_->ReadNodeOnce(tree, node) : storage_->ReadNode(tree, node);
  if (!bytes.ok()) return Noted(bytes.status(), tree);
  if (!bytes->has_value()) return nullptr;
  auto version = MakeNodeVersion(**std::move(bytes), tree, node, sequence_, ledger_);
  if (!version.ok()) return Noted(version.status(), tree);
  return version;
}

absl::StatusOr<btree::NodeRef> Snapshot::ReadNodeInPassing(TreeId tree, NodeId node) const {
  btree::NodeRef version;
  if (cache_.Find(tree, node, sequence_, &version)) return version;
  SOP_ASSIGN_OR_RETURN(version, ReadStored(tree, node, Use::kOnce));
  if (version != nullptr && !version->is_leaf()) cache_.Insert(tree, node, sequence_, version);
  return version;
}

absl::Status Snapshot::Noted(absl::Status status, TreeId tree) const {
  if (ReasonOf(status) != Reason::kDamaged) return status;
  damaged().Mark(tree, std::string(status.message()));
  return WithDetail(std::move(status), "tree", fmt::format("{}", tree.value));
}

absl::StatusOr<std::optional<std::string>> Snapshot::ReadValue(TreeId tree, Serial value_id) const {
  auto value = storage_->ReadValue(tree, value_id);
  if (!value.ok()) return Noted(value.status(), tree);
  return value;
}

absl::StatusOr<btree::NodeRef> Snapshot::ReadNode(TreeId tree, NodeId node) const {
  btree::NodeRef version;
  if (cache_.Find(tree, node, sequence_, &version)) return version;
  SOP_ASSIGN_OR_RETURN(version, ReadStored(tree, node, Use::kOften));
  cache_.Insert(tree, node, sequence_, version);
  return version;
}

}  // namespace sop::txn
