#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/node/item.h"

namespace sop::btree {

enum class DeltaKind : uint8_t {
  kPut = 1,        // key -> item, there or not
  kErase = 2,      // key goes, there or not
  kSetRideOn = 3,  // changes the ride-on bytes of an item that is there
  kAdd = 4,        // adds to a counter; an absent one starts at 0
  kCutFrom = 5,    // every entry with a key not below `key` goes: they moved to another node
  kLink = 6,       // inner: `key` -> `child` with `count` items below it
  kUnlink = 7,     // inner: the child at `key` goes
  kCounts = 8,     // inner: `amount` items more below `child`; folds count records
};

// One change of one node. Which fields mean something follows from the kind.
struct DeltaOperation {
  DeltaKind kind = DeltaKind::kPut;
  Sequence sequence;  // the commit that wrote it: the item's version
  std::string_view key;
  ItemView item;       // kPut; kSetRideOn uses only ride_on
  NodeId child;        // kLink, kCounts
  uint64_t count = 0;  // kLink
  int64_t amount = 0;  // kAdd, kCounts
};

// A decoded delta: views into the bytes that it was decoded from.
struct DeltaView {
  Sequence sequence;
  // Not 0 in a delta that folds count records: the counts then include every record up to here.
  Sequence counts_sequence;
  std::vector<DeltaOperation> operations;
};

// docs/formats/delta.md. REQUIRES: key operations ascend strictly by key, then kCutFrom if any.
std::string EncodeDelta(const DeltaView& delta);

// Most deltas of a large tree hold one operation.
using PlacedOperations = absl::InlinedVector<DeltaOperation, 1>;

// The same; `*placed` becomes the operations again, with views into `*bytes`: good for as long as
// that is neither changed nor moved.
void EncodeDelta(const DeltaView& delta, std::string* bytes, PlacedOperations* placed);

// Total: any bytes give operations in the required order, or DATA_LOSS (kDamaged).
absl::StatusOr<DeltaView> DecodeDelta(std::string_view bytes);

}  // namespace sop::btree
