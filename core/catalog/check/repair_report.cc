#include "core/catalog/check/repair_report.h"

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/catalog/check/check_report.h"

namespace sop::check {

uint64_t RepairReport::lost_items() const {
  uint64_t lost = 0;
  for (const Loss& loss : losses) lost += loss.items.value_or(0);
  return lost;
}

std::string ToJson(const RepairReport& report) {
  std::string out = fmt::format(
      "{{\"repaired\":{},\"database_id\":{},\"commit_version\":{},\"trees\":{},"
      "\"rebuilt_trees\":{},\"items\":{},\"values\":{},\"dropped_orphans\":{},\"lost_items\":{},"
      "\"aside\":{},\"losses\":[",
      !report.aside.empty(), JsonString(report.database_id.ToString()), report.sequence.value,
      report.trees, report.rebuilt_trees, report.items, report.values, report.dropped_orphans,
      report.lost_items(), JsonString(report.aside));
  for (size_t i = 0; i < report.losses.size(); ++i) {
    const Loss& loss = report.losses[i];
    out += fmt::format(
        "{}{{\"store\":{},\"tree\":{},\"low\":{},\"high\":{},\"items\":{},\"what\":{}}}",
        i == 0 ? "" : ",", JsonString(loss.store), loss.tree.value, JsonString(base::Hex(loss.low)),
        loss.high.has_value() ? JsonString(base::Hex(*loss.high)) : std::string("null"),
        loss.items.has_value() ? fmt::format("{}", *loss.items) : std::string("null"),
        JsonString(loss.what));
  }
  return out + "]}";
}

std::string ToText(const RepairReport& report) {
  if (report.aside.empty()) return "sound: nothing to repair\n";
  std::string out = fmt::format(
      "database {} at commit {}\nsaved {} items and {} values in {} trees, {} of them rebuilt; {} "
      "orphans dropped\n",
      report.database_id.ToString(), report.sequence.value, report.items, report.values,
      report.trees, report.rebuilt_trees, report.dropped_orphans);
  for (const Loss& loss : report.losses) {
    out += fmt::format("lost: store '{}': {} with keys from {} up to {}: {}\n", loss.store,
                       loss.items.has_value() ? fmt::format("{} items", *loss.items)
                                              : "an unknown number of items",
                       loss.low.empty() ? "the first" : base::Hex(loss.low),
                       loss.high.has_value() ? base::Hex(*loss.high) : "the last", loss.what);
  }
  return out + fmt::format("{} items lost; the damaged files are kept in {}\n", report.lost_items(),
                           report.aside);
}

}  // namespace sop::check
