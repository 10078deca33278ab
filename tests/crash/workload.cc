#include "tests/crash/workload.h"

#include <map>
#include <memory>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/status_macros.h"
#include "core/txn/transaction_cursor.h"

namespace sop::crash {
namespace {

using btree::Item;
using txn::ReadMode;
using txn::Transaction;
using txn::TreeSlot;

// Small nodes: splits and merges all the time.
constexpr txn::TreeOptions kTreeOptions{8};

TreeId TreeIdFrom(std::string_view value) {
  return TreeId{static_cast<uint32_t>(base::LoadBig64(value.data()))};
}

// The store is there or is made; whoever makes it first decides its tree.
class StoreExists : public txn::Assumption {
 public:
  StoreExists(std::string name, TreeSlot slot) : name_(std::move(name)), slot_(slot) {}
  absl::Status Settle(txn::CommitView& view) override {
    SOP_ASSIGN_OR_RETURN(const auto entry, view.Get(kCatalogTree, name_));
    if (entry.has_value()) {
      view.Bind(slot_, TreeIdFrom(entry->value));
      return absl::OkStatus();
    }
    const TreeId tree = view.NextTreeId();
    std::string value;
    base::AppendBigEndian64(&value, tree.value);
    view.Put(kCatalogTree, name_, 0, value);
    view.Bind(slot_, tree);
    return absl::OkStatus();
  }

 private:
  const std::string name_;
  const TreeSlot slot_;
};

class StoreGoes : public txn::Assumption {
 public:
  StoreGoes(std::string name, TreeId tree) : name_(std::move(name)), tree_(tree) {}
  absl::Status Settle(txn::CommitView& view) override {
    view.Erase(kCatalogTree, name_);
    view.DropTree(tree_);
    return absl::OkStatus();
  }

 private:
  const std::string name_;
  const TreeId tree_;
};

absl::Status Put(Transaction& transaction, TreeSlot tree, std::string_view key,
                 std::string_view value, txn::Placement placement = txn::Placement::kInNode) {
  txn::ItemWrite item;
  item.value = value;
  item.placement = placement;
  return transaction.Put(tree, key, item);
}

absl::Status ChangeItems(Transaction& transaction, const Plan& plan) {
  const TreeSlot items = transaction.OpenTree(kItemsTree, kTreeOptions);
  const TreeSlot mirror = transaction.OpenTree(kMirrorTree, kTreeOptions);
  for (const Plan::Change& change : plan.changes) {
    const std::string key = KeyOf(plan.thread, change.key);
    if (change.kind == Plan::Kind::kPut) {
      SOP_RETURN_IF_ERROR(
          Put(transaction, items, key, ValueOf(plan.thread, change.key, plan.number)));
      SOP_RETURN_IF_ERROR(Put(transaction, mirror, key,
                              MirrorValueOf(plan.thread, change.key, plan.number),
                              txn::Placement::kOutOfNode));
    } else if (change.kind == Plan::Kind::kErase) {
      SOP_RETURN_IF_ERROR(transaction.Erase(items, key));
      SOP_RETURN_IF_ERROR(transaction.Erase(mirror, key));
    } else {
      SOP_ASSIGN_OR_RETURN(const auto item, transaction.Get(items, key, ReadMode::kKeyOnly));
      if (!item.has_value()) continue;
      SOP_RETURN_IF_ERROR(transaction.SetRideOn(items, key, fmt::format("{}", plan.number)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> BalanceOf(Transaction& transaction, TreeSlot bank, int account) {
  SOP_ASSIGN_OR_RETURN(const auto item,
                       transaction.Get(bank, AccountKey(account), ReadMode::kItem));
  if (!item.has_value()) return Error(Reason::kKeyNotFound, "an account is gone");
  return std::stoll(item->value);
}

absl::Status MoveMoney(Transaction& transaction, const Plan::Transfer& transfer) {
  const TreeSlot bank = transaction.OpenTree(kBankTree, kTreeOptions);
  SOP_ASSIGN_OR_RETURN(const int64_t from, BalanceOf(transaction, bank, transfer.from));
  SOP_ASSIGN_OR_RETURN(const int64_t to, BalanceOf(transaction, bank, transfer.to));
  SOP_RETURN_IF_ERROR(
      Put(transaction, bank, AccountKey(transfer.from), fmt::format("{}", from - transfer.amount)));
  return Put(transaction, bank, AccountKey(transfer.to), fmt::format("{}", to + transfer.amount));
}

absl::Status ChangeStores(Transaction& transaction, const Plan& plan) {
  if (plan.store == Plan::StoreAction::kCreate) {
    const TreeSlot slot = transaction.ProvisionalTree(kTreeOptions);
    transaction.Assume(std::make_unique<StoreExists>(OwnStoreName(plan.thread, plan.number), slot));
    for (int i = 0; i < kStoreItems; ++i) {
      SOP_RETURN_IF_ERROR(
          Put(transaction, slot, fmt::format("{}", i), fmt::format("{}", plan.number)));
    }
  } else if (plan.store == Plan::StoreAction::kJoin) {
    const TreeSlot slot = transaction.ProvisionalTree(kTreeOptions);
    transaction.Assume(std::make_unique<StoreExists>(SharedStoreName(plan.number), slot));
    return Put(transaction, slot, SharedEntryKey(plan.thread, plan.number), "joined");
  } else if (plan.store == Plan::StoreAction::kDrop) {
    const std::string name = OwnStoreName(plan.thread, plan.number - kStoreLifetime);
    const TreeSlot catalog = transaction.OpenTree(kCatalogTree, {});
    SOP_ASSIGN_OR_RETURN(const auto entry, transaction.Get(catalog, name, ReadMode::kItem));
    if (entry.has_value()) {
      transaction.Assume(std::make_unique<StoreGoes>(name, TreeIdFrom(entry->value)));
    }
  }
  return absl::OkStatus();
}

using Content = std::map<std::string, Item>;

// Reads one tree in every way there is; the ways must agree.
class TreeReader {
 public:
  TreeReader(Transaction& transaction, TreeId tree)
      : transaction_(transaction), tree_(tree), slot_(transaction.OpenTree(tree, kTreeOptions)) {}

  absl::StatusOr<Content> Scan() {
    Content content;
    auto cursor = transaction_.OpenCursor(slot_, ReadMode::kItem);
    SOP_RETURN_IF_ERROR(cursor->SeekToFirst());
    while (cursor->Valid()) {
      const std::string key(cursor->key());
      if (!content.empty() && content.rbegin()->first >= key) return Wrong("keys do not ascend");
      Item item(cursor->item());
      SOP_RETURN_IF_ERROR(transaction_.LoadValue(slot_, &item));
      content.emplace(key, std::move(item));
      SOP_RETURN_IF_ERROR(cursor->Next());
    }
    SOP_ASSIGN_OR_RETURN(const uint64_t count, transaction_.Count(slot_, {}, {}));
    if (count != content.size()) {
      return Wrong(fmt::format("count is {}, {} items were read", count, content.size()));
    }
    return content;
  }

  absl::Status CheckBackward(const Content& content) {
    auto cursor = transaction_.OpenCursor(slot_, ReadMode::kItem);
    SOP_RETURN_IF_ERROR(cursor->SeekToLast());
    for (auto it = content.rbegin(); it != content.rend(); ++it) {
      if (!cursor->Valid() || cursor->key() != it->first) return Wrong("backwards is different");
      SOP_RETURN_IF_ERROR(cursor->Previous());
    }
    return cursor->Valid() ? Wrong("backwards there is more") : absl::OkStatus();
  }

  absl::Status CheckRanges(const Content& content, uint64_t seed) {
    constexpr int kRanges = 12;
    base::SeededRandom random(seed);
    auto cursor = transaction_.OpenCursor(slot_, ReadMode::kItem);
    for (int i = 0; i < kRanges && !content.empty(); ++i) {
      auto begin = content.begin();
      std::advance(begin, static_cast<ptrdiff_t>(random.Next64() % content.size()));
      const auto length = static_cast<ptrdiff_t>(
          random.Next64() % static_cast<uint64_t>(std::distance(begin, content.end())));
      const auto end = std::next(begin, length);
      SOP_ASSIGN_OR_RETURN(const uint64_t count,
                           transaction_.Count(slot_, begin->first, end->first));
      if (count != static_cast<uint64_t>(length)) return Wrong("count of a range is different");
      const auto rank = static_cast<uint64_t>(std::distance(content.begin(), begin));
      SOP_RETURN_IF_ERROR(cursor->SeekToRank(rank));
      if (!cursor->Valid() || cursor->key() != begin->first) return Wrong("a rank is different");
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Wrong(std::string_view what) const {
    return Error(Reason::kInternal, fmt::format("tree {}: {}", tree_.value, what));
  }

  Transaction& transaction_;
  const TreeId tree_;
  const TreeSlot slot_;
};

absl::StatusOr<Content> ReadTree(Transaction& transaction, TreeId tree, uint64_t seed) {
  TreeReader reader(transaction, tree);
  SOP_ASSIGN_OR_RETURN(Content content, reader.Scan());
  SOP_RETURN_IF_ERROR(reader.CheckBackward(content));
  SOP_RETURN_IF_ERROR(reader.CheckRanges(content, seed));
  return content;
}

// The number at the front of a value or a ride-on.
uint64_t NumberIn(std::string_view text) {
  return std::strtoull(std::string(text).c_str(), nullptr, 10);
}

absl::Status ReadItems(const Content& items, const Content& mirror, ThreadState* threads) {
  if (items.size() != mirror.size()) {
    return Error(Reason::kInternal,
                 fmt::format("{} items, but {} in their mirror", items.size(), mirror.size()));
  }
  auto other = mirror.begin();
  for (const auto& [name, item] : items) {
    const int key = std::stoi(name.substr(0, 3));
    const int thread = std::stoi(name.substr(4));
    const uint64_t number = NumberIn(item.value);
    if (other->first != name || item.value != ValueOf(thread, key, number) ||
        other->second.value != MirrorValueOf(thread, key, number)) {
      return Error(Reason::kInternal,
                   fmt::format("item {} is of transaction {}, its mirror {} of {}", name, number,
                               other->first, NumberIn(other->second.value)));
    }
    threads[thread].cells[static_cast<size_t>(key)] = {number, NumberIn(item.ride_on)};
    ++other;
  }
  return absl::OkStatus();
}

absl::Status ReadTotals(const Content& bank, const Content& counters, Totals* totals) {
  for (int account = 0; account < kAccounts; ++account) {
    const auto it = bank.find(AccountKey(account));
    if (it == bank.end()) return Error(Reason::kInternal, "an account is gone");
    totals->balances[static_cast<size_t>(account)] = std::stoll(it->second.value);
  }
  for (int counter = 0; counter < kCounters; ++counter) {
    const auto it = counters.find(CounterKey(counter));
    totals->counters[static_cast<size_t>(counter)] =
        it == counters.end() ? 0
                             : static_cast<int64_t>(base::LoadLittle64(it->second.value.data()));
  }
  return absl::OkStatus();
}

absl::Status ReadStore(const std::string& name, const Content& content, ThreadState* threads) {
  if (name.starts_with("own-")) {
    const int thread = std::stoi(name.substr(4));
    const uint64_t number = NumberIn(name.substr(name.rfind('-') + 1));
    bool whole = content.size() == kStoreItems;
    for (const auto& [key, item] : content) whole = whole && NumberIn(item.value) == number;
    if (!whole) return Error(Reason::kInternal, fmt::format("store {} is not whole", name));
    threads[thread].stores.insert(number);
    return absl::OkStatus();
  }
  for (const auto& [key, item] : content) {
    const uint64_t number = NumberIn(key.substr(key.find('-') + 1));
    if (SharedStoreName(number) != name) {
      return Error(Reason::kInternal, fmt::format("entry {} is in {}", key, name));
    }
    threads[std::stoi(key)].shared.insert(number);
  }
  return absl::OkStatus();
}

absl::Status ReadAll(Transaction& transaction, uint64_t seed, ThreadState* threads,
                     Totals* totals) {
  SOP_ASSIGN_OR_RETURN(const Content items, ReadTree(transaction, kItemsTree, seed));
  SOP_ASSIGN_OR_RETURN(const Content mirror, ReadTree(transaction, kMirrorTree, seed + 1));
  SOP_RETURN_IF_ERROR(ReadItems(items, mirror, threads));
  SOP_ASSIGN_OR_RETURN(const Content bank, ReadTree(transaction, kBankTree, seed + 2));
  SOP_ASSIGN_OR_RETURN(const Content counters, ReadTree(transaction, kCounterTree, seed + 3));
  SOP_RETURN_IF_ERROR(ReadTotals(bank, counters, totals));
  SOP_ASSIGN_OR_RETURN(const Content tide, ReadTree(transaction, kTideTree, seed + 6));
  if (!tide.empty() && tide.size() != kTideItems) {
    return Error(Reason::kInternal, fmt::format("the tide is {} items high", tide.size()));
  }
  SOP_ASSIGN_OR_RETURN(const Content catalog, ReadTree(transaction, kCatalogTree, seed + 4));
  for (const auto& [name, entry] : catalog) {
    SOP_ASSIGN_OR_RETURN(const Content content,
                         ReadTree(transaction, TreeIdFrom(entry.value), seed + 5));
    SOP_RETURN_IF_ERROR(ReadStore(name, content, threads));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MakeAccounts(txn::Engine& engine) {
  auto transaction = engine.Begin({});
  const TreeSlot bank = transaction->OpenTree(kBankTree, kTreeOptions);
  SOP_ASSIGN_OR_RETURN(const uint64_t accounts, transaction->Count(bank, {}, {}));
  if (accounts == kAccounts) return absl::OkStatus();
  if (accounts != 0) return Error(Reason::kInternal, "half of the accounts are there");
  for (int account = 0; account < kAccounts; ++account) {
    SOP_RETURN_IF_ERROR(
        Put(*transaction, bank, AccountKey(account), fmt::format("{}", kStartBalance)));
  }
  return engine.CommitAndWait(std::move(transaction)).status;
}

absl::Status TurnTide(txn::Engine& engine) {
  auto transaction = engine.Begin({});
  const TreeSlot tide = transaction->OpenTree(kTideTree, kTreeOptions);
  SOP_ASSIGN_OR_RETURN(const uint64_t count, transaction->Count(tide, {}, {}));
  for (int i = 0; i < kTideItems; ++i) {
    const std::string key = fmt::format("drop{:02}", i);
    SOP_RETURN_IF_ERROR(count == 0 ? Put(*transaction, tide, key, "wet")
                                   : transaction->Erase(tide, key));
  }
  // Now and then a drop is a large value, which is in storage before its commit.
  if (count == 0 && transaction->id().low % 8 == 0) {
    SOP_ASSIGN_OR_RETURN(auto value, engine.StageValue(kTideTree));
    const std::string water(persistence::kMaxWholeValueBytes + 1, 'w');
    SOP_RETURN_IF_ERROR(value->Append(water));
    SOP_RETURN_IF_ERROR(value->Seal());
    txn::ItemWrite item;
    item.staged = std::move(value);
    SOP_RETURN_IF_ERROR(transaction->Put(tide, "drop00", item));
  }
  return engine.CommitAndWait(std::move(transaction)).status;
}

absl::StatusOr<Sequence> RunPlan(txn::Engine& engine, const Plan& plan, const Uuid& token) {
  auto transaction = engine.Begin({});
  SOP_RETURN_IF_ERROR(ChangeItems(*transaction, plan));
  if (plan.transfer.has_value()) SOP_RETURN_IF_ERROR(MoveMoney(*transaction, *plan.transfer));
  if (plan.addition.has_value()) {
    const TreeSlot counters = transaction->OpenTree(kCounterTree, kTreeOptions);
    SOP_RETURN_IF_ERROR(
        transaction->Add(counters, CounterKey(plan.addition->counter), plan.addition->amount));
  }
  SOP_RETURN_IF_ERROR(ChangeStores(*transaction, plan));
  txn::CommitOptions options;
  options.token = token;
  options.reply = fmt::format("{}", plan.number);
  if (plan.relaxed) options.durability = persistence::Durability::kRelaxed;
  const auto result = engine.CommitAndWait(std::move(transaction), std::move(options));
  if (!result.status.ok()) return result.status;
  return result.version;
}

std::string ReadEverything(txn::Engine& engine, uint64_t seed, ThreadState* threads,
                           Totals* totals) {
  auto transaction = engine.Begin({txn::Mode::kReadOnly});
  const absl::Status status = ReadAll(*transaction, seed, threads, totals);
  return status.ok() ? std::string() : std::string(status.message());
}

std::string CheckSnapshot(txn::Engine& engine) {
  auto transaction = engine.Begin({txn::Mode::kReadOnly});
  const auto items = TreeReader(*transaction, kItemsTree).Scan();
  if (!items.ok()) return std::string(items.status().message());
  const auto mirror = TreeReader(*transaction, kMirrorTree).Scan();
  if (!mirror.ok()) return std::string(mirror.status().message());
  std::array<ThreadState, kThreads> threads;
  const absl::Status agree = ReadItems(*items, *mirror, threads.data());
  if (!agree.ok()) return std::string(agree.message());
  const auto bank = TreeReader(*transaction, kBankTree).Scan();
  if (!bank.ok()) return std::string(bank.status().message());
  int64_t sum = 0;
  for (const auto& [key, item] : *bank) sum += std::stoll(item.value);
  if (sum != kAccounts * kStartBalance) return fmt::format("the accounts hold {} in all", sum);
  return {};
}

}  // namespace sop::crash
