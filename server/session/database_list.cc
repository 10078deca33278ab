#include "server/session/database_list.h"

#include <optional>
#include <sstream>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/name.h"
#include "fmt/format.h"
#include "toml++/toml.h"

namespace sop::session {
namespace {

constexpr int64_t kFormat = 1;

absl::Status Damaged(int64_t line, std::string_view problem) {
  return Error(Reason::kDamaged, fmt::format("list of databases, line {}: {}", line, problem));
}

absl::StatusOr<KnownDatabase> ParseEntry(const toml::node& node) {
  const int64_t line = node.source().begin.line;
  const toml::table* table = node.as_table();
  if (table == nullptr) return Damaged(line, "not a table");
  KnownDatabase known;
  known.name = (*table)["name"].value_or(std::string());
  known.folder = (*table)["folder"].value_or(std::string());
  if (!btree::CheckName("database", known.name).ok()) return Damaged(line, "name is not allowed");
  if (!known.folder.starts_with('/')) return Damaged(line, "folder is not an absolute path");
  const auto uuid = (*table)["uuid"].value_or(std::string("missing"));
  if (uuid.empty()) return known;
  const std::optional<Uuid> parsed = Uuid::Parse(uuid);
  if (!parsed.has_value()) return Damaged(line, "uuid is malformed");
  known.uuid = *parsed;
  return known;
}

}  // namespace

std::string SerializeDatabaseList(const DatabaseList& list) {
  toml::array entries;
  for (const auto& entry : list) {
    const KnownDatabase& known = entry.second;
    entries.push_back(
        toml::table{{"name", known.name},
                    {"folder", known.folder},
                    {"uuid", known.uuid.IsZero() ? std::string() : known.uuid.ToString()}});
  }
  toml::table table;
  table.insert("format", kFormat);
  if (!entries.empty()) table.insert("database", std::move(entries));
  std::ostringstream out;
  out << toml::toml_formatter(table, toml::format_flags::none) << '\n';
  return out.str();
}

absl::StatusOr<DatabaseList> ParseDatabaseList(std::string_view bytes) {
  toml::table table;
  try {
    table = toml::parse(bytes);
  } catch (const toml::parse_error& error) {
    return Damaged(error.source().begin.line, error.description());
  }
  // Exactly: a number that is not whole is not made one.
  const int64_t format = table["format"].value_exact<int64_t>().value_or(0);
  if (format > kFormat) {
    return Error(
        Reason::kFormatNotSupported,
        fmt::format("list of databases has format {}, this release knows {}", format, kFormat));
  }
  if (format < 1) return Damaged(1, "format is missing");
  DatabaseList list;
  const toml::node* entries = table.get("database");
  if (entries == nullptr) return list;
  if (!entries->is_array()) return Damaged(entries->source().begin.line, "not a list");
  for (const toml::node& node : *entries->as_array()) {
    SOP_ASSIGN_OR_RETURN(KnownDatabase known, ParseEntry(node));
    const std::string name = known.name;
    if (!list.emplace(name, std::move(known)).second) {
      return Damaged(node.source().begin.line, "name is there twice");
    }
  }
  return list;
}

}  // namespace sop::session
