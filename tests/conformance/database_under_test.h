#pragma once

#include <memory>
#include <string>
#include <utility>

#include "core/btree/node/apply.h"
#include "core/catalog/database_fixture_test.h"
#include "tests/conformance/storage_under_test.h"

namespace sop::conformance {

// A Storage that somebody else owns, for a database that wants to own one. Thread-safe.
class BorrowedStorage : public persistence::Storage {
 public:
  explicit BorrowedStorage(persistence::Storage& storage) : storage_(storage) {}
  persistence::NodeStore& nodes() override { return storage_.nodes(); }
  persistence::CommitLog& log() override { return storage_.log(); }
  Uuid database_id() const override { return storage_.database_id(); }

 private:
  persistence::Storage& storage_;
};

// A database over one kind of storage, which can be closed and opened. Confined to one test.
class DatabaseUnderTest {
 public:
  explicit DatabaseUnderTest(std::unique_ptr<StorageUnderTest> storage, txn::Limits limits = {})
      : storage_(std::move(storage)), limits_(limits) {
    Reopen();
  }

  void Reopen() {
    database_.reset();
    current_ = &storage_->Reopen(btree::Apply);
    database_.emplace(std::make_unique<BorrowedStorage>(*current_), limits_);
  }
  void Settle() { storage_->Settle(); }
  // What the database is on, until it is reopened.
  memory::FaultInjectingStorage& storage() { return *current_; }

  catalog::TestDatabase& operator*() { return *database_; }
  catalog::TestDatabase* operator->() { return &*database_; }

 private:
  std::unique_ptr<StorageUnderTest> storage_;
  const txn::Limits limits_;
  memory::FaultInjectingStorage* current_ = nullptr;
  std::optional<catalog::TestDatabase> database_;
};

}  // namespace sop::conformance
