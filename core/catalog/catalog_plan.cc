#include "core/catalog/catalog_plan.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::catalog {
namespace {

absl::Status Removed(std::string_view name) {
  return Error(Reason::kStoreRemoved,
               fmt::format("store '{}' was removed by a transaction that committed first",
                           base::Printable(name)),
               {{"store", std::string(name)}});
}

absl::Status DecidedOtherwise(std::string_view name, std::string_view option) {
  return Error(Reason::kSchemaDecided,
               fmt::format("store '{}' got another {} by a transaction that committed first",
                           base::Printable(name), option),
               {{"store", std::string(name)}, {"option", std::string(option)}});
}

// The first thing in which a store that exists is not what a transaction took it for. A schema
// that only one of them has is no difference.
std::string_view DifferingPart(const StoreEntry& assumed, const StoreEntry& now) {
  if (assumed.kind != now.kind) return "kind";
  const GivenOptions all{.uniqueness = assumed.options.uniqueness,
                         .value_placement = assumed.options.value_placement,
                         .slot_length = assumed.options.slot_length,
                         .feed = assumed.options.feed,
                         .index = assumed.options.index};
  const std::string_view option = DifferingOption(all, now);
  if (!option.empty()) return option;
  return assumed.kind_options == now.kind_options ? "" : "kind_options";
}

// Settles the plan of one name.
class NameSettlement {
 public:
  NameSettlement(txn::CommitView& view, const std::string& name, NamePlan& plan)
      : view_(view), name_(name), plan_(plan) {}

  absl::Status Settle() {
    SOP_ASSIGN_OR_RETURN(key_, CatalogKey(name_));
    SOP_RETURN_IF_ERROR(ReadNow());
    for (const txn::TreeSlot slot : plan_.discarded) Discard(slot);
    if (plan_.base != nullptr) SOP_RETURN_IF_ERROR(SettleBase());
    if (plan_.creation.has_value()) {
      return now_.has_value() ? Adopt(*plan_.creation) : Create(*plan_.creation);
    }
    if (plan_.created && now_.has_value()) return CreatedMeanwhile();
    return absl::OkStatus();
  }

 private:
  absl::Status ReadNow() {
    SOP_ASSIGN_OR_RETURN(const std::optional<btree::Item> item, view_.Get(kCatalogTree, key_));
    if (!item.has_value()) return absl::OkStatus();
    // Mostly nothing has changed: the entry that was parsed for the snapshot is the one.
    if (plan_.base != nullptr && item->version == plan_.base_version) {
      unchanged_ = true;
      return absl::OkStatus();
    }
    SOP_ASSIGN_OR_RETURN(now_, ParseStoreEntry(item->value));
    return absl::OkStatus();
  }

  absl::Status SettleBase() {
    const bool only_used = !plan_.removes_base && !plan_.base_schema.has_value();
    if (unchanged_ && only_used) return absl::OkStatus();
    if (unchanged_) now_ = *plan_.base;
    if (!now_.has_value() || now_->id != plan_.base->id) return Removed(name_);
    if (!plan_.removes_base) {
      if (!plan_.base_schema.has_value()) return absl::OkStatus();
      return SettleSchema(*plan_.base_schema);
    }
    for (const StoreTree& tree : now_->trees) view_.DropTree(tree.tree);
    if (const auto items = now_->FindTree(kItemsRole);
        items.has_value() && now_->options.feed == Feed::kOn) {
      view_.EndFeed(*items, Serialize(*now_));
    }
    view_.Erase(kCatalogTree, key_);
    now_.reset();
    return absl::OkStatus();
  }

  // Field numbers are in the bytes of items, so only the very same schema will do, or one that goes
  // on where the other ends.
  absl::Status SettleSchema(const btree::KeySchema& schema) {
    if (now_->schema.has_value()) {
      if (now_->schema->Continues(schema)) return absl::OkStatus();
      const bool declared = (now_->flags & StoreEntry::kDeclaredFlag) != 0;
      if (declared || !schema.Continues(*now_->schema)) return DecidedOtherwise(name_, "schema");
    }
    now_->schema = schema;
    ++now_->schema_version;
    view_.Put(kCatalogTree, key_, 0, Serialize(*now_));
    return absl::OkStatus();
  }

  absl::Status Adopt(StoreCreation& creation) {
    const std::string_view part = DifferingPart(*creation.entry, *now_);
    if (!part.empty()) return DecidedOtherwise(name_, part);
    if (creation.entry->schema.has_value()) {
      SOP_RETURN_IF_ERROR(SettleSchema(*creation.entry->schema));
    }
    creation.bound.clear();
    for (size_t i = 0; i < creation.slots.size(); ++i) {
      const std::optional<TreeId> tree = now_->FindTree(creation.entry->trees[i].role);
      if (!tree.has_value()) return DecidedOtherwise(name_, "kind");
      Bind(creation, i, *tree);
    }
    return absl::OkStatus();
  }

  absl::Status Create(StoreCreation& creation) {
    StoreEntry entry = *creation.entry;
    creation.bound.clear();
    for (size_t i = 0; i < creation.slots.size(); ++i) {
      entry.trees[i].tree = view_.NextTreeId();
      Bind(creation, i, entry.trees[i].tree);
    }
    entry.id = StoreId{entry.trees.front().tree.value};
    view_.Put(kCatalogTree, key_, 0, Serialize(entry));
    return absl::OkStatus();
  }

  void Bind(StoreCreation& creation, size_t i, TreeId tree) {
    view_.Bind(creation.slots[i], tree);
    creation.bound.push_back(tree);
  }

  // What was written to a tree has to go somewhere: to one that goes at once.
  void Discard(txn::TreeSlot slot) {
    const TreeId tree = view_.NextTreeId();
    view_.Bind(slot, tree);
    view_.DropTree(tree);
  }

  // The transaction made a store and removed it again, and meanwhile there came to be one.
  absl::Status CreatedMeanwhile() const {
    return Error(Reason::kConflict,
                 fmt::format("store '{}' was created by a transaction that committed first",
                             base::Printable(name_)),
                 {{"store", name_}});
  }

  txn::CommitView& view_;
  const std::string& name_;
  NamePlan& plan_;
  std::string key_;
  // `now_` would be the plan's base.
  bool unchanged_ = false;
  std::optional<StoreEntry> now_;
};

}  // namespace

NamePlan& CatalogPlan::Name(std::string_view name) {
  const auto found = names_.find(name);
  return found != names_.end() ? found->second : names_[std::string(name)];
}

absl::Status CatalogPlan::Settle(txn::CommitView& view) {
  for (auto& [name, plan] : names_) {
    SOP_RETURN_IF_ERROR(NameSettlement(view, name, plan).Settle());
  }
  return absl::OkStatus();
}

const StoreEntry* CatalogPlan::FindCreated(TreeId tree) const {
  for (const auto& [name, plan] : names_) {
    if (!plan.creation.has_value()) continue;
    const std::vector<TreeId>& bound = plan.creation->bound;
    if (std::find(bound.begin(), bound.end(), tree) != bound.end()) {
      return plan.creation->entry.get();
    }
  }
  return nullptr;
}

}  // namespace sop::catalog
