#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/key_schema.h"
#include "core/catalog/store_options.h"

namespace sop::catalog {

enum class StoreKind : uint8_t {
  kBtree = 1,
  kVector = 2,
  kText = 3,
  kModel = 4,
  kBlob = 5,
};

// "B-tree", "vector", ...; "unknown" for a number that is no kind.
std::string_view KindName(StoreKind kind);

// What a tree is to its store. 1 is the same for every kind; the others are the kind's own.
using TreeRole = uint32_t;
inline constexpr TreeRole kItemsRole = 1;

struct StoreTree {
  TreeRole role = kItemsRole;
  TreeId tree;
  friend bool operator==(const StoreTree&, const StoreTree&) = default;
};

// What the catalog holds of one store (docs/formats/catalog.md). The catalog is a tree whose keys
// are names as scalar strings and whose values are serialised entries.
struct StoreEntry {
  // As stored: the option `feed`. Releases that do not know a flag refuse the store.
  static constexpr uint32_t kFeedFlag = 0x01;
  // The schema was declared at creation: keys with other fields are refused.
  static constexpr uint32_t kDeclaredFlag = 0x02;
  static constexpr uint32_t kKnownFlags = kFeedFlag | kDeclaredFlag;

  StoreId id;
  std::string name;
  StoreKind kind = StoreKind::kBtree;
  // One or more; `id` is the number of the first.
  std::vector<StoreTree> trees;
  // Grows by one whenever the schema learns something; 0 while it is not decided.
  uint32_t schema_version = 0;
  // Absent until declared, or decided by the first committed item.
  std::optional<btree::KeySchema> schema;
  StoreOptions options;
  // What only this kind knows of; serialised by it. Empty for a B-tree.
  std::string kind_options;
  // Of the store's trees; 1 is the only one so far.
  uint32_t format = 1;
  // Those that no option stands for: kDeclaredFlag.
  uint32_t flags = 0;

  // The tree of that role, or nothing.
  std::optional<TreeId> FindTree(TreeRole role) const;

  friend bool operator==(const StoreEntry&, const StoreEntry&) = default;
};

// The schema that a key decides in a store whose schema is absent, or the one that is there. Errors
// as KeySchema::FromFirstKey.
absl::StatusOr<btree::KeySchema> SchemaFor(const StoreEntry& entry, const btree::Key& first_key);

// The name of the first given option that is not what the store has, empty if all agree: "unique",
// "value_size", "slot_length", "feed", "index" or "schema", as in the API. Description and
// relations are not compared; declared fields may be numbered otherwise, and others may ride on
// beside them where the store's own were not declared.
std::string_view DifferingOption(const GivenOptions& given, const StoreEntry& entry);

std::string Serialize(const StoreEntry& entry);

// Total. DAMAGED, or FORMAT_NOT_SUPPORTED for a later version, kind or flag.
absl::StatusOr<StoreEntry> ParseStoreEntry(std::string_view bytes);

// The key of an entry in the catalog's tree. INVALID_NAME if `name` may not name a store.
absl::StatusOr<std::string> CatalogKey(std::string_view name);

}  // namespace sop::catalog
