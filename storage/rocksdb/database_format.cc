#include "storage/rocksdb/database_format.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/checksum.h"
#include "core/base/error.h"

namespace sop::rocksdb_storage {
namespace {

constexpr std::string_view kMagic = "SOPFORMT";
constexpr uint32_t kFormatVersion = 1;
// The first release that reads kFormatVersion.
constexpr std::string_view kFormatRelease = "0.1.0";
constexpr size_t kChecksumSize = 8;

absl::Status Damaged(std::string_view path, std::string_view what) {
  return Error(Reason::kDamaged, fmt::format("{}: {}", path, what));
}

absl::Status NotSupported(std::string_view path, std::string_view what, std::string_view release) {
  return Error(Reason::kFormatNotSupported,
               fmt::format("{}: {}; release {} or later can open this folder, this is {}", path,
                           what, base::Printable(release), kRelease),
               {{"release", std::string(release)}});
}

bool IsKnown(const FormatFlag& flag) {
  const std::vector<FormatFlag> known = KnownFlags();
  return std::any_of(known.begin(), known.end(),
                     [&](const FormatFlag& own) { return own.name == flag.name; });
}

bool GetString(base::ByteReader* reader, std::string* text) {
  std::string_view view;
  if (!reader->GetLengthPrefixed(&view)) return false;
  text->assign(view);
  return true;
}

bool GetFields(base::ByteReader* reader, DatabaseFormat* format) {
  uint64_t count;
  if (!reader->GetBig64(&format->database_id.high) || !reader->GetBig64(&format->database_id.low) ||
      !reader->GetVarint(&count) || count > reader->rest().size()) {
    return false;
  }
  for (uint64_t i = 0; i < count; ++i) {
    FormatFlag& flag = format->flags.emplace_back();
    if (!GetString(reader, &flag.name) || !GetString(reader, &flag.release)) return false;
  }
  return GetString(reader, &format->creator) && reader->empty();
}

}  // namespace

std::vector<FormatFlag> KnownFlags() { return {}; }

std::string EncodeFormat(const DatabaseFormat& format) {
  std::string out(kMagic);
  base::AppendLittle32(&out, kFormatVersion);
  base::AppendLengthPrefixed(&out, kFormatRelease);
  out += format.database_id.Bytes();
  base::AppendVarint(&out, format.flags.size());
  for (const FormatFlag& flag : format.flags) {
    base::AppendLengthPrefixed(&out, flag.name);
    base::AppendLengthPrefixed(&out, flag.release);
  }
  base::AppendLengthPrefixed(&out, format.creator);
  base::AppendLittle64(&out, base::Checksum64(out));
  return out;
}

absl::StatusOr<DatabaseFormat> DecodeFormat(std::string_view path, std::string_view bytes) {
  if (bytes.size() < kMagic.size() + kChecksumSize || bytes.substr(0, kMagic.size()) != kMagic) {
    return Damaged(path, "not a format file");
  }
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumSize);
  if (base::Checksum64(body) != base::LoadLittle64(bytes.data() + body.size())) {
    return Damaged(path, "checksum differs");
  }
  base::ByteReader reader(body.substr(kMagic.size()));
  uint32_t version;
  std::string_view release;
  if (!reader.GetLittle32(&version) || !reader.GetLengthPrefixed(&release)) {
    return Damaged(path, "fields are malformed");
  }
  if (version != kFormatVersion) {
    return NotSupported(path, fmt::format("format version {} is unknown", version), release);
  }
  DatabaseFormat format;
  if (!GetFields(&reader, &format)) return Damaged(path, "fields are malformed");
  for (const FormatFlag& flag : format.flags) {
    if (IsKnown(flag)) continue;
    return NotSupported(path, fmt::format("flag \"{}\" is unknown", base::Printable(flag.name)),
                        flag.release);
  }
  return format;
}

}  // namespace sop::rocksdb_storage
