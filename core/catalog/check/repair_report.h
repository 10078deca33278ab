#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"

namespace sop::check {

// Keys of one store that a repair could not save: encoded, [low, high); an absent `high` means no
// end.
struct Loss {
  std::string store;
  TreeId tree;
  std::string low;
  std::optional<std::string> high;
  // How many items there were; absent where nobody knows any more.
  std::optional<uint64_t> items;
  std::string what;
};

// What a repair saved and what it could not.
struct RepairReport {
  Uuid database_id;
  Sequence sequence;
  uint64_t trees = 0;
  uint64_t rebuilt_trees = 0;  // the others were copied as they are
  uint64_t items = 0;
  uint64_t values = 0;
  uint64_t dropped_orphans = 0;  // nodes and trees that nothing refers to
  std::vector<Loss> losses;
  // Where the damaged files are kept; empty if there was nothing to repair.
  std::string aside;

  uint64_t lost_items() const;
};

// One object with every member; keys as hexadecimal digits.
std::string ToJson(const RepairReport& report);
std::string ToText(const RepairReport& report);

}  // namespace sop::check
