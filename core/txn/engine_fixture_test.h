#pragma once

#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/thread_pool.h"
#include "core/btree/node/apply.h"
#include "core/txn/engine.h"
#include "core/txn/transaction_cursor.h"
#include "storage/memory/memory_storage.h"

namespace sop::txn {

// For tests: an engine over memory storage and one tree to work in. Thread-compatible.
class EngineFixture : public testing::Test {
 protected:
  static constexpr TreeId kTree{5};
  static constexpr int kPoolThreads = 4;

  EngineFixture() {
    options_.clock = &base::SystemClock();
    options_.random = &base::SystemRandom();
    options_.files = &base::SystemFileSystem();
    options_.pool = &pool_;
    options_.cache = std::make_shared<CacheBudget>(size_t{64} << 20);
    options_.spill_folder = fmt::format("{}/sop-engine-spill-{}", testing::TempDir(), getpid());
    options_.nodes.image_bytes = 1024;
  }

  void SetUp() override {
    storage_ =
        memory::MemoryStorage::Create(btree::Apply, base::SystemClock(), base::SystemRandom());
    Reopen();
  }

  // A restart: what other committers appended is seen too.
  void Reopen() {
    engine_.reset();
    storage_ = std::make_unique<memory::MemoryStorage>(storage_->state(), btree::Apply);
    options_.cache = std::make_shared<CacheBudget>(options_.cache->limit_bytes());
    auto engine = Engine::Open(*storage_, options_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  std::shared_ptr<Transaction> Begin(Mode mode = Mode::kReadWrite,
                                     Isolation isolation = Isolation::kSerializable) {
    return engine_->Begin({mode, isolation});
  }
  static TreeSlot Open(Transaction& transaction) { return transaction.OpenTree(kTree, {}); }
  static absl::Status Put(Transaction& transaction, std::string_view key, std::string_view value,
                          ChangeKind change = ChangeKind::kStructural) {
    ItemWrite item;
    item.value = value;
    return transaction.Put(Open(transaction), key, item, change);
  }
  // The value, "-" if the key is not there, or the error.
  static std::string Get(Transaction& transaction, std::string_view key,
                         ReadMode mode = ReadMode::kItem) {
    auto item = transaction.Get(Open(transaction), key, mode);
    if (!item.ok()) return item.status().ToString();
    if (!item->has_value()) return "-";
    const absl::Status loaded = transaction.LoadValue(Open(transaction), &**item);
    return loaded.ok() ? (*item)->value : loaded.ToString();
  }
  absl::Status Commit(std::shared_ptr<Transaction> transaction) {
    return engine_->CommitAndWait(std::move(transaction)).status;
  }
  absl::Status PutOne(std::string_view key, std::string_view value) {
    auto transaction = Begin();
    const absl::Status status = Put(*transaction, key, value);
    return status.ok() ? Commit(std::move(transaction)) : status;
  }
  // Keys and values in order, "a=1 b=2".
  static std::string Scan(Transaction& transaction, std::string_view begin = {}) {
    auto cursor = transaction.OpenCursor(Open(transaction), ReadMode::kItem);
    std::string out;
    absl::Status status = cursor->Seek(begin);
    while (status.ok() && cursor->Valid()) {
      if (!out.empty()) out += ' ';
      out += std::string(cursor->key()) + "=" + std::string(cursor->item().value);
      status = cursor->Next();
    }
    return status.ok() ? out : status.ToString();
  }

  base::ThreadPool pool_{kPoolThreads};
  EngineOptions options_;
  std::unique_ptr<memory::MemoryStorage> storage_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace sop::txn
