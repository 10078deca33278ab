#include "server/config/setting.h"

#include <charconv>
#include <cstdint>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"

namespace sop::config {
namespace {

absl::Status MustBe(std::string_view value, std::string_view what) {
  return Error(Reason::kInvalidArgument,
               fmt::format("\"{}\" must be {}", base::Printable(value), what));
}

// A whole number with an optional unit out of `units` ("KiB" = 1024, ...).
struct Unit {
  std::string_view name;
  int64_t factor;
};

bool ParseScaled(std::string_view text, const std::vector<Unit>& units, int64_t* out) {
  int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || number < 0) return false;
  std::string_view rest(parsed.ptr, text.data() + text.size() - parsed.ptr);
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  for (const Unit& unit : units) {
    if (unit.name == rest) return !__builtin_mul_overflow(number, unit.factor, out);
  }
  return false;
}

const std::vector<Unit>& SizeUnits() {
  static const auto& units = *new std::vector<Unit>{
      {"", 1}, {"KiB", int64_t{1} << 10}, {"MiB", int64_t{1} << 20}, {"GiB", int64_t{1} << 30}};
  return units;
}

const std::vector<Unit>& TimeUnits() {
  static const auto& units = *new std::vector<Unit>{
      {"ms", 1}, {"s", 1'000}, {"min", 60'000}, {"m", 60'000}, {"h", 3'600'000}};
  return units;
}

using Apply = std::function<absl::Status(const std::vector<std::string>&, ServerOptions*)>;

template <typename Field>
Apply Text(Field field) {
  return [field](const std::vector<std::string>& values, ServerOptions* options) {
    if (values.back().empty()) return MustBe(values.back(), "a non-empty text");
    field(*options) = values.back();
    return absl::OkStatus();
  };
}

template <typename Field>
Apply Number(Field field, int64_t least, int64_t most) {
  return [=](const std::vector<std::string>& values, ServerOptions* options) {
    int64_t number = 0;
    if (!ParseScaled(values.back(), {{"", 1}}, &number) || number < least || number > most) {
      return MustBe(values.back(), fmt::format("a whole number from {} to {}", least, most));
    }
    field(*options) = number;
    return absl::OkStatus();
  };
}

template <typename Field>
Apply Time(Field field, absl::Duration least, absl::Duration most) {
  return [=](const std::vector<std::string>& values, ServerOptions* options) {
    int64_t millis = 0;
    const bool parsed = ParseScaled(values.back(), TimeUnits(), &millis);
    const absl::Duration duration = absl::Milliseconds(millis);
    if (!parsed || duration < least || duration > most) {
      return MustBe(values.back(),
                    fmt::format("a time such as 90s, from {} to {} (ms, s, min, h)",
                                absl::FormatDuration(least), absl::FormatDuration(most)));
    }
    field(*options) = duration;
    return absl::OkStatus();
  };
}

absl::Status ApplyMemory(const std::vector<std::string>& values, ServerOptions* options) {
  int64_t bytes = 0;
  if (!ParseScaled(values.back(), SizeUnits(), &bytes) || bytes < (int64_t{64} << 20)) {
    return MustBe(values.back(), "a size such as 512MiB, at least 64MiB (KiB, MiB, GiB)");
  }
  options->memory_bytes = bytes;
  return absl::OkStatus();
}

absl::Status ApplyFeedBytes(const std::vector<std::string>& values, ServerOptions* options) {
  int64_t bytes = 0;
  if (!ParseScaled(values.back(), SizeUnits(), &bytes) || bytes < (int64_t{1} << 20) ||
      bytes > (int64_t{1} << 40)) {
    return MustBe(values.back(), "a size such as 512MiB, from 1MiB to 1024GiB (KiB, MiB, GiB)");
  }
  options->limits.feed_bytes = bytes;
  return absl::OkStatus();
}

absl::Status ApplyAddress(const std::string& address, std::string* field) {
  const size_t colon = address.rfind(':');
  int64_t port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !ParseScaled(std::string_view(address).substr(colon + 1), {{"", 1}}, &port) ||
      port > 65'535) {
    return MustBe(address, "HOST:PORT");
  }
  *field = address;
  return absl::OkStatus();
}

template <typename Value>
Apply OneOf(Value ServerOptions::*field, std::vector<std::pair<std::string, Value>> choices) {
  return [=](const std::vector<std::string>& values, ServerOptions* options) {
    std::string names;
    for (const auto& choice : choices) {
      if (choice.first == values.back()) {
        options->*field = choice.second;
        return absl::OkStatus();
      }
      names += (names.empty() ? "" : ", ") + choice.first;
    }
    return MustBe(values.back(), "one of " + names);
  };
}

absl::Status ApplyExposure(const std::vector<std::string>& values, ServerOptions* options) {
  options->exposure = values.back() == "true" ? Exposure::kAllNetworks : Exposure::kLoopbackOnly;
  return absl::OkStatus();
}

std::vector<Setting> PlaceSettings() {
  return {
      {"data", "DIR", "folder of the database `default` and the server's own files [./sop-data]",
       Arity::kOne, Text([](ServerOptions & o) -> auto& { return o.home_folder; })},
      {"listen", "HOST:PORT", "address of the gRPC port [127.0.0.1:7373]", Arity::kOne,
       [](const std::vector<std::string>& values, ServerOptions* options) {
         return ApplyAddress(values.back(), &options->listen);
       }},
      {"http", "HOST:PORT", "address of the HTTP port, or off [127.0.0.1:7374]", Arity::kOne,
       [](const std::vector<std::string>& values, ServerOptions* options) {
         if (values.back() != "off") return ApplyAddress(values.back(), &options->http);
         options->http = "off";
         return absl::OkStatus();
       }},
      {"stores-root", "DIR", "root under which clients may name folders; repeatable [none]",
       Arity::kMany,
       [](const std::vector<std::string>& values, ServerOptions* options) {
         options->stores_roots = values;
         return absl::OkStatus();
       }},
      {"insecure-listen-on-all-networks-without-authentication", "",
       "allow addresses that other machines can reach, although anybody there may then read and "
       "write everything",
       Arity::kFlag, ApplyExposure},
      {"redis", "URL", "coordinator of cluster mode; not implemented in this release", Arity::kOne,
       [](const std::vector<std::string>& values, ServerOptions*) {
         return Error(Reason::kUnimplemented,
                      fmt::format("\"{}\": cluster mode is not implemented in this release; leave "
                                  "the option out",
                                  base::Printable(values.back())));
       }},
  };
}

std::vector<Setting> ResourceSettings() {
  return {
      {"memory", "BYTES", "memory that the process keeps to [512MiB]", Arity::kOne, ApplyMemory},
      {"feed-bytes", "BYTES", "changes that a database keeps for Watch [1GiB]", Arity::kOne,
       ApplyFeedBytes},
      {"workers", "N", "threads for long work [twice the processors, at least 4]", Arity::kOne,
       Number(
           [](ServerOptions & o) -> auto& { return o.workers; }, 1, 1'024)},
      {"max-open-transactions", "N", "transactions open at once [10000]", Arity::kOne,
       Number(
           [](ServerOptions & o) -> auto& { return o.limits.open_transactions; }, 1, 1'000'000)},
      {"max-databases", "N", "databases known at once [1024]", Arity::kOne,
       Number(
           [](ServerOptions & o) -> auto& { return o.limits.databases; }, 1, 100'000)},
      {"max-streams", "N", "streams open at once [10000]", Arity::kOne,
       Number(
           [](ServerOptions & o) -> auto& { return o.limits.streams; }, 1, 1'000'000)},
      {"max-requests", "N", "requests worked on at once [64 per processor, at least 128]",
       Arity::kOne,
       Number(
           [](ServerOptions & o) -> auto& { return o.limits.requests_in_flight; }, 1, 1'000'000)},
  };
}

std::vector<Setting> TimeSettings() {
  return {
      {"transaction-idle", "TIME", "how long a transaction may stay unused [60s, at most 1h]",
       Arity::kOne,
       Time(
           [](ServerOptions & o) -> auto& { return o.limits.transaction_idle; },
           absl::Milliseconds(1), absl::Hours(1))},
      {"transaction-duration", "TIME", "how long a transaction may stay open [15min, at most 1h]",
       Arity::kOne,
       Time(
           [](ServerOptions & o) -> auto& { return o.limits.transaction_duration; },
           absl::Milliseconds(1), absl::Hours(1))},
      {"database-idle", "TIME", "an unused database is closed after this long [10min]", Arity::kOne,
       Time(
           [](ServerOptions & o) -> auto& { return o.database_idle; }, absl::Seconds(1),
           absl::Hours(24 * 365))},
      {"feed-age", "TIME", "how long changes are kept for Watch [24h]", Arity::kOne,
       Time(
           [](ServerOptions & o) -> auto& { return o.limits.feed_age; }, absl::Seconds(1),
           absl::Hours(24 * 90))},
      {"drain", "TIME", "how long requests may take to finish after SIGTERM [10s]", Arity::kOne,
       Time(
           [](ServerOptions & o) -> auto& { return o.drain; }, absl::ZeroDuration(),
           absl::Hours(1))},
      {"slow-operation", "TIME", "operations that take this long are logged [1s]", Arity::kOne,
       Time(
           [](ServerOptions & o) -> auto& { return o.slow_operation; }, absl::ZeroDuration(),
           absl::Hours(1))},
      {"log-level", "LEVEL", "debug, info, warning or error [info]", Arity::kOne,
       OneOf<LogLevel>(&ServerOptions::log_level, {{"debug", LogLevel::kDebug},
                                                   {"info", LogLevel::kInfo},
                                                   {"warning", LogLevel::kWarning},
                                                   {"error", LogLevel::kError}})},
      {"log-format", "FORMAT", "text (key=value) or json [text]", Arity::kOne,
       OneOf<LogFormat>(&ServerOptions::log_format,
                        {{"text", LogFormat::kText}, {"json", LogFormat::kJson}})},
  };
}

}  // namespace

const std::vector<Setting>& AllSettings() {
  static const auto& all = *[] {
    auto* settings = new std::vector<Setting>;
    for (auto group : {PlaceSettings(), ResourceSettings(), TimeSettings()}) {
      for (Setting& setting : group) settings->push_back(std::move(setting));
    }
    return settings;
  }();
  return all;
}

std::string EnvironmentName(std::string_view setting) {
  std::string name = "SOPD_";
  for (const char c : setting) {
    name += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  return name;
}

}  // namespace sop::config
