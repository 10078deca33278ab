#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/random.h"
#include "core/catalog/entry_cache.h"
#include "core/catalog/open_store.h"
#include "core/catalog/store_entry.h"
#include "core/txn/transaction.h"

namespace sop::catalog {

class CatalogPlan;

// Stores in one database.
inline constexpr uint64_t kMaxStores = 100'000;

// What a store is to be when it is created.
struct StoreDefinition {
  StoreKind kind = StoreKind::kBtree;
  GivenOptions options;
  // The trees of its kind.
  std::vector<TreeRole> roles = {kItemsRole};
  // Compared when the store exists, unless empty; see StoreEntry.
  std::string kind_options;
};

// A transaction and the stores in it. What stores there are, which options and which schema they
// have, is read without being tracked, and guarded instead by an assumption that is settled at
// commit: transactions that create the same store, or give it its first items, do not conflict
// unless they want different things.
//
// Invariants:
// 1. The catalog's tree is written by that assumption only.
// 2. A name stands for one OpenStore at a time; those that were removed stay until the set is gone.
// Confined to one thread at a time.
class StoreSet {
 public:
  // `entries`, `clock` and `random` must outlive this. Made by Database::Begin.
  StoreSet(std::shared_ptr<txn::Transaction> transaction, EntryCache& entries, base::Clock& clock,
           base::Random& random);
  ~StoreSet();
  StoreSet(const StoreSet&) = delete;
  StoreSet& operator=(const StoreSet&) = delete;

  // REQUIRES: not taken yet.
  txn::Transaction& transaction() { return *transaction_; }

  // The store, which is made if there is none of that name: OpenStore::created() tells. If there is
  // one: WRONG_KIND, or OPTIONS_DIFFER with the detail "option" if an option that was given is not
  // what it has. INVALID_NAME, INVALID_ARGUMENT for options out of range, READ_ONLY_TRANSACTION,
  // LIMIT_EXCEEDED above kMaxStores. At commit: ABORTED / SCHEMA_DECIDED if another transaction
  // made it otherwise meanwhile. Owned by the set.
  absl::StatusOr<OpenStore*> Create(std::string_view name, const StoreDefinition& definition);

  // STORE_NOT_FOUND (which the transaction remembers having seen), WRONG_KIND, INVALID_NAME.
  // DAMAGED for a store in which damage was met since the database was opened. Owned by the set.
  absl::StatusOr<OpenStore*> Open(std::string_view name, StoreKind kind);
  // A store of whatever kind.
  absl::StatusOr<OpenStore*> Open(std::string_view name);

  // Removes the store with everything in it, damaged or not, at commit. STORE_NOT_FOUND,
  // INVALID_NAME, READ_ONLY_TRANSACTION. At commit ABORTED / STORE_REMOVED if it is gone by then.
  absl::Status Remove(std::string_view name);

  // Up to `limit` stores with names above `after`, by name. All of them join the read set.
  absl::StatusOr<std::vector<std::shared_ptr<const StoreEntry>>> List(std::string_view after,
                                                                      size_t limit);

  // A time-ordered UUID above all that this set gave before.
  Uuid NextItemId();

  // For Database::Commit: the transaction leaves the set, which then only serves to explain.
  std::shared_ptr<txn::Transaction> TakeTransaction();
  // `status` of a read or a commit in the words of users: the detail "tree" becomes the store's
  // name, the "key" of a conflict what they call it. Damage is noted.
  absl::Status Explain(absl::Status status) const;

 private:
  friend class OpenStore;

  // Open, whatever its state.
  absl::StatusOr<OpenStore*> OpenAny(std::string_view name);
  // DAMAGED, naming the store, if damage was met in one of its trees.
  absl::Status CheckSound(const OpenStore& store) const;
  // Null if there is none, or this transaction removed it. `key`: CatalogKey(name).
  absl::StatusOr<OpenStore*> Find(std::string_view name, std::string_view key);
  absl::StatusOr<OpenStore*> CreateAbsent(std::string_view name, const StoreDefinition& definition,
                                          const StoreOptions& options);
  OpenStore* Keep(std::unique_ptr<OpenStore> store);
  const StoreEntry* StoreOf(TreeId tree) const;
  absl::Status CheckWritable() const;
  // The assumption that settles what this transaction wants of the catalog; made when first needed.
  CatalogPlan& plan();

  std::shared_ptr<txn::Transaction> transaction_;
  txn::DamagedTrees& damaged_;
  EntryCache& entries_;
  base::Clock& clock_;
  base::Random& random_;
  // By name; null for a store that this transaction removed.
  std::map<std::string, OpenStore*, std::less<>> names_;
  std::vector<std::unique_ptr<OpenStore>> stores_;
  // Stores that this transaction created, removed again or not.
  uint64_t created_ = 0;
  // Shared with the assumption, which the transaction owns.
  std::shared_ptr<CatalogPlan> plan_;
  Uuid last_item_id_;
};

}  // namespace sop::catalog
