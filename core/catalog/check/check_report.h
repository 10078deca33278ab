#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/base/ids.h"

namespace sop::check {

enum class FindingKind : uint8_t {
  kFileDamaged,      // a file is not what was written: changed, cut, missing, or another one
  kStorageDamaged,   // the storage cannot be opened or read
  kNodeUnreadable,   // the storage cannot read it, or its bytes are no node
  kNodeMissing,      // its parent names it and it is not there, or at another level
  kNodeOrphan,       // nobody names it
  kKeyOrder,         // a key outside the range of its node
  kCountDiffers,     // an inner node counts other items than there are
  kSequenceDiffers,  // changed after the last commit
  kValueMissing,     // an item refers to it and it is not there
  kValueDamaged,     // it has another size or checksum than its item says, or cannot be read
  kValueOrphan,      // no item refers to it
  kTreeOrphan,       // no store has it
  kCatalogDamaged,   // an entry of the catalog cannot be understood or disagrees with another
  kRowDamaged,       // a row of the engine cannot be understood
};

// "FILE_DAMAGED", "NODE_UNREADABLE", ...
std::string_view FindingName(FindingKind kind);

// One thing that is wrong.
struct Finding {
  FindingKind kind = FindingKind::kNodeUnreadable;
  // Whose it is: a store's name, "catalog", or empty for the whole database.
  std::string store;
  std::optional<TreeId> tree;
  std::string what;  // for people: lower case, names node, value or file

  // Keys that cannot be read because of it: encoded, [low, high); an absent `high` means no end.
  // Only where `unreadable_items` is given.
  std::string low;
  std::optional<std::string> high;
  std::optional<uint64_t> unreadable_items;
};

// What a check found.
struct CheckReport {
  // Findings beyond these are only counted.
  static constexpr size_t kMaxFindings = 1'000;

  Uuid database_id;
  Sequence sequence;  // the commit as of which it was checked
  uint64_t stores = 0;
  uint64_t trees = 0;
  uint64_t nodes = 0;
  uint64_t items = 0;
  uint64_t values = 0;
  uint64_t files = 0;
  uint64_t bytes = 0;  // of nodes, values and files read
  absl::Duration took;
  uint64_t finding_count = 0;
  std::vector<Finding> findings;

  bool sound() const { return finding_count == 0; }
  void Add(Finding finding);
  void Append(const CheckReport& other);
};

// One object with every member above; keys as hexadecimal digits.
std::string ToJson(const CheckReport& report);
// A few lines for people, one more for each finding.
std::string ToText(const CheckReport& report);

// `text` as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
std::string JsonString(std::string_view text);

}  // namespace sop::check
