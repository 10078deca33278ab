#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace sop::cli {

// JSON whose members keep their order.
using Json = nlohmann::ordered_json;

// nullopt unless `text` is one JSON document, nested at most 500 deep.
std::optional<Json> ParseJson(std::string_view text);

// One line. Bytes that are not UTF-8 are replaced.
std::string JsonText(const Json& json);

// Appends `text`, which must be UTF-8, as a JSON string.
void AppendJsonString(std::string_view text, std::string* out);

}  // namespace sop::cli
