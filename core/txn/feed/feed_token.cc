#include "core/txn/feed/feed_token.h"

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"

namespace sop::txn {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kChecksumBytes = 4;

uint32_t ChecksumOf(std::string_view body) { return static_cast<uint32_t>(base::Checksum64(body)); }

bool GetNumber(base::ByteReader& reader, uint32_t* number) {
  uint64_t wide = 0;
  if (!reader.GetVarint(&wide) || wide > UINT32_MAX) return false;
  *number = static_cast<uint32_t>(wide);
  return true;
}

bool Read(std::string_view body, FeedToken* token) {
  base::ByteReader reader(body);
  uint8_t format = 0;
  return reader.GetByte(&format) && format == kFormat && reader.GetBig64(&token->database.high) &&
         reader.GetBig64(&token->database.low) && reader.GetLittle64(&token->timeline) &&
         GetNumber(reader, &token->tree.value) && reader.GetVarint(&token->at.sequence.value) &&
         GetNumber(reader, &token->at.part) && GetNumber(reader, &token->at.index) &&
         reader.empty();
}

}  // namespace

std::string EncodeFeedToken(const FeedToken& token) {
  std::string out;
  out.push_back(static_cast<char>(kFormat));
  out += token.database.Bytes();
  base::AppendLittle64(&out, token.timeline);
  base::AppendVarint(&out, token.tree.value);
  base::AppendVarint(&out, token.at.sequence.value);
  base::AppendVarint(&out, token.at.part);
  base::AppendVarint(&out, token.at.index);
  base::AppendLittle32(&out, ChecksumOf(out));
  return out;
}

absl::StatusOr<FeedToken> DecodeFeedToken(std::string_view bytes) {
  FeedToken token;
  const size_t size = bytes.size() < kChecksumBytes ? 0 : bytes.size() - kChecksumBytes;
  const std::string_view body = bytes.substr(0, size);
  if (size > 0 && base::LoadLittle32(bytes.data() + size) == ChecksumOf(body) &&
      Read(body, &token)) {
    return token;
  }
  return Error(Reason::kInvalidArgument, "position is none that Watch has given",
               {{"field", "position"}});
}

}  // namespace sop::txn
