#include "server/rpc/operation/reply_record.h"

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "fmt/format.h"

namespace sop::rpc {

std::string MakeReply(const google::protobuf::Message& response) {
  std::string reply;
  base::AppendLengthPrefixed(&reply, response.GetDescriptor()->full_name());
  if (response.ByteSizeLong() <= kMaxReplyBytes) response.AppendToString(&reply);
  return reply;
}

absl::Status ReadReply(std::string_view reply, google::protobuf::Message* response) {
  base::ByteReader reader(reply);
  std::string_view type;
  if (!reader.GetLengthPrefixed(&type)) {
    return Error(Reason::kDamaged, "the reply kept with an outcome is damaged");
  }
  if (type != response->GetDescriptor()->full_name()) {
    return Error(Reason::kInvalidArgument,
                 fmt::format("request_id was used before, by a call answered with {}",
                             base::Printable(type)),
                 {{"field", "request_id"}});
  }
  const std::string_view rest = reader.rest();
  if (response->ParseFromArray(rest.data(), static_cast<int>(rest.size()))) {
    return absl::OkStatus();
  }
  return Error(Reason::kDamaged, "the reply kept with an outcome is damaged");
}

}  // namespace sop::rpc
