#include "core/catalog/check/value_scan.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::check {

absl::Status ValueScan::Run(size_t first, size_t last) {
  next_ = first;
  last_ = last;
  const auto place = [this](size_t index) {
    return persistence::PlaceRange::Place{tree_, referred_[index].value.value_id.value};
  };
  persistence::PlaceRange range;
  range.begin = first == 0 ? persistence::PlaceRange::Place{tree_, 0} : place(first);
  range.end = last == referred_.size() ? persistence::PlaceRange::Place{TreeId{tree_.value + 1}, 0}
                                       : place(last);
  for (;;) {
    const absl::Status scanned =
        snapshot_.ScanValues(range, [this](TreeId, Serial value_id, std::string_view bytes) {
          Visit(value_id, bytes);
          return true;
        });
    if (!scanned.ok() && ReasonOf(scanned) != Reason::kDamaged) return scanned;
    if (scanned.ok()) break;
    if (next_ == last_) {
      Finding finding;
      finding.kind = FindingKind::kValueDamaged;
      finding.store = store_;
      finding.tree = tree_;
      finding.what = std::string(scanned.message());
      report_.Add(std::move(finding));
      return absl::OkStatus();
    }
    const ReferredValue& referred = referred_[next_];
    const auto read = snapshot_.ReadValue(tree_, referred.value.value_id);
    if (read.ok() && read->has_value()) {
      Visit(referred.value.value_id, **read);
    } else {
      ++next_;
      Add(read.ok() ? FindingKind::kValueMissing : FindingKind::kValueDamaged, referred,
          read.ok() ? "it is not there" : std::string(read.status().message()));
    }
    range.begin = {tree_, referred.value.value_id.value + 1};
  }
  while (next_ < last_) {
    Add(FindingKind::kValueMissing, referred_[next_++], "it is not there");
  }
  return absl::OkStatus();
}

void ValueScan::Visit(Serial value_id, std::string_view bytes) {
  while (next_ < last_ && referred_[next_].value.value_id < value_id) {
    Add(FindingKind::kValueMissing, referred_[next_++], "it is not there");
  }
  if (next_ == last_ || referred_[next_].value.value_id != value_id) {
    // Staged for a commit that this state does not have yet.
    if (value_id.value >> kSerialOrdinalBits > snapshot_.sequence().value) return;
    if (IsAfter(value_id.value, snapshot_.sequence())) return;
    Finding finding;
    finding.kind = FindingKind::kValueOrphan;
    finding.store = store_;
    finding.tree = tree_;
    finding.what = fmt::format("no item refers to value {}", value_id.value);
    report_.Add(std::move(finding));
    return;
  }
  ++report_.values;
  report_.bytes += bytes.size();
  const ReferredValue& referred = referred_[next_++];
  if (bytes.size() != referred.value.size) {
    Add(FindingKind::kValueDamaged, referred,
        fmt::format("it has {} bytes instead of {}", bytes.size(), referred.value.size));
  } else if (base::Checksum64(bytes) != referred.value.checksum) {
    Add(FindingKind::kValueDamaged, referred, "its checksum differs");
  }
}

void ValueScan::Add(FindingKind kind, const ReferredValue& referred, std::string_view what) {
  Finding finding;
  finding.kind = kind;
  finding.store = store_;
  finding.tree = tree_;
  finding.what = fmt::format("value {} of leaf {}: {}", referred.value.value_id.value,
                             referred.leaf.value, what);
  report_.Add(std::move(finding));
}

}  // namespace sop::check
