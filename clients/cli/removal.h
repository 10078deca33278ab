#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "clients/cli/session/messages.h"
#include "clients/cli/session/session.h"

namespace sop::cli {

// Removes the items of these keys, all or none. NOT_FOUND / KEY_NOT_FOUND if one is not there.
absl::Status RemoveKeys(Session& session, const std::string& store,
                        const std::vector<std::string>& keys);

// Asks, then removes the items of a range in one transaction.
absl::Status RemoveRange(Session& session, const std::string& store, const RangeText& range);

}  // namespace sop::cli
