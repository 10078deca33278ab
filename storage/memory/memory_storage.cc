#include "storage/memory/memory_storage.h"

#include <limits>
#include <utility>

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::memory {

using persistence::Space;
using persistence::StorageSnapshot;

namespace {

// Holds the state, so that it may outlive the storage it was taken from. Thread-safe.
class MemorySnapshot : public StorageSnapshot {
 public:
  // REQUIRES: the state has a reader at `at`.
  MemorySnapshot(std::shared_ptr<MemoryState> state, Sequence at)
      : state_(std::move(state)), sequence_(at) {
    state_->AddReaderAt(at);
  }
  ~MemorySnapshot() override { state_->RemoveReader(sequence_); }
  MemorySnapshot(const MemorySnapshot&) = delete;
  MemorySnapshot& operator=(const MemorySnapshot&) = delete;

  Sequence sequence() const override { return sequence_; }

  absl::StatusOr<std::optional<std::string>> ReadNode(TreeId tree, NodeId node) const override {
    return state_->ReadNode(tree, node, sequence_);
  }

  absl::StatusOr<std::optional<std::string>> ReadRow(Space space,
                                                     std::string_view key) const override {
    return state_->ReadRow(space, key, sequence_);
  }

  absl::Status ScanRows(
      Space space, std::string_view begin, std::string_view end,
      absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const override {
    state_->ScanRows(space, begin, end, sequence_, visit);
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<std::string>> ReadValue(TreeId tree,
                                                       Serial value_id) const override {
    return state_->ReadValue(tree, value_id, sequence_);
  }

  absl::Status ScanNodes(
      const persistence::PlaceRange& range,
      absl::FunctionRef<bool(TreeId, NodeId, std::string_view)> visit) const override {
    state_->ScanNodes(range, sequence_, visit);
    return absl::OkStatus();
  }

  absl::Status ScanValues(
      const persistence::PlaceRange& range,
      absl::FunctionRef<bool(TreeId, Serial, std::string_view)> visit) const override {
    state_->ScanValues(range, sequence_, visit);
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<MemoryState> state_;
  const Sequence sequence_;
};

// Gathers nodes and hands them to the state when they are sealed. Confined to one thread.
class MemoryStagedNodes : public persistence::StagedNodes {
 public:
  explicit MemoryStagedNodes(std::shared_ptr<MemoryState> state)
      : state_(std::move(state)), id_(state_->NextStagedId()) {}
  ~MemoryStagedNodes() override { state_->RemoveStaged(id_); }
  MemoryStagedNodes(const MemoryStagedNodes&) = delete;
  MemoryStagedNodes& operator=(const MemoryStagedNodes&) = delete;

  uint64_t id() const override { return id_; }
  absl::Status PutNode(TreeId tree, NodeId node, std::string_view image) override {
    SOP_CHECK(!sealed_ &&
              (staged_.nodes.empty() || staged_.nodes.rbegin()->first < std::pair(tree, node)));
    staged_.nodes.emplace(std::pair(tree, node), image);
    return absl::OkStatus();
  }
  absl::Status PutValue(TreeId tree, Serial value_id, std::string_view value) override {
    SOP_CHECK(!sealed_ && (staged_.values.empty() ||
                           staged_.values.rbegin()->first < std::pair(tree, value_id)));
    staged_.values.emplace(std::pair(tree, value_id), value);
    return absl::OkStatus();
  }
  absl::Status Seal() override {
    SOP_CHECK(!sealed_);
    sealed_ = true;
    state_->AddStaged(id_, staged_);
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<std::string>> ReadNode(TreeId tree, NodeId node) const override {
    const auto at = staged_.nodes.find({tree, node});
    return at == staged_.nodes.end() ? std::nullopt : std::optional(at->second);
  }
  absl::StatusOr<std::optional<std::string>> ReadValue(TreeId tree,
                                                       Serial value_id) const override {
    const auto at = staged_.values.find({tree, value_id});
    return at == staged_.values.end() ? std::nullopt : std::optional(at->second);
  }

 private:
  const std::shared_ptr<MemoryState> state_;
  const uint64_t id_;
  MemoryState::Staged staged_;
  bool sealed_ = false;
};

}  // namespace

MemoryStorage::MemoryStorage(std::shared_ptr<MemoryState> state, persistence::ApplyFunction apply)
    : state_(std::move(state)), apply_(apply), view_(state_->AddReader()) {}

MemoryStorage::~MemoryStorage() {
  const base::MutexLock lock(view_mu_);
  state_->RemoveReader(view_);
}

std::unique_ptr<MemoryStorage> MemoryStorage::Create(persistence::ApplyFunction apply,
                                                     base::Clock& clock, base::Random& random) {
  return std::make_unique<MemoryStorage>(
      std::make_shared<MemoryState>(base::MakeUuid7(clock, random)), apply);
}

absl::StatusOr<std::shared_ptr<const StorageSnapshot>> MemoryStorage::TakeSnapshot() {
  const base::MutexLock lock(view_mu_);
  return std::make_shared<const MemorySnapshot>(state_, view_);
}

Sequence MemoryStorage::Tail() const {
  const base::MutexLock lock(view_mu_);
  return view_;
}

absl::StatusOr<std::unique_ptr<persistence::StagedNodes>> MemoryStorage::StageNodes(
    persistence::SpaceUse /*use*/) {
  return std::make_unique<MemoryStagedNodes>(state_);
}

absl::StatusOr<uint64_t> MemoryStorage::FreeBytes() { return std::numeric_limits<uint64_t>::max(); }

absl::StatusOr<uint64_t> MemoryStorage::ApproximateSize(TreeId tree) {
  return state_->ApproximateSize(tree);
}

absl::StatusOr<persistence::AppendResult> MemoryStorage::Append(
    Sequence expected_tail, const persistence::CommitRecord& record,
    persistence::Durability /*durability*/) {
  const base::MutexLock lock(view_mu_);
  return state_->Append(expected_tail, record, apply_, &view_);
}

}  // namespace sop::memory
