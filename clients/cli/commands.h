#pragma once

#include <CLI/CLI.hpp>

#include "clients/cli/session/session.h"

namespace sop::cli {

// Each adds commands to the program. When one is chosen, `session.action` is what it does. Both
// arguments must outlive the run.
void AddDatabaseCommands(CLI::App& program, Session& session);
void AddStoreCommands(CLI::App& program, Session& session);
void AddItemCommands(CLI::App& program, Session& session);
void AddScanCommands(CLI::App& program, Session& session);
void AddWatchCommand(CLI::App& program, Session& session);
void AddTransactionCommand(CLI::App& program, Session& session);
void AddBenchCommand(CLI::App& program, Session& session);
void AddShellCommand(CLI::App& program, Session& session);
void AddPingCommands(CLI::App& program, Session& session);
void AddUpkeepCommands(CLI::App& program, Session& session);

}  // namespace sop::cli
