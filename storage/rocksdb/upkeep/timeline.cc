#include "storage/rocksdb/upkeep/timeline.h"

#include <fmt/format.h>
#include <rocksdb/env.h>

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"

namespace sop::rocksdb_storage {
namespace {

constexpr std::string_view kMagic = "SOPTIME1";
constexpr size_t kSizeBytes = 24;

}  // namespace

std::string TimelinePath(const std::string& folder) { return folder + "/SOP-TIMELINE"; }

std::string EncodeTimeline(uint64_t timeline) {
  std::string bytes(kMagic);
  base::AppendLittle64(&bytes, timeline);
  base::AppendLittle64(&bytes, base::Checksum64(bytes));
  return bytes;
}

absl::StatusOr<uint64_t> DecodeTimeline(const std::string& path, std::string_view bytes) {
  const std::string_view body = bytes.substr(0, kMagic.size() + sizeof(uint64_t));
  if (bytes.size() != kSizeBytes || !bytes.starts_with(kMagic) ||
      base::LoadLittle64(bytes.data() + body.size()) != base::Checksum64(body)) {
    return Error(Reason::kDamaged, fmt::format("{} is damaged", path), {{"file", path}});
  }
  return base::LoadLittle64(bytes.data() + kMagic.size());
}

absl::Status WriteTimeline(const std::string& folder, rocksdb::Env& env, base::FileSystem& files) {
  const uint64_t timeline = base::Checksum64(env.GenerateUniqueId()) | 1;  // never 0
  return files.WriteDurably(TimelinePath(folder), EncodeTimeline(timeline));
}

}  // namespace sop::rocksdb_storage
