#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/config/server_options.h"

namespace sop::config {

// Where LoadOptions looks beside the command line.
struct Surroundings {
  // The value of an environment variable, if it is set.
  std::function<std::optional<std::string>(const std::string& name)> environment;
  // The bytes of a file.
  std::function<absl::StatusOr<std::string>(const std::string& path)> read_file;
};

// This process's environment and files.
Surroundings ProcessSurroundings();

// What the command line asks for: to serve with `options`, or to print `text` and leave with 0.
struct CommandLine {
  std::optional<std::string> text;
  ServerOptions options;
};

// Reads `arguments` (without the program's name). Each option is taken from its flag, else from the
// environment (SOPD_ and the flag's name in capitals; several values are separated by colons), else
// from the TOML file named by --config or SOPD_CONFIG, else it keeps its default.
//
// INVALID_ARGUMENT names option, source, value and what it must be; FAILED_PRECONDITION an address
// that is not allowed; UNIMPLEMENTED options of cluster mode.
absl::StatusOr<CommandLine> LoadOptions(const std::vector<std::string>& arguments,
                                        const Surroundings& surroundings);

// Whether `address` (HOST:PORT) can only be reached from this machine.
bool IsLoopback(std::string_view address);

}  // namespace sop::config
