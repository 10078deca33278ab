#include "core/catalog/filter/json_fields.h"

#include <simdjson.h>

#include <cstring>
#include <optional>
#include <vector>

namespace sop::catalog {
namespace {

namespace ondemand = simdjson::ondemand;

// The text behind an opening quote, in place; nothing if it holds escapes. The parser has seen to
// it that it is closed.
std::optional<std::string_view> PlainText(const char* begin) {
  const char* at = begin;
  while (*at != '"' && *at != '\\') ++at;
  if (*at == '\\') return std::nullopt;
  return std::string_view(begin, static_cast<size_t>(at - begin));
}

std::optional<std::string_view> PlainText(ondemand::value& value) {
  return PlainText(value.raw_json_token().data() + 1);
}

std::optional<std::string_view> PlainText(ondemand::document& document) {
  std::string_view token;
  if (document.raw_json_token().get(token) != simdjson::SUCCESS) return std::nullopt;
  return PlainText(token.data() + 1);
}

bool HasName(ondemand::field& field, std::string_view name) {
  if (const auto plain = PlainText(field.key().raw()); plain.has_value()) return *plain == name;
  std::string_view unescaped;
  return field.unescaped_key().get(unescaped) == simdjson::SUCCESS && unescaped == name;
}

// `From` is a value, or a document that is a scalar.
template <typename From>
FoundValue NumberOf(From& from) {
  int64_t whole = 0;
  if (from.get_int64().get(whole) == simdjson::SUCCESS) return Number(whole);
  uint64_t large = 0;
  if (from.get_uint64().get(large) == simdjson::SUCCESS) return Number(large);
  double real = 0;
  if (from.get_double().get(real) == simdjson::SUCCESS) return Number(real);
  return Unordered();
}

// Nothing if it is malformed.
template <typename From>
std::optional<FoundValue> ScalarOf(From& from, ondemand::json_type type) {
  switch (type) {
    case ondemand::json_type::number:
      return NumberOf(from);
    case ondemand::json_type::boolean: {
      bool truth = false;
      if (from.get_bool().get(truth) != simdjson::SUCCESS) return std::nullopt;
      return FoundValue(truth);
    }
    case ondemand::json_type::null: {
      bool is_null = false;
      if (from.is_null().get(is_null) != simdjson::SUCCESS || !is_null) return std::nullopt;
      return FoundValue();
    }
    case ondemand::json_type::string: {
      if (const auto plain = PlainText(from); plain.has_value()) return FoundValue(*plain);
      std::string_view unescaped;
      if (from.get_string().get(unescaped) != simdjson::SUCCESS) return std::nullopt;
      return FoundValue(unescaped);
    }
    default:
      return FoundValue(Unordered());
  }
}

}  // namespace

struct JsonFields::Parser {
  ondemand::parser parser;
  std::vector<char> buffer;
  ondemand::document document;
  size_t size = 0;
  bool is_open = false;

  // Begins with what is in the buffer, or again with it.
  bool Iterate() {
    const simdjson::padded_string_view view(buffer.data(), size, buffer.size());
    is_open = parser.iterate(view).get(document) == simdjson::SUCCESS;
    return is_open;
  }

  // One path in one document.
  struct Walk {
    std::span<const std::string> path;
    Sink sink;
    bool found = false;
    // The sink has enough, or the rest cannot be read.
    bool stopped = false;

    void Hand(const FoundValue& value) {
      found = true;
      stopped = sink(value);
    }
  };

  template <typename From>
  static void HandScalar(From& from, ondemand::json_type type, Walk* walk) {
    const std::optional<FoundValue> scalar = ScalarOf(from, type);
    if (scalar.has_value()) return walk->Hand(*scalar);
    walk->stopped = true;
  }

  static void InArray(ondemand::array array, size_t depth, Walk* walk) {
    if (depth == walk->path.size()) walk->found = true;
    for (auto element : array) {
      ondemand::value value;
      ondemand::json_type type{};
      if (element.get(value) != simdjson::SUCCESS || value.type().get(type) != simdjson::SUCCESS) {
        walk->stopped = true;
        return;
      }
      // Arrays in arrays are not looked into.
      const bool nested = type == ondemand::json_type::array;
      if (depth == walk->path.size()) {
        if (nested || type == ondemand::json_type::object) {
          walk->Hand(Unordered());
        } else {
          HandScalar(value, type, walk);
        }
      } else if (!nested) {
        At(value, type, depth, walk);
      }
      if (walk->stopped) return;
    }
  }

  static void InObject(ondemand::object object, size_t depth, Walk* walk) {
    for (auto member : object) {
      ondemand::field field;
      if (std::move(member).get(field) != simdjson::SUCCESS) {
        walk->stopped = true;
        return;
      }
      if (!HasName(field, walk->path[depth])) continue;
      ondemand::json_type type{};
      if (field.value().type().get(type) != simdjson::SUCCESS) {
        walk->stopped = true;
        return;
      }
      At(field.value(), type, depth + 1, walk);
      return;
    }
  }

  static void At(ondemand::value value, ondemand::json_type type, size_t depth, Walk* walk) {
    if (type == ondemand::json_type::array) {
      ondemand::array array;
      if (value.get_array().get(array) == simdjson::SUCCESS) InArray(array, depth, walk);
    } else if (depth == walk->path.size()) {
      if (type == ondemand::json_type::object) return walk->Hand(Unordered());
      HandScalar(value, type, walk);
    } else if (type == ondemand::json_type::object) {
      ondemand::object object;
      if (value.get_object().get(object) == simdjson::SUCCESS) InObject(object, depth, walk);
    }
  }
};

JsonFields::JsonFields() : parser_(std::make_unique<Parser>()) {}

JsonFields::~JsonFields() = default;

bool JsonFields::Open(std::string_view text) {
  std::vector<char>& buffer = parser_->buffer;
  const size_t needed = text.size() + simdjson::SIMDJSON_PADDING;
  if (buffer.size() < needed) buffer.resize(needed);
  if (!text.empty()) std::memcpy(buffer.data(), text.data(), text.size());
  std::memset(buffer.data() + text.size(), ' ', simdjson::SIMDJSON_PADDING);
  parser_->size = text.size();
  return parser_->Iterate();
}

bool JsonFields::Visit(std::span<const std::string> path, Sink sink) {
  if (!parser_->is_open) return false;
  ondemand::document& document = parser_->document;
  // A walk that met damage has taken the document from its parser.
  if (document.is_alive()) {
    document.rewind();
  } else if (!parser_->Iterate()) {
    return false;
  }
  Parser::Walk walk{.path = path, .sink = sink};
  ondemand::json_type type{};
  if (document.type().get(type) != simdjson::SUCCESS) return false;
  if (type == ondemand::json_type::array || type == ondemand::json_type::object) {
    ondemand::value value;
    if (document.get_value().get(value) == simdjson::SUCCESS) Parser::At(value, type, 0, &walk);
  } else if (path.empty()) {
    Parser::HandScalar(document, type, &walk);
  }
  return walk.found;
}

}  // namespace sop::catalog
