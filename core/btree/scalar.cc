#include "core/btree/scalar.h"

#include <array>
#include <bit>
#include <cmath>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/utf8.h"
#include "core/btree/limits.h"

namespace sop::btree {
namespace {

constexpr uint64_t kSignBit = uint64_t{1} << 63;
constexpr char kEscape = '\0';
constexpr char kEscapedZero = '\xff';
constexpr char kTerminator = '\x01';

struct TypeRow {
  ScalarType type;
  std::string_view name;
};

// In the order of the alternatives of Scalar.
constexpr std::array kTypes = {
    TypeRow{ScalarType::kBool, "bool"},           TypeRow{ScalarType::kInt64, "int64"},
    TypeRow{ScalarType::kDouble, "double"},       TypeRow{ScalarType::kString, "string"},
    TypeRow{ScalarType::kBytes, "bytes"},         TypeRow{ScalarType::kUuid, "uuid"},
    TypeRow{ScalarType::kTimestamp, "timestamp"},
};
static_assert(kTypes.size() == std::variant_size_v<Scalar>);

uint64_t OrderedInteger(int64_t v) { return static_cast<uint64_t>(v) ^ kSignBit; }
int64_t IntegerOfOrdered(uint64_t ordered) { return static_cast<int64_t>(ordered ^ kSignBit); }

// REQUIRES: `v` is not NaN.
uint64_t OrderedDouble(double v) {
  const uint64_t bits = std::bit_cast<uint64_t>(v == 0 ? 0.0 : v);
  return (bits & kSignBit) != 0 ? ~bits : bits | kSignBit;
}

double DoubleOfOrdered(uint64_t ordered) {
  return std::bit_cast<double>((ordered & kSignBit) != 0 ? ordered ^ kSignBit : ~ordered);
}

void AppendEscaped(std::string_view bytes, std::string* out) {
  for (size_t zero = bytes.find('\0'); zero != bytes.npos; zero = bytes.find('\0')) {
    out->append(bytes.substr(0, zero));
    out->push_back(kEscape);
    out->push_back(kEscapedZero);
    bytes.remove_prefix(zero + 1);
  }
  out->append(bytes);
  out->push_back(kEscape);
  out->push_back(kTerminator);
}

std::string OfField(std::string_view field) {
  return field.empty() ? "key" : fmt::format("key field '{}'", base::Printable(field));
}

absl::Status CheckText(std::string_view field, std::string_view text, ScalarType type) {
  if (text.size() > kMaxKeySizeBytes) {
    return Error(Reason::kInvalidKey,
                 fmt::format("{} has {} bytes; the limit of an encoded key is {}", OfField(field),
                             text.size(), kMaxKeySizeBytes),
                 {{"field", std::string(field)}, {"limit", fmt::to_string(kMaxKeySizeBytes)}});
  }
  if (type == ScalarType::kString && !base::IsValidUtf8(text)) {
    return Error(Reason::kInvalidKey,
                 fmt::format("{} is a string that is not valid UTF-8: '{}'", OfField(field),
                             base::Printable(text)),
                 {{"field", std::string(field)}});
  }
  return absl::OkStatus();
}

absl::Status CheckScalar(std::string_view field, const Scalar& scalar) {
  if (const auto* text = std::get_if<std::string>(&scalar)) {
    return CheckText(field, *text, ScalarType::kString);
  }
  if (const auto* bytes = std::get_if<Bytes>(&scalar)) {
    return CheckText(field, bytes->value, ScalarType::kBytes);
  }
  if (const auto* number = std::get_if<double>(&scalar); number != nullptr && std::isnan(*number)) {
    return Error(Reason::kInvalidKey, fmt::format("{} is NaN, which has no order", OfField(field)),
                 {{"field", std::string(field)}});
  }
  return absl::OkStatus();
}

struct PayloadWriter {
  std::string* out;

  void operator()(bool v) const { out->push_back(v ? '\1' : '\0'); }
  void operator()(int64_t v) const { base::AppendBigEndian64(out, OrderedInteger(v)); }
  void operator()(double v) const { base::AppendBigEndian64(out, OrderedDouble(v)); }
  void operator()(const std::string& v) const { AppendEscaped(v, out); }
  void operator()(const Bytes& v) const { AppendEscaped(v.value, out); }
  void operator()(const Uuid& v) const {
    base::AppendBigEndian64(out, v.high);
    base::AppendBigEndian64(out, v.low);
  }
  void operator()(const Timestamp& v) const { (*this)(v.nanos); }
};

void Invert(std::string* bytes, size_t from) {
  for (size_t i = from; i < bytes->size(); ++i) (*bytes)[i] = static_cast<char>(~(*bytes)[i]);
}

absl::Status Malformed(std::string_view why, std::string_view rest) {
  return Error(Reason::kInvalidKey,
               fmt::format("encoded key {} at '{}'", why, base::Hex(rest.substr(0, 16))));
}

// The plain bytes of a terminated payload behind the escapes; `flip` is 0xff in a descending field.
std::string Unescape(std::string_view payload, uint8_t flip) {
  std::string out;
  out.reserve(payload.size());
  for (size_t i = 0; i + 2 < payload.size(); ++i) {
    const char c = static_cast<char>(payload[i] ^ flip);
    out.push_back(c);
    if (c == kEscape) ++i;
  }
  return out;
}

// The size of the payload up to and with its terminator.
absl::Status TerminatedSize(std::string_view payload, uint8_t flip, size_t* size) {
  const char zero = static_cast<char>(kEscape ^ flip);
  for (size_t i = payload.find(zero); i != payload.npos; i = payload.find(zero, i + 2)) {
    if (i + 1 == payload.size()) break;
    const char next = static_cast<char>(payload[i + 1] ^ flip);
    if (next == kTerminator) {
      *size = i + 2;
      return absl::OkStatus();
    }
    if (next != kEscapedZero) {
      return Malformed("has a zero byte that is neither escape nor end", payload.substr(i));
    }
  }
  return Malformed("ends inside a string", payload);
}

absl::Status CheckUtf8Payload(std::string_view payload, uint8_t flip) {
  const std::string_view body = payload.substr(0, payload.size() - 2);
  const bool plain = flip == 0 && body.find('\0') == body.npos;
  if (plain ? base::IsValidUtf8(body) : base::IsValidUtf8(Unescape(payload, flip))) {
    return absl::OkStatus();
  }
  return Malformed("has a string that is not valid UTF-8", payload);
}

uint64_t Number(std::string_view payload, uint8_t flip) {
  const uint64_t bits = base::LoadBig64(payload.data());
  return flip != 0 ? ~bits : bits;
}

// Finds the size of the payload and checks what it says.
absl::Status CheckPayload(ScalarType type, std::string_view payload, uint8_t flip, size_t* size) {
  switch (type) {
    case ScalarType::kBool:
      *size = 1;
      break;
    case ScalarType::kInt64:
    case ScalarType::kDouble:
    case ScalarType::kTimestamp:
      *size = 8;
      break;
    case ScalarType::kUuid:
      *size = 16;
      break;
    case ScalarType::kString:
    case ScalarType::kBytes:
      SOP_RETURN_IF_ERROR(TerminatedSize(payload, flip, size));
      return type == ScalarType::kBytes ? absl::OkStatus()
                                        : CheckUtf8Payload(payload.substr(0, *size), flip);
    case ScalarType::kNull:
    default:
      return Malformed(
          fmt::format("has the type code {:#04x}, which is none", static_cast<uint8_t>(type)),
          payload);
  }
  if (payload.size() < *size) {
    return Malformed(fmt::format("ends inside a field of type {}", TypeName(type)), payload);
  }
  if (type == ScalarType::kBool && static_cast<uint8_t>(payload[0] ^ flip) > 1) {
    return Malformed("has a bool that is neither 0 nor 1", payload);
  }
  if (type == ScalarType::kDouble) {
    const uint64_t ordered = Number(payload, flip);
    const double v = DoubleOfOrdered(ordered);
    if (std::isnan(v) || OrderedDouble(v) != ordered) {
      return Malformed("has a double that is NaN or -0.0", payload);
    }
  }
  return absl::OkStatus();
}

}  // namespace

ScalarType TypeOf(const Scalar& scalar) { return kTypes[scalar.index()].type; }

std::string_view TypeName(ScalarType type) {
  for (const TypeRow& row : kTypes) {
    if (row.type == type) return row.name;
  }
  return "unknown";
}

std::optional<ScalarType> TypeNamed(std::string_view name) {
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

std::string Printable(const Scalar& scalar) {
  struct Printer {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(int64_t v) const { return fmt::to_string(v); }
    std::string operator()(double v) const { return fmt::to_string(v); }
    std::string operator()(const std::string& v) const { return base::Printable(v); }
    std::string operator()(const Bytes& v) const { return base::Printable(v.value); }
    std::string operator()(const Uuid& v) const { return v.ToString(); }
    std::string operator()(const Timestamp& v) const { return fmt::format("{} ns", v.nanos); }
  };
  return std::visit(Printer{}, scalar);
}

absl::Status AppendScalar(std::string_view field, const Scalar& scalar, Direction direction,
                          std::string* out) {
  SOP_RETURN_IF_ERROR(CheckScalar(field, scalar));
  const size_t begin = out->size();
  out->push_back(static_cast<char>(TypeOf(scalar)));
  std::visit(PayloadWriter{out}, scalar);
  if (direction == Direction::kDescending) Invert(out, begin);
  return absl::OkStatus();
}

absl::Status TakeField(std::string_view* rest, EncodedField* field) {
  if (rest->empty()) return Malformed("ends before a field", *rest);
  const uint8_t first = static_cast<uint8_t>(rest->front());
  const uint8_t flip = first >= 0x80 ? 0xff : 0;
  const ScalarType type = static_cast<ScalarType>(first ^ flip);
  size_t size = 0;
  SOP_RETURN_IF_ERROR(CheckPayload(type, rest->substr(1), flip, &size));
  field->type = type;
  field->direction = flip != 0 ? Direction::kDescending : Direction::kAscending;
  field->bytes = rest->substr(0, size + 1);
  rest->remove_prefix(size + 1);
  return absl::OkStatus();
}

Scalar DecodeField(const EncodedField& field) {
  const std::string_view payload = field.bytes.substr(1);
  const uint8_t flip = field.direction == Direction::kDescending ? 0xff : 0;
  switch (field.type) {
    case ScalarType::kBool:
      return static_cast<uint8_t>(payload[0] ^ flip) == 1;
    case ScalarType::kInt64:
      return IntegerOfOrdered(Number(payload, flip));
    case ScalarType::kDouble:
      return DoubleOfOrdered(Number(payload, flip));
    case ScalarType::kTimestamp:
      return Timestamp{IntegerOfOrdered(Number(payload, flip))};
    case ScalarType::kUuid:
      return Uuid{Number(payload, flip), Number(payload.substr(8), flip)};
    case ScalarType::kString:
      return Unescape(payload, flip);
    case ScalarType::kBytes:
    default:
      return Bytes{Unescape(payload, flip)};
  }
}

}  // namespace sop::btree
