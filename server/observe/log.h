#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "server/config/server_options.h"

namespace sop::observe {

// Sets up the process's log on stderr, one line per event, in UTC. Call once, before any thread
// logs.
void OpenLog(config::LogLevel level, config::LogFormat format);

using Field = std::pair<std::string_view, std::string>;

// One line: `event` says what happened in lower case, `fields` to whom. Text lines are
// `TIME LEVEL event key=value ...` with values quoted where needed; JSON lines have the members
// time, level, event and the fields. Never log values or secrets. Thread-safe.
void Log(config::LogLevel level, std::string_view event, std::initializer_list<Field> fields = {});

// Whether a line of this level would be written; for lines that are dear to make. Thread-safe.
bool LogEnabled(config::LogLevel level);

// The part of the line that follows TIME and LEVEL; exposed for tests.
std::string FormatFields(config::LogFormat format, std::string_view event,
                         std::initializer_list<Field> fields);

}  // namespace sop::observe
