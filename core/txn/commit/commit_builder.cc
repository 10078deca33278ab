#include "core/txn/commit/commit_builder.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/fault/seeded_bug.h"
#include "core/base/status_macros.h"
#include "core/btree/tree_writer.h"
#include "core/txn/commit/meta_rows.h"
#include "core/txn/value/value_pieces.h"

namespace sop::txn {
namespace {

using btree::DeltaKind;
using persistence::NodeAction;

// A group takes no more transactions beyond these.
constexpr size_t kGroupBytes = size_t{8} << 20;
constexpr size_t kGroupTransactions = 4096;
// More sequences than any group of such transactions gives out.
constexpr uint64_t kGroupSequences = 2 * kGroupTransactions;

void PatchSerial(std::optional<uint32_t> offset, Serial serial, std::string* bytes) {
  if (offset.has_value() && *offset + sizeof(uint64_t) <= bytes->size()) {
    base::StoreBig64(bytes->data() + *offset, serial.value);
  }
}

bool OnlyRemoves(const CommitGroup& group) {
  for (const auto& [tree, net] : group.trees) {
    for (const NetWrites::Entry& entry : net.writes) {
      if (entry.write.kind != DeltaKind::kErase) return false;
    }
  }
  return true;
}

}  // namespace

// What an Assumption sees and adds. Its writes reach the group only when all assumptions of the
// transaction are settled.
class CommitBuilder::View : public CommitView {
 public:
  View(CommitBuilder& builder, Transaction& transaction)
      : builder_(builder), transaction_(transaction) {}

  absl::StatusOr<std::optional<btree::Item>> Get(TreeId tree, std::string_view key) override {
    const auto it = writes_.find({tree, std::string(key)});
    if (it == writes_.end()) return builder_.ReadHead(tree, key);
    return it->second;
  }
  void Put(TreeId tree, std::string_view key, uint8_t format, std::string_view value) override {
    btree::Item item;
    item.format = format;
    item.value = std::string(value);
    writes_[{tree, std::string(key)}] = std::move(item);
  }
  void Erase(TreeId tree, std::string_view key) override {
    writes_[{tree, std::string(key)}] = std::nullopt;
  }
  TreeId NextTreeId() override { return TreeId{builder_.state_.next_tree_id.value++}; }
  void Bind(TreeSlot slot, TreeId tree) override {
    bound_.emplace_back(slot, tree);
    transaction_.at(slot).id = tree;
  }
  void DropTree(TreeId tree) override { dropped_.push_back(tree); }
  void EndFeed(TreeId tree, std::string_view entry) override {
    ended_feeds_.emplace_back(tree, std::string(entry));
  }

  // Undoes Bind, for a transaction that is refused or built again.
  void Unbind() {
    for (const auto& [slot, tree] : bound_) transaction_.at(slot).id.reset();
  }
  void Commit(Sequence sequence) {
    for (auto& [place, item] : writes_) {
      NetWrite net;
      net.sequence = sequence;
      net.kind = item.has_value() ? DeltaKind::kPut : DeltaKind::kErase;
      if (item.has_value()) net.item = item->view();
      builder_.Replace(builder_.group_->trees[place.first].writes, place.second, net);
    }
    for (const TreeId tree : dropped_) {
      builder_.group_->dropped_trees.push_back(tree);
      builder_.state_.dropped_trees[tree] = sequence;
    }
    for (const auto& [tree, entry] : ended_feeds_) {
      FeedChange end;
      end.kind = FeedKind::kStoreRemoved;
      end.has_value = FeedValue::kWhole;
      end.value = entry;
      builder_.feed_.Add(tree, end);
    }
  }

 private:
  CommitBuilder& builder_;
  Transaction& transaction_;
  absl::btree_map<std::pair<TreeId, std::string>, std::optional<btree::Item>> writes_;
  std::vector<std::pair<TreeSlot, TreeId>> bound_;
  std::vector<TreeId> dropped_;
  std::vector<std::pair<TreeId, std::string>> ended_feeds_;
};

CommitBuilder::CommitBuilder(const Inputs& inputs, BuildState& state)
    : inputs_(inputs),
      state_(state),
      group_(std::make_unique<CommitGroup>()),
      start_(StartOf(inputs)),
      serials_(start_),
      feed_(inputs.unix_ms),
      first_tree_id_(state.next_tree_id) {
  group_->first = Sequence{inputs.tail.value + 1};
}

CommitBuilder::~CommitBuilder() = default;

// Sequences are dense, and a group may take many: one that would come near those that are reserved
// takes them all and gives out none.
Sequence CommitBuilder::StartOf(const Inputs& inputs) {
  if (inputs.reserved == nullptr || inputs.tail >= inputs.reserved->last) return inputs.tail;
  const bool near = inputs.tail.value + kGroupSequences >= inputs.reserved->first.value;
  return near ? inputs.reserved->last : inputs.tail;
}

absl::Status CommitBuilder::CheckUnstaged(const Transaction& transaction) const {
  const Limits& limits = transaction.limits();
  const bool too_many = transaction.write_count() > limits.unstaged_writes;
  if (!too_many && transaction.write_bytes() <= limits.unstaged_bytes) return absl::OkStatus();
  return Error(
      Reason::kLimitExceeded,
      fmt::format("transaction {} makes stores, numbers its keys at commit or writes to stores "
                  "with a feed, and holds {} writes of {} bytes, the limits are {} and {}",
                  transaction.id().ToString(), transaction.write_count(), transaction.write_bytes(),
                  limits.unstaged_writes, limits.unstaged_bytes),
      {{"limit", fmt::format("{}", too_many ? limits.unstaged_writes : limits.unstaged_bytes)},
       {"limit_name", too_many ? "unstaged_writes" : "unstaged_bytes"}});
}

CommitBuilder::Verdict CommitBuilder::TryAdd(CommitRequest& request, absl::Status* status) {
  if (group_->staged != nullptr) return Verdict::kGroupFull;
  if (request.staged != nullptr) return TryAddStaged(request, status);
  const bool empty = this->empty();
  if (!empty && (group_->bytes + request.transaction->write_bytes() > kGroupBytes ||
                 serials_.current().value - start_.value >= kGroupTransactions)) {
    return Verdict::kGroupFull;
  }
  std::vector<const CommitGroup*> groups;
  inputs_.recent.AppendAbove(request.transaction->read_version(), &groups);
  if (inputs_.unpublished != nullptr && !base::HasSeededBug("forget_unpublished_group")) {
    groups.push_back(inputs_.unpublished);
  }
  groups.push_back(group_.get());
  Validator validator(&inputs_.window, std::move(groups), inputs_.head);
  if (!empty && validator.CountsDependOnLastGroup(*request.transaction)) {
    return Verdict::kGroupFull;
  }
  Transaction& transaction = *request.transaction;
  View view(*this, transaction);
  *status = CheckUnstaged(transaction);
  if (status->ok()) *status = CheckDropped(transaction);
  for (const auto& assumption : transaction.assumptions_) {
    if (!status->ok()) break;
    *status = assumption->Settle(view);
  }
  // A tree that was bound just now may be one that this group writes.
  if (status->ok() && !empty && validator.CountsDependOnLastGroup(transaction)) {
    view.Unbind();
    return Verdict::kGroupFull;
  }
  if (status->ok()) *status = validator.Validate(transaction);
  if (!status->ok()) {
    view.Unbind();
    return Verdict::kRefused;
  }
  serials_.NextSequence();
  *status = CheckMergeable(transaction);
  if (status->ok()) {
    *status = MergeWrites(transaction);
    broken_ = !status->ok();
  }
  if (!status->ok()) {
    view.Unbind();
    feed_.Discard();
    return Verdict::kRefused;
  }
  request.version = serials_.current();
  Add(request, view);
  return Verdict::kAdded;
}

CommitBuilder::Verdict CommitBuilder::TryAddStaged(CommitRequest& request, absl::Status* status) {
  if (!empty()) return Verdict::kGroupFull;
  const StagedCommit& staged = *request.staged;
  if (inputs_.tail >= staged.builder_sequence()) return Verdict::kStale;
  std::vector<const CommitGroup*> groups;
  inputs_.recent.AppendAbove(staged.base->sequence(), &groups);
  if (inputs_.unpublished != nullptr) groups.push_back(inputs_.unpublished);
  Validator validator(&inputs_.window, std::move(groups), inputs_.head);
  Transaction& transaction = *request.transaction;
  View view(*this, transaction);
  *status = CheckDropped(transaction);
  for (const auto& assumption : transaction.assumptions_) {
    if (!status->ok()) break;
    *status = assumption->Settle(view);
  }
  if (status->ok()) *status = staged.status;
  if (status->ok()) *status = validator.ValidateSince(transaction, *staged.base);
  if (status->ok()) {
    group_->staged = request.staged;
    staged_transaction_ = &transaction;
    serials_ = SerialAllocator(Sequence{staged.builder_sequence().value - 1});
    serials_.NextSequence();
    *status = CheckMergeable(transaction);
    if (status->ok()) *status = MergeWrites(transaction);
    broken_ = !status->ok();
  }
  if (!status->ok()) {
    view.Unbind();
    feed_.Discard();
    return Verdict::kRefused;
  }
  request.version = staged.version();
  Add(request, view);
  return Verdict::kAdded;
}

void CommitBuilder::Add(CommitRequest& request, View& view) {
  view.Commit(request.version);
  feed_.Commit(request.version);
  group_->staged_values.insert(request.transaction->staged_values_.begin(),
                               request.transaction->staged_values_.end());
  // A staged transaction's writes are not held by its group.
  if (request.staged == nullptr) group_->bytes += request.transaction->write_bytes();
  if (request.options.durability == persistence::Durability::kSynced) {
    group_->durability = persistence::Durability::kSynced;
  }
  if (request.options.token.has_value()) {
    group_->record.rows.push_back({persistence::Space::kOutcomes, request.options.token->Bytes(),
                                   EncodeOutcome({request.version, request.options.reply})});
  }
}

bool CommitBuilder::Merges(const Transaction::Tree& tree) const {
  if (tree.overlay.empty()) return false;
  return group_->staged == nullptr || !tree.id.has_value() ||
         !group_->staged->trees.contains(*tree.id);
}

absl::Status CommitBuilder::CheckDropped(const Transaction& transaction) const {
  if (base::HasSeededBug("forget_removed_store")) return absl::OkStatus();
  for (const auto& tree : transaction.trees_) {
    if (!tree->id.has_value()) continue;
    const auto it = state_.dropped_trees.find(*tree->id);
    if (it != state_.dropped_trees.end() && it->second > transaction.read_version()) {
      return Error(Reason::kStoreRemoved,
                   fmt::format("tree {} was removed by another transaction", tree->id->value),
                   {{"tree", fmt::format("{}", tree->id->value)}});
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<btree::Item>> CommitBuilder::ReadHead(TreeId tree,
                                                                   std::string_view key) {
  SOP_ASSIGN_OR_RETURN(const auto found, btree::Find(inputs_.head, tree, key));
  std::optional<btree::Item> item;
  if (found.has_value()) item.emplace(found->item);
  const auto writes = group_->trees.find(tree);
  if (writes == group_->trees.end()) return item;
  const NetWrite* const net = std::as_const(writes->second.writes).Find(key);
  if (net == nullptr) return item;
  switch (net->kind) {
    case DeltaKind::kPut:
      return btree::Item(net->item);
    case DeltaKind::kSetRideOn:
      if (item.has_value()) item->ride_on = net->item.ride_on;
      return item;
    case DeltaKind::kAdd: {
      OwnWrite add;
      add.kind = OwnWriteKind::kAdd;
      add.amount = net->amount;
      return ApplyOwnWrite(add, item.has_value() ? &*item : nullptr);
    }
    default:
      return std::nullopt;
  }
}

// What the newest state may refuse, asked before anything is merged.
absl::Status CommitBuilder::CheckMergeable(const Transaction& transaction) {
  for (const auto& tree : transaction.trees_) {
    if (!tree->overlay.empty() && !tree->id.has_value()) {
      return Error(Reason::kInternal, "a tree was written to but never bound");
    }
    if (!Merges(*tree)) continue;
    Overlay::Iterator own(tree->overlay);
    for (own.SeekToFirst(); own.Valid(); own.Next()) {
      SOP_ASSIGN_OR_RETURN(const OwnWrite write, DecodeOwnWrite(own.payload()));
      if (write.kind != OwnWriteKind::kAdd) continue;
      SOP_ASSIGN_OR_RETURN(const auto item, ReadHead(*tree->id, own.key()));
      SOP_RETURN_IF_ERROR(ApplyOwnWrite(write, item.has_value() ? &*item : nullptr).status());
    }
    SOP_RETURN_IF_ERROR(own.status());
  }
  return absl::OkStatus();
}

absl::Status CommitBuilder::MergeWrites(const Transaction& transaction) {
  for (const auto& tree : transaction.trees_) {
    if (!Merges(*tree)) continue;
    CommitGroup::Tree& net = group_->trees[*tree->id];
    net.options = tree->options;
    Overlay::Iterator own(tree->overlay);
    for (own.SeekToFirst(); own.Valid(); own.Next()) {
      SOP_ASSIGN_OR_RETURN(const OwnWrite write, DecodeOwnWrite(own.payload()));
      if (tree->options.feed) SOP_RETURN_IF_ERROR(NoteChange(*tree->id, own.key(), write));
      SOP_RETURN_IF_ERROR(MergeWrite(*tree->id, net.writes, own.key(), write));
    }
    SOP_RETURN_IF_ERROR(own.status());
  }
  return absl::OkStatus();
}

absl::Status CommitBuilder::MergeWrite(TreeId tree, NetWrites& writes, std::string_view key,
                                       const OwnWrite& write) {
  if (write.kind == OwnWriteKind::kSetRideOn || write.kind == OwnWriteKind::kAdd) {
    return MergePartial(tree, writes, key, write);
  }
  NetWrite net;
  net.change = write.change;
  net.sequence = serials_.current();
  if (write.kind == OwnWriteKind::kErase) {
    net.kind = DeltaKind::kErase;
    Replace(writes, key, net);
    return absl::OkStatus();
  }
  net.item.flags = write.ItemFlags();
  net.item.format = write.format;
  net.item.ride_on = write.ride_on;
  net.item.value = write.value;
  std::string late_key;
  std::string late_value;
  if (write.late_key_offset.has_value() || write.late_value_offset.has_value()) {
    const Serial serial = serials_.Next();
    net.sequence = serials_.current();
    late_key = key;
    late_value = write.value;
    PatchSerial(write.late_key_offset, serial, &late_key);
    PatchSerial(write.late_value_offset, serial, &late_value);
    key = late_key;
    net.item.value = late_value;
  }
  std::string encoded;
  if (write.out_of_node) {
    SOP_ASSIGN_OR_RETURN(const auto reference,
                         PlaceValue(
                             net.item.value, [this] { return serials_.Next(); },
                             [&](Serial id, std::string_view piece) {
                               group_->values[id] = {tree, id, std::string(piece)};
                               return absl::OkStatus();
                             }));
    encoded = btree::EncodeReference(reference);
    net.item.flags |= btree::kItemValueIsReference;
    net.item.value = encoded;
    net.value_id = reference.value_id;
  }
  if (write.staged) {
    const auto reference = btree::DecodeReference(write.value);
    SOP_CHECK(reference.has_value());
    net.value_id = reference->value_id;
  }
  Replace(writes, key, net);
  return absl::OkStatus();
}

void CommitBuilder::GiveUpValue(const NetWrite& write) {
  if (!write.value_id.has_value()) return;
  const auto reference = btree::DecodeReference(write.item.value);
  SOP_CHECK(reference.has_value());
  if (group_->staged_values.erase(reference->value_id) > 0) return;
  for (uint64_t i = 0; i < reference->pieces(); ++i) group_->values.erase(reference->piece(i));
}

absl::StatusOr<std::optional<Sequence>> CommitBuilder::FindVersion(TreeId tree,
                                                                   std::string_view key) {
  const auto writes = group_->trees.find(tree);
  const NetWrite* net = nullptr;
  if (writes != group_->trees.end()) net = std::as_const(writes->second.writes).Find(key);
  if (net != nullptr && net->kind == DeltaKind::kErase) return std::nullopt;
  // Ride-on fields are set only of an item that is there.
  if (net != nullptr) return net->sequence;
  SOP_ASSIGN_OR_RETURN(const auto found, btree::Find(inputs_.head, tree, key));
  if (!found.has_value()) return std::nullopt;
  return found->item.version;
}

absl::Status CommitBuilder::NoteChange(TreeId tree, std::string_view key, const OwnWrite& write) {
  SOP_ASSIGN_OR_RETURN(const std::optional<Sequence> before, FindVersion(tree, key));
  FeedChange change;
  change.key = key;
  change.previous = before.value_or(Sequence{});
  change.ride_on = write.ride_on;
  if (write.kind == OwnWriteKind::kPut) {
    change.kind = before.has_value() ? FeedKind::kUpdated : FeedKind::kAdded;
    change.format = write.format;
    change.value_size = write.value.size();
    if (write.staged) {
      const auto reference = btree::DecodeReference(write.value);
      SOP_CHECK(reference.has_value());
      change.value_size = reference->size;
    }
    change.has_value =
        change.value_size <= kMostFeedValueBytes ? FeedValue::kWhole : FeedValue::kLeftOut;
    if (change.has_value == FeedValue::kWhole) change.value = write.value;
  } else if (before.has_value()) {
    change.kind = write.kind == OwnWriteKind::kErase ? FeedKind::kRemoved : FeedKind::kKeyUpdated;
  } else {
    return absl::OkStatus();  // nothing was there and nothing is
  }
  feed_.Add(tree, change);
  return absl::OkStatus();
}

absl::Status CommitBuilder::MergePartial(TreeId tree, NetWrites& writes, std::string_view key,
                                         const OwnWrite& write) {
  NetWrite* const known = writes.Find(key);
  NetWrite net;
  net.sequence = serials_.current();
  if (known == nullptr) {
    net.kind = write.kind == OwnWriteKind::kAdd ? DeltaKind::kAdd : DeltaKind::kSetRideOn;
    net.amount = write.amount;
    net.item.ride_on = write.ride_on;
    Replace(writes, key, net);
    return absl::OkStatus();
  }
  if (known->kind == DeltaKind::kAdd && write.kind == OwnWriteKind::kAdd) {
    known->amount = static_cast<int64_t>(static_cast<uint64_t>(known->amount) +
                                         static_cast<uint64_t>(write.amount));
    known->sequence = net.sequence;
    return absl::OkStatus();
  }
  if (known->kind == DeltaKind::kSetRideOn && write.kind == OwnWriteKind::kSetRideOn) {
    known->item.ride_on = writes.Keep(write.ride_on);
    known->sequence = net.sequence;
    return absl::OkStatus();
  }
  SOP_ASSIGN_OR_RETURN(const auto before, ReadHead(tree, key));
  SOP_ASSIGN_OR_RETURN(const auto after,
                       ApplyOwnWrite(write, before.has_value() ? &*before : nullptr));
  if (!after.has_value()) return absl::OkStatus();
  // A value that is out of the node already stays where it is.
  net.value_id = std::exchange(known->value_id, std::nullopt);
  net.item = after->view();
  Replace(writes, key, net);
  return absl::OkStatus();
}

void CommitBuilder::Replace(NetWrites& writes, std::string_view key, const NetWrite& net) {
  bool made;
  NetWrite& write = writes.At(key, &made);
  const bool structural = !made && write.change == ChangeKind::kStructural;
  if (!made) GiveUpValue(write);
  write = net;
  if (structural) write.change = ChangeKind::kStructural;
  write.item.ride_on = writes.Keep(net.item.ride_on);
  write.item.value = writes.Keep(net.item.value);
}

absl::Status CommitBuilder::WriteTree(TreeId tree, const CommitGroup::Tree& net,
                                      Finished* finished) {
  std::vector<btree::TreeWrite> writes;
  writes.reserve(net.writes.size());
  for (const NetWrites::Entry& entry : net.writes) {
    const NetWrite& write = entry.write;
    writes.push_back({write.kind, entry.key(), write.sequence, write.item, write.amount});
  }
  btree::TreeWriter::Options options;
  options.limits = inputs_.limits;
  options.limits.slots = std::max<uint32_t>(net.options.slot_length, 2);
  options.sequence = group_->last;
  const auto next_node = [this] { return NodeId{serials_.Next().value}; };
  btree::TreeWriter writer(inputs_.head, next_node, options);
  SOP_ASSIGN_OR_RETURN(btree::TreeChanges changes, writer.Write(tree, writes));
  AddChanges(tree, std::move(changes), finished);
  return absl::OkStatus();
}

void CommitBuilder::AddChanges(TreeId tree, btree::TreeChanges changes, Finished* finished) {
  for (auto& [id, result] : changes.nodes) {
    if (result.action.has_value()) {
      persistence::NodeChange change{tree, id, *result.action, std::move(result.bytes)};
      const bool has_image = change.action == NodeAction::kPut && result.version != nullptr;
      if (has_image) change.bytes = result.version->image().bytes();
      group_->record.nodes.push_back(std::move(change));
    }
    const bool unread = result.version == nullptr && result.action != NodeAction::kRemove;
    const bool whole = result.action == NodeAction::kPut;
    if (!unread) finished->nodes.push_back({tree, id, std::move(result.version), whole});
  }
  for (const btree::CountChange& change : changes.counts) {
    finished->counts.push_back({tree, change});
  }
  for (const persistence::ValueReference& freed : changes.freed_values) {
    for (uint64_t i = 0; i < freed.pieces(); ++i) {
      group_->record.values.push_back({tree, freed.piece(i), std::nullopt});
    }
  }
}

void CommitBuilder::AddLogicalWrites() {
  for (const auto& [tree, net] : group_->trees) {
    for (const NetWrites::Entry& entry : net.writes) {
      const NetWrite& write = entry.write;
      persistence::LogicalWrite logical;
      logical.tree = tree;
      logical.sequence = write.sequence;
      logical.kind = write.kind == DeltaKind::kErase       ? persistence::WriteKind::kErase
                     : write.kind == DeltaKind::kSetRideOn ? persistence::WriteKind::kSetRideOn
                                                           : persistence::WriteKind::kPut;
      logical.value_only = write.change == ChangeKind::kValueOnly;
      logical.key = entry.key();
      group_->record.writes.push_back(std::move(logical));
    }
  }
}

absl::StatusOr<CommitBuilder::Finished> CommitBuilder::Finish(TreeId* damaged) {
  Finished finished;
  size_t writes = 0;
  for (const TreeId tree : group_->dropped_trees) group_->trees.erase(tree);
  for (const auto& [tree, net] : group_->trees) writes += net.writes.size();
  // Nodes get Serials of sequences that have room for all of them. Every node version carries the
  // last of these, so it has to be known before: a count record above the images that it is for
  // would be counted twice.
  const uint64_t most_nodes = writes * 2 + 64;
  serials_.NextSequence();
  group_->last = group_->staged != nullptr
                     ? group_->staged->last
                     : Sequence{serials_.current().value + most_nodes / kSerialsPerSequence};
  for (const auto& [tree, net] : group_->trees) {
    const absl::Status status = WriteTree(tree, net, &finished);
    if (!status.ok()) {
      *damaged = tree;
      return status;
    }
  }
  SOP_RETURN_IF_ERROR(FinishStaged(&finished, damaged));
  SOP_CHECK(serials_.current() <= group_->last);
  persistence::CommitRecord& record = group_->record;
  record.first = group_->first;
  record.last = group_->last;
  group_->feed_trees = feed_.trees();
  group_->feed_bytes = feed_.row_bytes();
  feed_.Finish(&record.rows);
  for (auto& [id, value] : group_->values) record.values.push_back(std::move(value));
  for (const auto& [id, value] : group_->staged_values) record.staged.push_back(value->staged_id());
  record.dropped_trees = group_->dropped_trees;
  record.only_removes =
      OnlyRemoves(*group_) && (staged_transaction_ == nullptr || staged_transaction_->OnlyErases());
  if (!finished.counts.empty() && !base::HasSeededBug("forget_count")) {
    record.rows.push_back({persistence::Space::kMeta, CountRecordKey(record.last),
                           EncodeCountRecord(finished.counts)});
  }
  if (state_.next_tree_id != first_tree_id_) {
    record.rows.push_back({persistence::Space::kMeta, std::string(kNextTreeRow),
                           EncodeNextTree(state_.next_tree_id)});
  }
  // The writes of a staged transaction are not listed, which tells others that all may have
  // changed.
  if (inputs_.wants_writes && group_->staged == nullptr) AddLogicalWrites();
  finished.group = std::move(group_);
  return finished;
}

}  // namespace sop::txn
