#include "server/convert/id.h"

#include <optional>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/key.h"
#include "fmt/format.h"

namespace sop::convert {
namespace {

constexpr size_t kUuidBytes = 16;
constexpr size_t kVersionBytes = 8;

absl::Status Invalid(std::string_view field, std::string_view problem) {
  return Error(Reason::kInvalidArgument, fmt::format("{} {}", field, problem),
               {{"field", std::string(field)}});
}

}  // namespace

absl::StatusOr<Uuid> UuidFromProto(std::string_view field, const std::string& bytes) {
  if (bytes.empty()) return Uuid{};
  if (bytes.size() != kUuidBytes) {
    return Invalid(field, fmt::format("has {} bytes, must have {}", bytes.size(), kUuidBytes));
  }
  return btree::UuidFromBytes(bytes);
}

absl::StatusOr<Uuid> TokenToUuid(std::string_view field, const std::string& token) {
  if (token.empty()) return Uuid{};
  const std::optional<Uuid> id = Uuid::Parse(token);
  if (id.has_value()) return *id;
  return Invalid(field,
                 fmt::format("\"{}\" is not a token of this server", base::Printable(token)));
}

absl::StatusOr<Uuid> RequestIdFromProto(const std::string& bytes) {
  SOP_ASSIGN_OR_RETURN(const Uuid id, UuidFromProto("request_id", bytes));
  if (!id.IsZero() && ((id.high >> 12) & 0xF) != 7) {
    return Invalid("request_id", fmt::format("{} is not a version 7 uuid", id.ToString()));
  }
  return id;
}

std::string CommitVersion(Sequence sequence) {
  std::string bytes(kVersionBytes, '\0');
  base::StoreBig64(bytes.data(), sequence.value);
  return bytes;
}

absl::StatusOr<Sequence> SequenceFromProto(std::string_view field, const std::string& bytes) {
  if (bytes.empty()) return Sequence{};
  if (bytes.size() != kVersionBytes || base::LoadBig64(bytes.data()) > kMaxSequence) {
    return Invalid(field, fmt::format("\"{}\" is not a commit version of this server",
                                      base::Hex(bytes.substr(0, 16))));
  }
  return Sequence{base::LoadBig64(bytes.data())};
}

absl::StatusOr<btree::ValueFormat> FormatFromProto(v1::ValueFormat format) {
  switch (format) {
    case v1::VALUE_FORMAT_UNSPECIFIED:
    case v1::VALUE_FORMAT_BYTES:
      return btree::ValueFormat::kBytes;
    case v1::VALUE_FORMAT_TEXT:
      return btree::ValueFormat::kText;
    case v1::VALUE_FORMAT_JSON:
      return btree::ValueFormat::kJson;
    default:
      return Error(Reason::kInvalidValue,
                   fmt::format("value format {} does not exist", static_cast<int>(format)),
                   {{"field", "format"}});
  }
}

v1::ValueFormat FormatToProto(btree::ValueFormat format) {
  switch (format) {
    case btree::ValueFormat::kText:
      return v1::VALUE_FORMAT_TEXT;
    case btree::ValueFormat::kJson:
      return v1::VALUE_FORMAT_JSON;
    default:
      return v1::VALUE_FORMAT_BYTES;
  }
}

}  // namespace sop::convert
