#include "core/catalog/database.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::catalog {

Database::Database(DatabaseOptions options)
    : name_(std::move(options.name)),
      folder_(std::move(options.folder)),
      random_(options.engine.random),
      storage_(std::move(options.storage)) {}

Database::~Database() = default;

absl::StatusOr<std::unique_ptr<Database>> Database::Open(DatabaseOptions options) {
  if (options.storage == nullptr) {
    return Error(Reason::kInvalidArgument, "database has no storage");
  }
  const txn::EngineOptions engine = options.engine;
  std::unique_ptr<Database> database(new Database(std::move(options)));
  SOP_ASSIGN_OR_RETURN(database->engine_, txn::Engine::Open(*database->storage_, engine));
  return database;
}

std::unique_ptr<StoreSet> Database::Begin(const txn::TransactionOptions& options) {
  return std::make_unique<StoreSet>(engine_->Begin(options), entries_, engine_->clock(), *random_);
}

void Database::Commit(std::unique_ptr<StoreSet> stores, txn::CommitOptions options,
                      absl::AnyInvocable<void(txn::CommitResult)> done) {
  auto transaction = stores->TakeTransaction();
  engine_->Commit(
      std::move(transaction), std::move(options),
      [stores = std::move(stores), done = std::move(done)](txn::CommitResult result) mutable {
        result.status = stores->Explain(std::move(result.status));
        stores.reset();
        done(std::move(result));
      });
}

txn::CommitResult Database::CommitAndWait(std::unique_ptr<StoreSet> stores,
                                          txn::CommitOptions options) {
  txn::CommitResult result = engine_->CommitAndWait(stores->TakeTransaction(), std::move(options));
  result.status = stores->Explain(std::move(result.status));
  return result;
}

void Database::MarkDamaged(TreeId tree, std::string_view why) {
  Begin({.mode = txn::Mode::kReadOnly})->transaction().snapshot().damaged().Mark(tree, why);
}

absl::StatusOr<uint64_t> Database::ApproximateSize(const StoreEntry& store) {
  uint64_t total = 0;
  for (const StoreTree& tree : store.trees) {
    SOP_ASSIGN_OR_RETURN(const uint64_t size, storage_->nodes().ApproximateSize(tree.tree));
    total += size;
  }
  return total;
}

}  // namespace sop::catalog
