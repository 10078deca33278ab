#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "core/base/ids.h"
#include "google/protobuf/message.h"

namespace sop::rpc {

// Larger answers are not kept: a repetition then gets the commit version alone.
inline constexpr size_t kMaxReplyBytes = 64 << 10;

// What is kept with the outcome of a request that carries a request_id, so that a repetition is
// answered like the first: the type of the answer and the answer (docs/formats/outcome.md calls it
// the reply).
std::string MakeReply(const google::protobuf::Message& response);

// Fills `response` from what MakeReply kept. INVALID_ARGUMENT if the request_id was used for a call
// of another type; DAMAGED if the bytes are no answer.
absl::Status ReadReply(std::string_view reply, google::protobuf::Message* response);

}  // namespace sop::rpc
