#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "clients/cli/session/session.h"

namespace sop::cli {

// All commands and flags, for `session`, which must outlive the result.
std::unique_ptr<CLI::App> MakeProgram(Session& session);

// Runs one command: the words of a command line without the name of the program, or a line of the
// shell. Prints what there is to print; returns the exit code.
int RunProgram(const std::vector<std::string>& words, Session& session);

}  // namespace sop::cli
