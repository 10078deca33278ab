#include "core/catalog/open_store.h"

#include <utility>

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/catalog/catalog_plan.h"
#include "core/catalog/store_set.h"

namespace sop::catalog {

OpenStore::OpenStore(StoreSet& stores, std::shared_ptr<const StoreEntry> entry, Sequence version)
    : stores_(stores), entry_(std::move(entry)), version_(version) {
  txn::TreeOptions options{.slot_length = entry_->options.slot_length};
  for (const StoreTree& tree : entry_->trees) {
    options.feed = entry_->options.feed == Feed::kOn && tree.role == kItemsRole;
    slots_.push_back(created() ? transaction().ProvisionalTree(options)
                               : transaction().OpenTree(tree.tree, options));
  }
}

txn::Transaction& OpenStore::transaction() const { return stores_.transaction(); }

txn::TreeSlot OpenStore::tree(TreeRole role) const {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (entry_->trees[i].role == role) return slots_[i];
  }
  SOP_CHECK(false);
}

absl::Status OpenStore::PrepareWrite() {
  if (prepared_) return absl::OkStatus();
  SOP_RETURN_IF_ERROR(stores_.CheckWritable());
  if (!created()) PlanUse();
  prepared_ = true;
  return absl::OkStatus();
}

NamePlan& OpenStore::PlanUse() {
  NamePlan& plan = stores_.plan().Name(name());
  if (plan.base == nullptr) {
    plan.base = entry_;
    plan.base_version = version_;
  }
  return plan;
}

absl::Status OpenStore::DecideSchema(const btree::KeySchema& schema) {
  if (entry_->schema == schema) return absl::OkStatus();
  SOP_RETURN_IF_ERROR(PrepareWrite());
  auto entry = std::make_shared<StoreEntry>(*entry_);
  entry->schema = schema;
  ++entry->schema_version;
  NamePlan& plan = stores_.plan().Name(name());
  if (created()) {
    plan.creation->entry = entry;
  } else {
    plan.base_schema = entry->schema;
  }
  entry_ = std::move(entry);
  return absl::OkStatus();
}

}  // namespace sop::catalog
