#include "server/observe/log.h"

#include <atomic>
#include <memory>

#include "fmt/format.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace sop::observe {
namespace {

// Written once by OpenLog before other threads start.
std::atomic<config::LogFormat> log_format = config::LogFormat::kText;

spdlog::level::level_enum SpdlogLevel(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::kDebug:
      return spdlog::level::debug;
    case config::LogLevel::kInfo:
      return spdlog::level::info;
    case config::LogLevel::kWarning:
      return spdlog::level::warn;
    case config::LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// A JSON string with its quotes. Bytes above 0x7f go through as they are: names are UTF-8.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
  return out;
}

bool IsPlain(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\\' || c == '=') return false;
  }
  return true;
}

}  // namespace

std::string FormatFields(config::LogFormat format, std::string_view event,
                         std::initializer_list<Field> fields) {
  if (format == config::LogFormat::kJson) {
    std::string line = "\"event\":" + Quoted(event);
    for (const Field& field : fields) {
      line += fmt::format(",{}:{}", Quoted(field.first), Quoted(field.second));
    }
    return line;
  }
  std::string line(event);
  for (const Field& field : fields) {
    const std::string value = IsPlain(field.second) ? field.second : Quoted(field.second);
    line += fmt::format(" {}={}", field.first, value);
  }
  return line;
}

void OpenLog(config::LogLevel level, config::LogFormat format) {
  log_format.store(format);
  auto logger =
      std::make_shared<spdlog::logger>("sopd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(SpdlogLevel(level));
  logger->flush_on(spdlog::level::info);
  const std::string pattern = format == config::LogFormat::kJson
                                  ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%fZ\",\"level\":\"%l\",%v}"
                                  : "%Y-%m-%dT%H:%M:%S.%fZ %l %v";
  logger->set_pattern(pattern, spdlog::pattern_time_type::utc);
  spdlog::set_default_logger(std::move(logger));
}

void Log(config::LogLevel level, std::string_view event, std::initializer_list<Field> fields) {
  if (!LogEnabled(level)) return;
  const std::string line = FormatFields(log_format.load(), event, fields);
  // As a string view: the line is not a format.
  spdlog::default_logger_raw()->log(SpdlogLevel(level), spdlog::string_view_t(line));
}

bool LogEnabled(config::LogLevel level) {
  return spdlog::default_logger_raw()->should_log(SpdlogLevel(level));
}

}  // namespace sop::observe
