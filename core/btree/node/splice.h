#pragma once

#include <optional>
#include <span>
#include <string>

#include "core/btree/node/delta.h"
#include "core/btree/node/node_image.h"

namespace sop::btree {

// The image of `leaf` after `operations`, made by copying whole runs of cells: what folding costs
// depends on the bytes of the leaf, not on its items. Nothing if it cannot be done so (few slots,
// keys outside the leaf's prefix, cells that do not lie in order): build it from its items then.
// REQUIRES: `operations` are kPut and kErase, ascending strictly by key.
std::optional<std::string> SpliceLeaf(const NodeImage& leaf,
                                      std::span<const DeltaOperation* const> operations,
                                      const NodeImageBuilder::Stamps& stamps);

// A child that comes right after the one at `slot`. Views.
struct ChildLink {
  uint32_t slot = 0;
  std::string_view key;
  ChildView child;
};

// The image of `inner` with `links` added; the counts of the others stay those of the image.
// Nothing if it cannot be done so. REQUIRES: `links` ascend by key, each above the key of its slot
// and below that of the next.
std::optional<std::string> SpliceInner(const NodeImage& inner, std::span<const ChildLink> links,
                                       const NodeImageBuilder::Stamps& stamps);

}  // namespace sop::btree
