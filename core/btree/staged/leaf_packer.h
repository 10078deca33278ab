#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "core/btree/node/node_entries.h"

namespace sop::btree {

// A leaf that LeafPacker filled.
struct PackedLeaf {
  std::string low;  // what separates it from the leaf before; of the first one what Start was given
  uint64_t count = 0;
  std::string image;
};

// Packs items that arrive in key order into leaves: full ones, but for the last two of a run, which
// share what is left. Holds two leaves' worth of items. Start, Add..., Finish, and again. Confined
// to one thread.
class LeafPacker {
 public:
  using Emit = absl::FunctionRef<absl::Status(PackedLeaf leaf)>;

  // `sequence` is every leaf's. `emit` gets each leaf once, in key order, and must outlive this.
  LeafPacker(const NodeLimits& limits, Sequence sequence, Emit emit)
      : limits_(limits), sequence_(sequence), emit_(emit) {}

  void Start(std::string low) { low_ = std::move(low); }
  // REQUIRES: keys ascend strictly since Start. Copies. Errors of `emit`.
  absl::Status Add(std::string_view key, const ItemView& item);
  absl::Status Finish();

 private:
  // Bytes that entries point into: blocks that never move.
  class Bytes {
   public:
    std::string_view Keep(std::string_view bytes);

   private:
    std::vector<std::string> blocks_;
  };
  struct Run {
    NodeEntries entries{NodeKind::kLeaf, 0};
    Bytes bytes;
  };

  static void Append(Run* run, std::string_view key, const ItemView& item);
  // Emits entries [begin, end).
  absl::Status EmitRange(size_t begin, size_t end);
  absl::Status EmitFirst();

  const NodeLimits limits_;
  const Sequence sequence_;
  const Emit emit_;
  std::string low_;
  Run run_;
};

}  // namespace sop::btree
