#include "server/config/load_options.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_split.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "fmt/format.h"
#include "server/config/setting.h"
#include "toml++/toml.h"

namespace sop::config {
namespace {

// What one source says, by the setting's name.
using Values = absl::flat_hash_map<std::string, std::vector<std::string>>;

struct Flags {
  std::optional<std::string> text;
  std::optional<std::string> config_file;
  Values values;
};

absl::StatusOr<Flags> ReadFlags(std::vector<std::string> arguments) {
  CLI::App app{"sopd: transactional B-trees over gRPC", "sopd"};
  Flags flags;
  std::string config_file;
  app.set_version_flag("--version", "sopd 0.1.0");
  CLI::Option* config = app.add_option("--config", config_file, "TOML file with these settings");
  config->type_name("FILE");
  std::vector<CLI::Option*> options;
  // CLI11 writes into these while it parses; their addresses must stay.
  std::vector<std::vector<std::string>> given(AllSettings().size());
  for (size_t i = 0; i < AllSettings().size(); ++i) {
    const Setting& setting = AllSettings()[i];
    const std::string flag = "--" + setting.name;
    if (setting.arity == Arity::kFlag) {
      options.push_back(app.add_flag(flag, setting.help));
      continue;
    }
    CLI::Option* option = app.add_option(flag, given[i], setting.help);
    option->type_name(setting.placeholder)->type_size(1)->allow_extra_args(false);
    if (setting.arity == Arity::kOne) option->expected(1);
    options.push_back(option);
  }
  try {
    std::reverse(arguments.begin(), arguments.end());
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    flags.text = app.help();
  } catch (const CLI::CallForVersion&) {
    flags.text = "sopd 0.1.0\n";
  } catch (const CLI::ParseError& error) {
    return Error(Reason::kInvalidArgument, fmt::format("command line: {}", error.what()));
  }
  if (config->count() > 0) flags.config_file = config_file;
  for (size_t i = 0; i < options.size(); ++i) {
    if (options[i]->count() == 0) continue;
    const bool is_flag = AllSettings()[i].arity == Arity::kFlag;
    flags.values[AllSettings()[i].name] = is_flag ? std::vector<std::string>{"true"} : given[i];
  }
  return flags;
}

Values ReadEnvironment(const Surroundings& surroundings) {
  Values values;
  for (const Setting& setting : AllSettings()) {
    const auto text = surroundings.environment(EnvironmentName(setting.name));
    if (!text.has_value()) continue;
    std::vector<std::string> parts = {*text};
    if (setting.arity == Arity::kMany) parts = absl::StrSplit(*text, ':', absl::SkipEmpty());
    if (!parts.empty()) values[setting.name] = std::move(parts);
  }
  return values;
}

// A TOML scalar as its flag would be written.
std::optional<std::string> ScalarText(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  return std::nullopt;
}

absl::StatusOr<std::vector<std::string>> TomlValues(std::string_view key, const toml::node& node) {
  const absl::Status wrong =
      Error(Reason::kInvalidArgument,
            fmt::format("option {}: must be a text, a whole number, true or false, or a list of "
                        "texts",
                        base::Printable(key)));
  std::vector<std::string> values;
  const toml::array* array = node.as_array();
  if (array == nullptr) {
    const auto text = ScalarText(node);
    if (!text.has_value()) return wrong;
    values.push_back(*text);
    return values;
  }
  for (const toml::node& element : *array) {
    const auto text = ScalarText(element);
    if (!text.has_value()) return wrong;
    values.push_back(*text);
  }
  return values;
}

absl::StatusOr<Values> ReadToml(const std::string& path, const std::string& bytes) {
  toml::table table;
  try {
    table = toml::parse(bytes, path);
  } catch (const toml::parse_error& error) {
    return Error(Reason::kInvalidArgument,
                 fmt::format("line {}: {}", error.source().begin.line, error.description()));
  }
  Values values;
  for (const auto& entry : table) {
    const std::string key(entry.first.str());
    const auto known = std::find_if(AllSettings().begin(), AllSettings().end(),
                                    [&](const Setting& setting) { return setting.name == key; });
    if (known == AllSettings().end()) {
      return Error(Reason::kInvalidArgument,
                   fmt::format("option {} does not exist", base::Printable(key)));
    }
    SOP_ASSIGN_OR_RETURN(values[key], TomlValues(key, entry.second));
    if (known->arity != Arity::kMany && values[key].size() != 1) {
      return Error(Reason::kInvalidArgument, fmt::format("option {} takes one value", key));
    }
  }
  return values;
}

absl::Status Named(const absl::Status& status, const std::string& source) {
  return Error(ReasonOf(status), fmt::format("{}: {}", source, std::string(status.message())),
               DetailsOf(status));
}

absl::Status CheckExposure(const ServerOptions& options) {
  if (options.exposure == Exposure::kAllNetworks) return absl::OkStatus();
  for (const std::string& address : {options.listen, options.http}) {
    if (address == "off" || IsLoopback(address)) continue;
    return Error(Reason::kPermissionDenied,
                 fmt::format("address {} can be reached from other machines, and nobody is "
                             "authenticated yet; listen on 127.0.0.1 or say "
                             "--insecure-listen-on-all-networks-without-authentication",
                             base::Printable(address)));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsLoopback(std::string_view address) {
  const std::string_view host = address.substr(0, address.rfind(':'));
  if (host == "localhost" || host == "[::1]") return true;
  // 127.0.0.0/8, digits and dots only: "127.evil.example" is a name.
  return host.starts_with("127.") &&
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

Surroundings ProcessSurroundings() {
  return {.environment = [](const std::string& name) -> std::optional<std::string> {
            // Read before any thread is started.
            const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe)
            if (value == nullptr) return std::nullopt;
            return std::string(value);
          },
          .read_file = [](const std::string& path) -> absl::StatusOr<std::string> {
            std::ifstream file(path, std::ios::binary);
            std::ostringstream bytes;
            if (!file || !(bytes << file.rdbuf())) {
              return Error(Reason::kInvalidArgument, "cannot be read");
            }
            return bytes.str();
          }};
}

absl::StatusOr<CommandLine> LoadOptions(const std::vector<std::string>& arguments,
                                        const Surroundings& surroundings) {
  SOP_ASSIGN_OR_RETURN(Flags flags, ReadFlags(arguments));
  CommandLine line;
  line.text = flags.text;
  if (line.text.has_value()) return line;

  const Values environment = ReadEnvironment(surroundings);
  if (!flags.config_file.has_value()) flags.config_file = surroundings.environment("SOPD_CONFIG");
  Values toml;
  if (flags.config_file.has_value()) {
    const std::string source = "config file " + base::Printable(*flags.config_file);
    auto bytes = surroundings.read_file(*flags.config_file);
    if (!bytes.ok()) return Named(bytes.status(), source);
    auto read = ReadToml(*flags.config_file, *bytes);
    if (!read.ok()) return Named(read.status(), source);
    toml = *std::move(read);
  }

  for (const Setting& setting : AllSettings()) {
    const std::pair<const Values*, std::string> sources[] = {
        {&flags.values, "option --" + setting.name},
        {&environment, "environment " + EnvironmentName(setting.name)},
        {&toml, "config file option " + setting.name}};
    for (const auto& source : sources) {
      const auto found = source.first->find(setting.name);
      if (found == source.first->end()) continue;
      const absl::Status applied = setting.apply(found->second, &line.options);
      if (!applied.ok()) return Named(applied, source.second);
      break;
    }
  }
  if (line.options.workers == 0) {
    line.options.workers = std::max<int64_t>(4, 2 * std::thread::hardware_concurrency());
  }
  SOP_RETURN_IF_ERROR(CheckExposure(line.options));
  return line;
}

}  // namespace sop::config
