#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/base/ids.h"
#include "core/txn/value/staged_value.h"

namespace sop::rpc {

// A value that came in parts, for the operation that writes it. Confined to its call.
struct IncomingValue {
  // Of the store that it is for, as it was found when the value began; absent in one that its
  // transaction makes.
  std::optional<TreeId> tree;
  // The value as long as it is not large, or if there is no tree to stage it for.
  std::string whole;
  // Otherwise where it is.
  std::shared_ptr<txn::StagedValue> staged;

  uint64_t size() const { return staged != nullptr ? staged->size() : whole.size(); }
};

}  // namespace sop::rpc
