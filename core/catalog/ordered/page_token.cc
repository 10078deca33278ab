#include "core/catalog/ordered/page_token.h"

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"

namespace sop::catalog {
namespace {

constexpr uint8_t kFormat = 1;

uint64_t Checksum(const PageTokenScope& scope, std::string_view stored_key) {
  std::string bytes;
  base::AppendLengthPrefixed(&bytes, scope.store);
  base::AppendLengthPrefixed(&bytes, scope.range.begin);
  base::AppendLengthPrefixed(&bytes, scope.range.end);
  bytes.push_back(static_cast<char>(scope.direction));
  base::AppendLengthPrefixed(&bytes, stored_key);
  return base::Checksum64(bytes);
}

}  // namespace

std::string EncodePageToken(const PageTokenScope& scope, std::string_view stored_key) {
  std::string token(1, static_cast<char>(kFormat));
  base::AppendLittle64(&token, Checksum(scope, stored_key));
  token.append(stored_key);
  return token;
}

absl::StatusOr<std::string> DecodePageToken(const PageTokenScope& scope, std::string_view token) {
  base::ByteReader reader(token);
  uint8_t format = 0;
  uint64_t checksum = 0;
  const bool whole = reader.GetByte(&format) && reader.GetLittle64(&checksum);
  const std::string_view stored_key = reader.rest();
  if (!whole || format != kFormat || checksum != Checksum(scope, stored_key) ||
      !scope.range.Contains(stored_key)) {
    return Error(Reason::kInvalidArgument,
                 "page token is not one that an earlier page of this range and direction gave",
                 {{"field", "page_token"}});
  }
  return std::string(stored_key);
}

}  // namespace sop::catalog
