#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/btree/key.h"
#include "core/catalog/ordered_store.h"

namespace sop::conformance {

enum class KeyShape { kScalar, kRecord };

// What OrderedStore is held against: a sorted list of items whose keys are made from small numbers.
// A scalar key is the number; a record has a category (ascending), a code (descending) and a note
// that rides on. Thread-compatible.
class OrderedStoreModel {
 public:
  struct Item {
    int number = 0;
    Uuid id;  // zero in a unique store
    std::string note;
    std::string value;
    friend bool operator==(const Item&, const Item&) = default;
  };
  // A write as the test made it up.
  struct Write {
    int number = 0;
    std::string note;
    std::string value;
    std::optional<Uuid> id;
    bool with_value = false;  // Remove: only an item with this value
  };

  OrderedStoreModel(KeyShape shape, catalog::Uniqueness uniqueness)
      : shape_(shape), unique_(uniqueness == catalog::Uniqueness::kUnique) {}

  btree::Key MakeKey(int number, const std::string& note) const;
  btree::IndexSpecification Index() const;
  // The items in the store's order.
  const std::vector<Item>& items() const { return items_; }

  // Each does what OrderedStore does with one item and says the outcome. `id`: what the store gave
  // to an addition.
  catalog::WriteOutcome Add(const Write& write, Uuid id);
  catalog::WriteOutcome AddIfNotExists(const Write& write, Uuid id);
  catalog::WriteOutcome Update(const Write& write);
  catalog::WriteOutcome Upsert(const Write& write, Uuid id);
  catalog::WriteOutcome UpdateKey(const Write& write);
  catalog::WriteOutcome Remove(const Write& write);

  // The first item with that number, or nothing.
  const Item* First(int number) const;

  // Positions in items() of the first item not before, and the first one after, the key (and id).
  size_t LowerBound(int number, std::optional<Uuid> id) const;
  size_t UpperBound(int number, std::optional<Uuid> id) const;

 private:
  using Order = std::pair<std::string, int64_t>;

  Order OrderOf(int number) const;
  // Nothing where no such item is.
  std::optional<size_t> Find(const Write& write) const;
  catalog::WriteOutcome Insert(const Write& write, Uuid id);

  KeyShape shape_;
  bool unique_;
  std::vector<Item> items_;
};

}  // namespace sop::conformance
