#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "clients/cli/session/session.h"
#include "clients/cli/text/item_source.h"
#include "clients/cli/transfer/import_input.h"
#include "sop/v1/types.pb.h"

namespace sop::cli {

// The flags of `sop import`.
struct ImportFlags {
  std::string store;
  InputFlags input;
  std::vector<std::string> columns;
  std::vector<std::string> key;
  std::vector<std::string> ride_on;
  std::vector<std::string> types;
  std::string value_column;
  bool one_transaction = false;
  // Most items in a transaction.
  uint64_t batch = 5'000;
  std::string existing = "replace";
  // stop, skip or check.
  std::string on_error = "stop";
  bool resume = false;
};

// What is to be read, and into what.
struct ImportPlan {
  std::unique_ptr<ImportInput> input;
  ItemShape shape;
  StoreKeys keys;
  // Of the store that is to be created; absent if it is there.
  std::optional<v1::BtreeOptions> creation;
  bool unique = true;
  // Of the store that is there.
  uint32_t store_id = 0;
};

// Usage errors and OPTIONS_DIFFER name what does not fit input, flags or store.
absl::StatusOr<ImportPlan> MakePlan(Session& session, const ImportFlags& flags);

}  // namespace sop::cli
