#include "clients/cli/text/item_json.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "core/base/error.h"
#include "core/base/utf8.h"

namespace sop::cli {

namespace {

using btree::ValueFormat;

struct ValueMember {
  const char* name;
  ValueFormat format;
  bool base64;
};

constexpr std::array<ValueMember, 5> kMembers{{{"text", ValueFormat::kText, false},
                                               {"json", ValueFormat::kJson, false},
                                               {"bytes", ValueFormat::kBytes, true},
                                               {"text_bytes", ValueFormat::kText, true},
                                               {"json_bytes", ValueFormat::kJson, true}}};

bool PrintsAsItWas(const Json& json, const std::string& content) {
  return JsonText(json) == content;
}

}  // namespace

void AddValue(const StoredValue& value, Json* item) {
  if (value.content.empty() && value.format == ValueFormat::kBytes) {
    return;
  }
  const bool is_utf8 = base::IsValidUtf8(value.content);
  switch (value.format) {
    case ValueFormat::kJson:
      if (!is_utf8) {
        (*item)["json_bytes"] = absl::Base64Escape(value.content);
      } else if (std::optional<Json> json = ParseJson(value.content);
                 json && PrintsAsItWas(*json, value.content)) {
        (*item)["value"] = *std::move(json);
      } else {
        (*item)["json"] = value.content;
      }
      return;
    case ValueFormat::kText:
      if (is_utf8) {
        (*item)["text"] = value.content;
      } else {
        (*item)["text_bytes"] = absl::Base64Escape(value.content);
      }
      return;
    case ValueFormat::kBytes:
      break;
  }
  (*item)["bytes"] = absl::Base64Escape(value.content);
}

absl::StatusOr<StoredValue> ValueFromJson(const Json& item) {
  if (const auto value = item.find("value"); value != item.end()) {
    return StoredValue{JsonText(*value), ValueFormat::kJson};
  }
  for (const ValueMember& member : kMembers) {
    const auto found = item.find(member.name);
    if (found == item.end()) {
      continue;
    }
    StoredValue value{.content = {}, .format = member.format};
    bool good = found->is_string();
    if (good && member.base64) {
      good = absl::Base64Unescape(found->get_ref<const std::string&>(), &value.content);
    } else if (good) {
      value.content = found->get<std::string>();
    }
    if (!good) {
      return Error(Reason::kInvalidArgument,
                   fmt::format("member \"{}\" is not {}", member.name,
                               member.base64 ? "base64 in a string" : "a string"));
    }
    return value;
  }
  return StoredValue{};
}

StoredValue GuessFormat(std::string content) {
  if (!base::IsValidUtf8(content)) {
    return {std::move(content), ValueFormat::kBytes};
  }
  const bool is_json = ParseJson(content).has_value();
  return {std::move(content), is_json ? ValueFormat::kJson : ValueFormat::kText};
}

std::string PrintableLine(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  const bool is_utf8 = base::IsValidUtf8(text);
  for (const char byte : text) {
    const auto code = static_cast<unsigned char>(byte);
    if (byte == '\n') {
      line += "\\n";
    } else if (byte == '\t') {
      line += "\\t";
    } else if (code < 0x20 || code == 0x7f || (!is_utf8 && code >= 0x80)) {
      fmt::format_to(std::back_inserter(line), "\\x{:02x}", code);
    } else {
      line.push_back(byte);
    }
  }
  return line;
}

}  // namespace sop::cli
