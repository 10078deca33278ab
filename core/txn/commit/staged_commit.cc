#include "core/txn/commit/staged_commit.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/txn/commit/commit_builder.h"
#include "core/txn/commit/overlay_writes.h"
#include "core/txn/commit/validator.h"

namespace sop::txn {
bool CommitStager::Wants(const Transaction& transaction) {
  const Limits& limits = transaction.limits();
  if (transaction.write_bytes() <= limits.staged_commit_bytes &&
      transaction.write_count() <= limits.staged_commit_writes) {
    return false;
  }
  if (transaction.late_keys_ > 0) return false;
  return std::none_of(transaction.trees_.begin(), transaction.trees_.end(), [](const auto& tree) {
    return (!tree->id.has_value() || tree->options.feed) && !tree->overlay.empty();
  });
}

int64_t CommitStager::MemoryFor(const Transaction& transaction) {
  // Tables that are being written, then for each leaf its range, its place and its entry in the
  // index of a table.
  constexpr int64_t kTables = 8 << 20;
  constexpr int64_t kWrittenBytesPerByte = 64;
  return kTables + static_cast<int64_t>(transaction.write_bytes()) / kWrittenBytesPerByte;
}

std::pair<Sequence, Sequence> CommitStager::Reserve(const Transaction& transaction, Sequence tail,
                                                    int attempt) {
  // Several times what others commit in the seconds that staging takes; a new attempt gets more.
  uint64_t gap =
      (uint64_t{1} << 14) + transaction.write_bytes() / 256 + transaction.write_count() / 4;
  gap <<= std::min(attempt * 4, 16);
  const uint64_t serials =
      transaction.write_count() * 4 + transaction.write_bytes() / persistence::kValuePieceBytes;
  const uint64_t length = serials / kSerialsPerSequence + 2 + StagedCommit::kBuilderSequences;
  const Sequence first{tail.value + gap};
  return {first, Sequence{first.value + length}};
}

void CommitStager::Run(Transaction& transaction, StagedCommit* staged) const {
  staged->status = Stage(transaction, staged);
}

absl::Status CommitStager::Stage(Transaction& transaction, StagedCommit* staged) const {
  PassingSource source(*staged->base);
  if (transaction.snapshot().sequence() < staged->base->sequence()) {
    SOP_RETURN_IF_ERROR(Validator(nullptr, {}, source).Validate(transaction));
    transaction.snapshot_ = staged->base;
  }
  SOP_ASSIGN_OR_RETURN(
      staged->nodes,
      storage_.nodes().StageNodes(transaction.OnlyErases() ? persistence::SpaceUse::kReserve
                                                           : persistence::SpaceUse::kAboveReserve));
  std::vector<const Transaction::Tree*> trees;
  for (const auto& tree : transaction.trees_) {
    // The catalog is small, and assumptions write to it when their turn comes.
    if (!tree->overlay.empty() && tree->id != kCatalogTree) trees.push_back(tree.get());
  }
  std::sort(trees.begin(), trees.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
  SerialAllocator serials(Sequence{staged->first.value - 1});
  serials.NextSequence();
  for (const Transaction::Tree* tree : trees) {
    const TreeId id = *tree->id;
    const auto next = [&serials] { return serials.Next(); };
    const auto next_node = [&serials] { return NodeId{serials.Next().value}; };
    const auto put_node = [&](NodeId node, std::string_view image) {
      return staged->nodes->PutNode(id, node, image);
    };
    const auto put_value = [&](Serial value_id, std::string_view value) {
      return staged->nodes->PutValue(id, value_id, value);
    };
    OverlayWrites writes(tree->overlay, staged->version(), next, put_value);
    btree::TreeStager::Options options{limits_, staged->version()};
    options.limits.slots = std::max<uint32_t>(tree->options.slot_length, 2);
    btree::TreeStager stager(source, next_node, put_node, options);
    SOP_ASSIGN_OR_RETURN(staged->trees[id], stager.Stage(id, writes));
    if (serials.current() >= staged->builder_sequence()) {
      return Error(Reason::kInternal, "more serials staged than were reserved");
    }
  }
  return staged->nodes->Seal();
}

absl::StatusOr<btree::NodeRef> StagedSource::Read(TreeId tree, NodeId node) {
  if (node == kRootNode || !staged_.Staged(node)) return head_.Read(tree, node);
  SOP_ASSIGN_OR_RETURN(auto bytes, staged_.nodes->ReadNode(tree, node));
  if (!bytes.has_value()) return nullptr;
  SOP_ASSIGN_OR_RETURN(auto image, btree::NodeImage::Parse(*std::move(bytes)));
  return btree::NodeVersion::FromImage(std::move(image));
}

}  // namespace sop::txn
