#include "core/catalog/check/check_report.h"

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/utf8.h"

namespace sop::check {
namespace {

std::string FindingJson(const Finding& finding) {
  std::string out =
      fmt::format("{{\"kind\":{},\"store\":{}", JsonString(FindingName(finding.kind)),
                  finding.store.empty() ? std::string("null") : JsonString(finding.store));
  if (finding.tree.has_value()) out += fmt::format(",\"tree\":{}", finding.tree->value);
  out += fmt::format(",\"what\":{}", JsonString(finding.what));
  if (finding.unreadable_items.has_value()) {
    out += fmt::format(
        ",\"unreadable_items\":{},\"low\":{},\"high\":{}", *finding.unreadable_items,
        JsonString(base::Hex(finding.low)),
        finding.high.has_value() ? JsonString(base::Hex(*finding.high)) : std::string("null"));
  }
  return out + "}";
}

}  // namespace

std::string_view FindingName(FindingKind kind) {
  switch (kind) {
    case FindingKind::kFileDamaged:
      return "FILE_DAMAGED";
    case FindingKind::kStorageDamaged:
      return "STORAGE_DAMAGED";
    case FindingKind::kNodeUnreadable:
      return "NODE_UNREADABLE";
    case FindingKind::kNodeMissing:
      return "NODE_MISSING";
    case FindingKind::kNodeOrphan:
      return "NODE_ORPHAN";
    case FindingKind::kKeyOrder:
      return "KEY_ORDER";
    case FindingKind::kCountDiffers:
      return "COUNT_DIFFERS";
    case FindingKind::kSequenceDiffers:
      return "SEQUENCE_DIFFERS";
    case FindingKind::kValueMissing:
      return "VALUE_MISSING";
    case FindingKind::kValueDamaged:
      return "VALUE_DAMAGED";
    case FindingKind::kValueOrphan:
      return "VALUE_ORPHAN";
    case FindingKind::kTreeOrphan:
      return "TREE_ORPHAN";
    case FindingKind::kCatalogDamaged:
      return "CATALOG_DAMAGED";
    case FindingKind::kRowDamaged:
      return "ROW_DAMAGED";
  }
  return "UNKNOWN";
}

void CheckReport::Add(Finding finding) {
  ++finding_count;
  if (findings.size() < kMaxFindings) findings.push_back(std::move(finding));
}

void CheckReport::Append(const CheckReport& other) {
  nodes += other.nodes;
  items += other.items;
  values += other.values;
  files += other.files;
  bytes += other.bytes;
  finding_count += other.finding_count;
  for (const Finding& finding : other.findings) {
    if (findings.size() < kMaxFindings) findings.push_back(finding);
  }
}

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  const std::string clean = base::IsValidUtf8(text) ? std::string(text) : base::Printable(text);
  for (const char c : clean) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string ToJson(const CheckReport& report) {
  std::string out = fmt::format(
      "{{\"sound\":{},\"database_id\":{},\"commit_version\":{},\"stores\":{},\"trees\":{},"
      "\"nodes\":{},\"items\":{},\"values\":{},\"files\":{},\"bytes\":{},\"seconds\":{:.3f},"
      "\"finding_count\":{},\"findings\":[",
      report.sound(), JsonString(report.database_id.ToString()), report.sequence.value,
      report.stores, report.trees, report.nodes, report.items, report.values, report.files,
      report.bytes, absl::ToDoubleSeconds(report.took), report.finding_count);
  for (size_t i = 0; i < report.findings.size(); ++i) {
    if (i > 0) out += ",";
    out += FindingJson(report.findings[i]);
  }
  return out + "]}";
}

std::string ToText(const CheckReport& report) {
  std::string out = fmt::format(
      "database {} at commit {}\n"
      "checked {} stores, {} trees, {} nodes, {} items, {} values, {} files; {} bytes in {:.2f} "
      "s\n",
      report.database_id.ToString(), report.sequence.value, report.stores, report.trees,
      report.nodes, report.items, report.values, report.files, report.bytes,
      absl::ToDoubleSeconds(report.took));
  for (const Finding& finding : report.findings) {
    out += fmt::format(
        "{}: {}{}", FindingName(finding.kind),
        finding.store.empty() ? std::string() : fmt::format("store '{}': ", finding.store),
        finding.what);
    if (finding.unreadable_items.has_value()) {
      out += fmt::format(" ({} items cannot be read)", *finding.unreadable_items);
    }
    out += "\n";
  }
  if (report.finding_count > report.findings.size()) {
    out += fmt::format("... and {} more\n", report.finding_count - report.findings.size());
  }
  out += report.sound() ? "sound\n" : fmt::format("{} problems\n", report.finding_count);
  return out;
}

}  // namespace sop::check
