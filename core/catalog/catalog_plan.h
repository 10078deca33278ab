#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/ids.h"
#include "core/btree/key_schema.h"
#include "core/catalog/store_entry.h"
#include "core/txn/assumption.h"
#include "core/txn/transaction.h"

namespace sop::catalog {

// A store that a transaction made, as it takes it to be.
struct StoreCreation {
  // `id` and tree numbers are not known yet.
  std::shared_ptr<const StoreEntry> entry;
  // In the order of the entry's trees.
  std::vector<txn::TreeSlot> slots;
  // The same once settled.
  std::vector<TreeId> bound;
};

// What a transaction wants of one name in the catalog.
struct NamePlan {
  // The store that its snapshot has under the name, if it writes to or removes it.
  std::shared_ptr<const StoreEntry> base;
  // Of its item in the catalog's tree.
  Sequence base_version;
  // The schema that it gave to `base`, which had none, or only a beginning of it.
  std::optional<btree::KeySchema> base_schema;
  bool removes_base = false;
  // It made a store where its snapshot has none, or after removing `base`.
  bool created = false;
  // The last one that it made, unless it removed it again.
  std::optional<StoreCreation> creation;
  // The trees of those that it removed again.
  std::vector<txn::TreeSlot> discarded;
};

// What a transaction takes for granted of the catalog, and what it changes in it, settled when it
// commits: written to by its StoreSet until then, by the committer afterwards, never at once.
// Names do not depend on each other. Confined to its transaction.
class CatalogPlan {
 public:
  // The plan of `name`; empty when asked for the first time.
  NamePlan& Name(std::string_view name);

  // Holds the plan against the catalog as earlier commits left it, adopting what was decided
  // equally, and makes the changes. ABORTED: STORE_REMOVED, SCHEMA_DECIDED, CONFLICT, with the
  // detail "store". Errors of reading. May be called again.
  absl::Status Settle(txn::CommitView& view);

  // The store that was made with this tree, once settled; null if there is none.
  const StoreEntry* FindCreated(TreeId tree) const;

 private:
  std::map<std::string, NamePlan, std::less<>> names_;
};

// A CatalogPlan as its transaction holds it. Confined to its transaction.
class CatalogAssumption : public txn::Assumption {
 public:
  explicit CatalogAssumption(std::shared_ptr<CatalogPlan> plan) : plan_(std::move(plan)) {}
  absl::Status Settle(txn::CommitView& view) override { return plan_->Settle(view); }

 private:
  // Shared with the StoreSet, which explains conflicts with it.
  const std::shared_ptr<CatalogPlan> plan_;
};

}  // namespace sop::catalog
