#include "core/catalog/store_set.h"

#include <algorithm>
#include <utility>

#include <absl/strings/numbers.h>
#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/tree.h"
#include "core/catalog/catalog_plan.h"
#include "core/txn/transaction_cursor.h"

namespace sop::catalog {
namespace {

absl::Status NotFound(std::string_view name) {
  return Error(Reason::kStoreNotFound,
               fmt::format("store '{}' does not exist", base::Printable(name)),
               {{"store", std::string(name)}});
}

absl::Status CheckKind(const OpenStore& store, StoreKind kind) {
  if (store.kind() == kind) return absl::OkStatus();
  return Error(Reason::kWrongKind,
               fmt::format("store '{}' is a {} store, not a {} store",
                           base::Printable(store.name()), KindName(store.kind()), KindName(kind)),
               {{"store", store.name()}, {"kind", std::string(KindName(store.kind()))}});
}

absl::Status CheckAgreement(const OpenStore& store, const StoreDefinition& definition) {
  SOP_RETURN_IF_ERROR(CheckKind(store, definition.kind));
  std::string_view option = DifferingOption(definition.options, store.entry());
  if (option.empty() && !definition.kind_options.empty() &&
      definition.kind_options != store.entry().kind_options) {
    option = "kind_options";
  }
  if (option.empty()) return absl::OkStatus();
  return Error(Reason::kOptionsDiffer,
               fmt::format("store '{}' exists with another value of option {}",
                           base::Printable(store.name()), option),
               {{"store", store.name()}, {"option", std::string(option)}});
}

std::string Detail(const ErrorDetails& details, std::string_view name) {
  for (const auto& detail : details) {
    if (detail.first == name) return detail.second;
  }
  return {};
}

// The key of a stored item as users write it, or its bytes if they cannot be read.
std::string PrintableKey(const StoreEntry& store, std::string_view stored) {
  if (store.options.uniqueness == Uniqueness::kDuplicates) {
    const auto split = btree::SplitItemId(stored);
    if (split.ok()) stored = split->key;
  }
  if (store.schema.has_value()) {
    const auto key = store.schema->Decode(stored, {});
    if (key.ok()) return btree::Printable(*key);
  }
  return base::Hex(stored.substr(0, 32));
}

std::string StoreNamed(std::string_view catalog_key) {
  btree::EncodedField field;
  if (!btree::TakeField(&catalog_key, &field).ok()) return {};
  const btree::Scalar name = btree::DecodeField(field);
  const auto* text = std::get_if<std::string>(&name);
  return text == nullptr ? std::string() : *text;
}

}  // namespace

StoreSet::StoreSet(std::shared_ptr<txn::Transaction> transaction, EntryCache& entries,
                   base::Clock& clock, base::Random& random)
    : transaction_(std::move(transaction)),
      damaged_(transaction_->snapshot().damaged()),
      entries_(entries),
      clock_(clock),
      random_(random) {}

StoreSet::~StoreSet() = default;

absl::StatusOr<OpenStore*> StoreSet::Create(std::string_view name,
                                            const StoreDefinition& definition) {
  SOP_ASSIGN_OR_RETURN(const std::string key, CatalogKey(name));
  SOP_ASSIGN_OR_RETURN(const StoreOptions options, Complete(definition.options));
  SOP_ASSIGN_OR_RETURN(OpenStore * store, Find(name, key));
  if (store == nullptr) return CreateAbsent(name, definition, options);
  SOP_RETURN_IF_ERROR(CheckAgreement(*store, definition));
  SOP_RETURN_IF_ERROR(CheckSound(*store));
  return store;
}

absl::StatusOr<OpenStore*> StoreSet::Open(std::string_view name) {
  SOP_ASSIGN_OR_RETURN(OpenStore * store, OpenAny(name));
  SOP_RETURN_IF_ERROR(CheckSound(*store));
  return store;
}

absl::Status StoreSet::CheckSound(const OpenStore& store) const {
  if (store.created()) return absl::OkStatus();
  for (const StoreTree& tree : store.entry().trees) {
    const std::optional<std::string> why = damaged_.Find(tree.tree);
    if (!why.has_value()) continue;
    return Error(Reason::kDamaged,
                 fmt::format("store '{}' is damaged and offline until the database is repaired: {}",
                             base::Printable(store.name()), *why),
                 {{"store", store.name()}});
  }
  return absl::OkStatus();
}

absl::StatusOr<OpenStore*> StoreSet::OpenAny(std::string_view name) {
  SOP_ASSIGN_OR_RETURN(const std::string key, CatalogKey(name));
  SOP_ASSIGN_OR_RETURN(OpenStore * store, Find(name, key));
  if (store != nullptr) return store;
  // One that this transaction removed is not a thing that it saw.
  if (names_.find(name) == names_.end()) {
    const txn::TreeSlot catalog = transaction_->OpenTree(kCatalogTree, {});
    SOP_RETURN_IF_ERROR(transaction_->Get(catalog, key, txn::ReadMode::kKeyOnly).status());
  }
  return NotFound(name);
}

absl::StatusOr<OpenStore*> StoreSet::Open(std::string_view name, StoreKind kind) {
  SOP_ASSIGN_OR_RETURN(OpenStore * store, Open(name));
  SOP_RETURN_IF_ERROR(CheckKind(*store, kind));
  return store;
}

absl::Status StoreSet::Remove(std::string_view name) {
  SOP_RETURN_IF_ERROR(CheckWritable());
  SOP_ASSIGN_OR_RETURN(OpenStore * store, OpenAny(name));
  if (store->created()) {
    NamePlan& plan_of_name = plan().Name(name);
    plan_of_name.discarded.insert(plan_of_name.discarded.end(), store->slots_.begin(),
                                  store->slots_.end());
    plan_of_name.creation.reset();
  } else {
    store->PlanUse().removes_base = true;
  }
  store->removed_ = true;
  names_.find(name)->second = nullptr;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::shared_ptr<const StoreEntry>>> StoreSet::List(
    std::string_view after, size_t limit) {
  std::map<std::string, std::shared_ptr<const StoreEntry>> found;
  std::string begin;
  if (!after.empty()) {
    SOP_ASSIGN_OR_RETURN(begin, CatalogKey(after));
    begin.push_back('\0');
  }
  const auto cursor =
      transaction_->OpenCursor(transaction_->OpenTree(kCatalogTree, {}), txn::ReadMode::kItem);
  SOP_RETURN_IF_ERROR(cursor->Seek(begin));
  while (cursor->Valid() && found.size() < limit) {
    SOP_ASSIGN_OR_RETURN(
        auto entry, entries_.Parse(cursor->key(), cursor->item().version, cursor->item().value));
    // Those that this transaction opened, made or removed follow below.
    if (names_.find(entry->name) == names_.end()) found.emplace(entry->name, std::move(entry));
    SOP_RETURN_IF_ERROR(cursor->Next());
  }
  for (auto it = names_.upper_bound(after); it != names_.end(); ++it) {
    if (it->second != nullptr) found.emplace(it->first, it->second->shared_entry());
  }
  std::vector<std::shared_ptr<const StoreEntry>> entries;
  for (auto it = found.begin(); it != found.end() && entries.size() < limit; ++it) {
    entries.push_back(std::move(it->second));
  }
  return entries;
}

Uuid StoreSet::NextItemId() {
  Uuid id = base::MakeUuid7(clock_, random_);
  // Within a millisecond, or after the clock went back: the next number after the last one. The 62
  // bits after the variant leave room for it.
  if (id <= last_item_id_) {
    id = last_item_id_;
    ++id.low;
  }
  last_item_id_ = id;
  return id;
}

std::shared_ptr<txn::Transaction> StoreSet::TakeTransaction() { return std::move(transaction_); }

absl::Status StoreSet::Explain(absl::Status status) const {
  if (status.ok()) return status;
  const ErrorDetails details = DetailsOf(status);
  uint32_t number = 0;
  if (!absl::SimpleAtoi(Detail(details, "tree"), &number)) return status;
  const TreeId tree{number};
  if (ReasonOf(status) == Reason::kDamaged) {
    damaged_.Mark(tree, std::string(status.message()));
    if (tree == kCatalogTree) return WithDetail(std::move(status), "store", "catalog");
  }
  if (ReasonOf(status) != Reason::kConflict) {
    const StoreEntry* const store = StoreOf(tree);
    return store == nullptr ? status : WithDetail(std::move(status), "store", store->name);
  }
  const std::string stored = Detail(details, "key");
  std::string name;
  std::string key;
  if (tree == kCatalogTree) {
    name = StoreNamed(stored);
  } else if (const StoreEntry* store = StoreOf(tree); store != nullptr) {
    name = store->name;
    key = stored.empty() ? "" : PrintableKey(*store, stored);
  } else {
    return status;
  }
  const std::string what = key.empty() ? "what was read of it" : fmt::format("key {}", key);
  return Error(Reason::kConflict,
               fmt::format("store '{}': {} was changed by a transaction that committed first",
                           base::Printable(name), what),
               {{"store", name}, {"key", key}});
}

const StoreEntry* StoreSet::StoreOf(TreeId tree) const {
  for (const auto& store : stores_) {
    if (store->created()) continue;
    const std::vector<StoreTree>& trees = store->entry().trees;
    const bool owns = std::any_of(trees.begin(), trees.end(),
                                  [tree](const StoreTree& own) { return own.tree == tree; });
    if (owns) return &store->entry();
  }
  return plan_ == nullptr ? nullptr : plan_->FindCreated(tree);
}

absl::StatusOr<OpenStore*> StoreSet::Find(std::string_view name, std::string_view key) {
  const auto known = names_.find(name);
  if (known != names_.end()) return known->second;
  // Read below the transaction: it never writes to the catalog's tree, so its snapshot is all there
  // is, and nothing is tracked.
  txn::SnapshotSource source(transaction_->snapshot());
  SOP_ASSIGN_OR_RETURN(const auto found, btree::Find(source, kCatalogTree, key));
  if (!found.has_value()) return nullptr;
  SOP_ASSIGN_OR_RETURN(auto entry, entries_.Parse(key, found->item.version, found->item.value));
  return Keep(
      std::unique_ptr<OpenStore>(new OpenStore(*this, std::move(entry), found->item.version)));
}

absl::StatusOr<OpenStore*> StoreSet::CreateAbsent(std::string_view name,
                                                  const StoreDefinition& definition,
                                                  const StoreOptions& options) {
  SOP_RETURN_IF_ERROR(CheckWritable());
  txn::SnapshotSource source(transaction_->snapshot());
  SOP_ASSIGN_OR_RETURN(const uint64_t count, btree::Count(source, kCatalogTree));
  if (count + created_ >= kMaxStores) {
    return Error(
        Reason::kLimitExceeded,
        fmt::format("the database has {} stores; the limit is {}", count + created_, kMaxStores),
        {{"limit", fmt::format("{}", kMaxStores)}, {"limit_name", "stores"}});
  }
  auto entry = std::make_shared<StoreEntry>();
  entry->name = std::string(name);
  entry->kind = definition.kind;
  entry->options = options;
  entry->kind_options = definition.kind_options;
  entry->schema = definition.options.schema;
  entry->schema_version = entry->schema.has_value() ? 1 : 0;
  if (entry->schema.has_value()) entry->flags |= StoreEntry::kDeclaredFlag;
  for (const TreeRole role : definition.roles) entry->trees.push_back({role, TreeId{}});
  OpenStore* const store =
      Keep(std::unique_ptr<OpenStore>(new OpenStore(*this, entry, Sequence{})));
  NamePlan& wanted = plan().Name(name);
  wanted.created = true;
  wanted.creation = StoreCreation{entry, store->slots_, {}};
  ++created_;
  return store;
}

OpenStore* StoreSet::Keep(std::unique_ptr<OpenStore> store) {
  OpenStore* const kept = store.get();
  stores_.push_back(std::move(store));
  names_[kept->name()] = kept;
  return kept;
}

absl::Status StoreSet::CheckWritable() const {
  if (transaction_->mode() == txn::Mode::kReadWrite) return absl::OkStatus();
  return Error(Reason::kReadOnlyTransaction,
               fmt::format("transaction {} is read-only", transaction_->id().ToString()));
}

CatalogPlan& StoreSet::plan() {
  if (plan_ == nullptr) {
    plan_ = std::make_shared<CatalogPlan>();
    transaction_->Assume(std::make_unique<CatalogAssumption>(plan_));
  }
  return *plan_;
}

}  // namespace sop::catalog
