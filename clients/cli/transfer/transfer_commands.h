#pragma once

#include <CLI/CLI.hpp>

#include "clients/cli/session/session.h"

namespace sop::cli {

// As in clients/cli/commands.h.
void AddImportCommand(CLI::App& program, Session& session);
void AddExportCommand(CLI::App& program, Session& session);

}  // namespace sop::cli
