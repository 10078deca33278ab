#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/config/server_options.h"

namespace sop::config {

enum class Arity { kOne, kMany, kFlag };

// One option as users know it: `name` is the flag without dashes, from which the names of the
// environment variable and of the TOML key follow.
struct Setting {
  std::string name;
  std::string placeholder;
  std::string help;
  Arity arity = Arity::kOne;
  // Parses and checks `values` (at least one, for kFlag "true" or "false") and stores them. The
  // message of an error says what the value must be.
  std::function<absl::Status(const std::vector<std::string>& values, ServerOptions* options)> apply;
};

// Every setting, in the order of --help.
const std::vector<Setting>& AllSettings();

// "stores-root" -> "SOPD_STORES_ROOT".
std::string EnvironmentName(std::string_view setting);

}  // namespace sop::config
