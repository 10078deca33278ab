#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "clients/cli/session/session.h"
#include "clients/cli/text/item_json.h"
#include "clients/cli/text/key_text.h"
#include "core/base/ids.h"

namespace sop::cli {

struct ScannedItem {
  btree::Key key;
  StoredValue value;
  // The value was left out of the page because of its size.
  bool value_left_out = false;
  uint64_t version = 0;
  // Zero in a unique store.
  Uuid item_id;
};

// Streams a range as packed pages and calls `take` for every item, until it returns a failure or
// the range ends. `keys` are those of the store and are asked for again when its schema has grown.
absl::Status ScanStore(Session& session, const v1::ScanRequest& request, StoreKeys keys,
                       const std::function<absl::Status(ScannedItem)>& take);

// The value that a page left out because of its size.
absl::StatusOr<StoredValue> ReadLeftOutValue(Session& session, const v1::ScanRequest& request,
                                             const ScannedItem& item);

// The same for an item of a message, which gets it.
absl::Status FillLeftOutValue(Session& session, const v1::GetRequest& request, v1::Item* item);

}  // namespace sop::cli
