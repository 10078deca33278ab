#include "core/txn/overlay/spill_space.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "core/txn/overlay/overlay.h"
#include "fmt/format.h"

namespace sop::txn {
namespace {

constexpr std::string_view kSuffix = ".spill";
// What every transaction has, written or not.
constexpr size_t kFirstGrantBytes = 4096;

}  // namespace

SpillSpace::SpillSpace(base::FileSystem& files, std::string folder, std::string name,
                       size_t memory_budget_bytes, base::MemoryCharge charge)
    : files_(files),
      folder_(std::move(folder)),
      name_(std::move(name)),
      memory_budget_bytes_(memory_budget_bytes),
      charge_(std::move(charge)),
      granted_bytes_(std::min(kFirstGrantBytes, memory_budget_bytes)) {
  charge_.Set(static_cast<int64_t>(granted_bytes_));
}

SpillSpace::~SpillSpace() { SOP_CHECK(overlays_.empty()); }

absl::Status SpillSpace::RemoveLeftovers(base::FileSystem& files, const std::string& folder) {
  if (!files.Exists(folder)) return absl::OkStatus();
  SOP_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(folder));
  absl::Status first_error;
  for (const std::string& name : names) {
    if (name.ends_with(kSuffix)) first_error.Update(files.Remove(folder + "/" + name));
  }
  return first_error;
}

void SpillSpace::Register(Overlay* overlay) { overlays_.push_back(overlay); }

void SpillSpace::Unregister(Overlay* overlay) {
  overlays_.erase(std::find(overlays_.begin(), overlays_.end(), overlay));
}

absl::Status SpillSpace::MakeRoom() {
  while (memory_bytes_ > granted_bytes_) {
    const size_t more = std::min(granted_bytes_, memory_budget_bytes_ - granted_bytes_);
    if (more > 0 && charge_.Grow(static_cast<int64_t>(more))) {
      granted_bytes_ += more;
      continue;
    }
    Overlay& largest = **std::max_element(
        overlays_.begin(), overlays_.end(), [](const Overlay* a, const Overlay* b) {
          return a->buffer_memory_bytes() < b->buffer_memory_bytes();
        });
    SOP_RETURN_IF_ERROR(largest.Spill());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SpillFileWriter>> SpillSpace::MakeFile(uint64_t expected_entries) {
  if (!folder_made_) {
    SOP_RETURN_IF_ERROR(files_.MakeFolders(folder_));
    folder_made_ = true;
  }
  return SpillFileWriter::Open(
      files_, fmt::format("{}/{}-{}{}", folder_, name_, next_file_++, kSuffix), expected_entries);
}

}  // namespace sop::txn
