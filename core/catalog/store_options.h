#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/btree/key_schema.h"
#include "core/btree/limits.h"

namespace sop::catalog {

inline constexpr size_t kMaxDescriptionSizeBytes = 4 * 1024;
inline constexpr size_t kMaxRelations = 64;

// Numbers of all enums here are stored and never change.

enum class Uniqueness : uint8_t {
  kUnique = 0,
  // Equal keys are allowed and ordered by item id.
  kDuplicates = 1,
};

// How large values are expected to be, which decides where they are kept.
enum class ValuePlacement : uint8_t {
  kMedium = 0,  // up to 1 KiB in the node, larger ones outside
  kSmall = 1,   // up to 4 KiB in the node
  kBig = 2,     // always outside: reads of keys never touch them
};

// The largest value that is kept in a node.
size_t InlineLimitBytes(ValuePlacement placement);

// A foreign key: fields of this store's items that name an item of another store, which need not
// exist.
struct Relation {
  std::vector<std::string> source_fields;
  std::string target_store;
  std::vector<std::string> target_fields;
  friend bool operator==(const Relation&, const Relation&) = default;
};

// Whether changes are recorded for those who watch the store.
enum class Feed : uint8_t {
  kOff = 0,
  kOn = 1,
};

// What a store was made to be, every option with the value in effect.
struct StoreOptions {
  Uniqueness uniqueness = Uniqueness::kUnique;
  ValuePlacement value_placement = ValuePlacement::kMedium;
  // Most items in one node, 2 to 20,000. The default leaves it to the bytes of a node.
  uint32_t slot_length = btree::kMaxSlotLength;
  Feed feed = Feed::kOff;
  // For people; never compared.
  std::string description;
  // As it was given. Empty: all fields of a record, by name.
  btree::IndexSpecification index;
  // For joins and tools; never compared.
  std::vector<Relation> relations;
  friend bool operator==(const StoreOptions&, const StoreOptions&) = default;
};

// Options as a caller gives them: what is absent takes its default in a store that is created, and
// whatever is there in one that exists.
struct GivenOptions {
  std::optional<Uniqueness> uniqueness;
  std::optional<ValuePlacement> value_placement;
  std::optional<uint32_t> slot_length;
  std::optional<Feed> feed;
  std::optional<std::string> description;
  std::optional<btree::IndexSpecification> index;
  std::optional<std::vector<Relation>> relations;
  // Declares the types of the keys. REQUIRES: made with `index`, if that is given.
  std::optional<btree::KeySchema> schema;
};

// The options of a store created with `given`. INVALID_ARGUMENT or INVALID_NAME for one that is out
// of its range, naming option, value and limit.
absl::StatusOr<StoreOptions> Complete(const GivenOptions& given);

// OK if every option is within its range; errors as Complete.
absl::Status CheckOptions(const StoreOptions& options);

}  // namespace sop::catalog
