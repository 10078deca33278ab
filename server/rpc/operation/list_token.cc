#include "server/rpc/operation/list_token.h"

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "fmt/format.h"

namespace sop::rpc {
namespace {

// Tells tokens from anything else that a caller may take for one.
std::string MarkOf(std::string_view list, std::string_view last) {
  return fmt::format("{:08x}", base::Checksum32(fmt::format("{}\n{}", list, last)));
}

}  // namespace

std::string MakeListToken(std::string_view list, std::string_view last) {
  return MarkOf(list, last).append(last);
}

absl::StatusOr<std::string> ReadListToken(std::string_view list, std::string_view token) {
  if (token.empty()) return std::string();
  constexpr size_t kMarkSize = 8;
  if (token.size() > kMarkSize) {
    const std::string_view last = token.substr(kMarkSize);
    if (token.starts_with(MarkOf(list, last))) return std::string(last);
  }
  return Error(Reason::kInvalidArgument,
               fmt::format("page_token {} is not one of ours", base::Printable(token)),
               {{"field", "page_token"}});
}

}  // namespace sop::rpc
