#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/catalog/entry_cache.h"
#include "core/catalog/store_set.h"
#include "core/persistence/storage.h"
#include "core/txn/engine.h"

namespace sop::catalog {

struct DatabaseOptions {
  // Under which users know it; reported, never stored.
  std::string name;
  // Where it is kept; reported, never opened. Empty for one in memory.
  std::string folder;
  // Required; owned by the database from Open on.
  std::unique_ptr<persistence::Storage> storage;
  txn::EngineOptions engine;
};

// One open database: a storage, the engine that runs transactions over it, and the catalog of its
// stores. Knows no kind of store.
//
// Call order: Open, then any number of Begin ... Commit (or dropping what Begin gave), then
// destruction, before which every StoreSet must be gone.
// Thread-safe.
class Database {
 public:
  // Errors of Engine::Open. INVALID_ARGUMENT without a storage.
  static absl::StatusOr<std::unique_ptr<Database>> Open(DatabaseOptions options);
  // Waits for commits in flight.
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const std::string& name() const { return name_; }
  const std::string& folder() const { return folder_; }
  // Written when the database was created; never changes.
  Uuid id() const { return storage_->database_id(); }

  // A transaction on the newest commit acknowledged, and the stores in it. Dropping it rolls back.
  std::unique_ptr<StoreSet> Begin(const txn::TransactionOptions& options = {});

  // Commits; `done` is called once, on a thread of the engine's pool, or at once for a transaction
  // that wrote nothing. Statuses as Engine::Commit, and from the stores ABORTED / STORE_REMOVED and
  // SCHEMA_DECIDED. A CONFLICT has the details "store" and "key": the name, and the key as users
  // write it.
  void Commit(std::unique_ptr<StoreSet> stores, txn::CommitOptions options,
              absl::AnyInvocable<void(txn::CommitResult)> done);
  // The same, waiting.
  txn::CommitResult CommitAndWait(std::unique_ptr<StoreSet> stores,
                                  txn::CommitOptions options = {});

  // See Engine::FindOutcome.
  absl::StatusOr<std::optional<txn::Outcome>> FindOutcome(const Uuid& token) {
    return engine_->FindOutcome(token);
  }

  // The newest commit that Begin would see.
  Sequence published() const { return engine_->published(); }
  // UNAVAILABLE after the log failed: nothing commits until the database is opened again.
  absl::Status health() const { return engine_->health(); }
  txn::Engine::Statistics statistics() const { return engine_->statistics(); }
  // Maintenance::Statistics; empty for a storage without upkeep.
  std::map<std::string, uint64_t> storage_statistics() const {
    const persistence::Maintenance* upkeep = storage_->maintenance();
    return upkeep == nullptr ? std::map<std::string, uint64_t>() : upkeep->Statistics();
  }
  const txn::Limits& limits() const { return engine_->limits(); }
  // Approximate bytes on disk of a store's trees.
  absl::StatusOr<uint64_t> ApproximateSize(const StoreEntry& store);

  txn::Engine& engine() { return *engine_; }
  // For upkeep: checks, backups, compactions. Nobody but the engine appends to its log.
  persistence::Storage& storage() { return *storage_; }
  // Takes the store that has the tree offline, as damage met by a read does.
  void MarkDamaged(TreeId tree, std::string_view why);

 private:
  explicit Database(DatabaseOptions options);

  // Constant after construction.
  const std::string name_;
  const std::string folder_;
  base::Random* const random_;
  const std::unique_ptr<persistence::Storage> storage_;
  // Synchronises itself.
  EntryCache entries_;
  // After what it uses, so that it ends first. Set once, by Open.
  std::unique_ptr<txn::Engine> engine_;
};

}  // namespace sop::catalog
