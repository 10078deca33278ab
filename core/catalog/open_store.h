#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/key.h"
#include "core/btree/key_schema.h"
#include "core/catalog/store_entry.h"
#include "core/txn/transaction.h"

namespace sop::catalog {

struct NamePlan;
class StoreSet;

// One store in one transaction, of whatever kind: its entry as the transaction sees it, and its
// trees. Lives as long as its StoreSet. Confined to its StoreSet.
class OpenStore {
 public:
  const std::string& name() const { return entry_->name; }
  StoreKind kind() const { return entry_->kind; }
  // As this transaction sees it. `id` and the tree numbers are 0 in a store that it made: those are
  // known when it has committed.
  const StoreEntry& entry() const { return *entry_; }
  std::shared_ptr<const StoreEntry> shared_entry() const { return entry_; }
  const StoreOptions& options() const { return entry_->options; }
  // Null while no item has decided it.
  const btree::KeySchema* schema() const {
    return entry_->schema.has_value() ? &*entry_->schema : nullptr;
  }

  // This transaction made it.
  bool created() const { return version_ == Sequence{}; }
  // This transaction removed it: nothing may be done with it any more.
  bool removed() const { return removed_; }

  // REQUIRES: the store's kind has that role.
  txn::TreeSlot tree(TreeRole role) const;

  StoreSet& stores() const { return stores_; }
  txn::Transaction& transaction() const;

  // To be called before the first write: at commit the store must still be there, else ABORTED /
  // STORE_REMOVED. READ_ONLY_TRANSACTION.
  absl::Status PrepareWrite();

  // Makes it the schema, which was not decided, or which it continues. At commit ABORTED /
  // SCHEMA_DECIDED if it was decided or extended otherwise meanwhile. READ_ONLY_TRANSACTION.
  absl::Status DecideSchema(const btree::KeySchema& schema);
  // Whether keys may bring further fields, which then ride on: where types were not declared and an
  // index specification says which fields make the order.
  bool HasOpenSchema() const {
    return !options().index.empty() && (entry_->flags & StoreEntry::kDeclaredFlag) == 0;
  }

 private:
  friend class StoreSet;

  // `version`: of the entry's item in the catalog, 0 in a store that this transaction made.
  OpenStore(StoreSet& stores, std::shared_ptr<const StoreEntry> entry, Sequence version);

  // What the transaction wants of a store that its snapshot has.
  NamePlan& PlanUse();

  StoreSet& stores_;
  std::shared_ptr<const StoreEntry> entry_;
  const Sequence version_;
  bool removed_ = false;
  bool prepared_ = false;
  // In the order of entry().trees.
  std::vector<txn::TreeSlot> slots_;
};

}  // namespace sop::catalog
