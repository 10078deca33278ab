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
    const Serial expected = Expected();
    const auto read = snapshot_.ReadValue(tree_, expected);
    if (read.ok() && read->has_value()) {
      Take(**read);
    } else if (read.ok()) {
      Missing();
    } else {
      Lose(FindingKind::kValueDamaged, std::string(read.status().message()));
    }
    range.begin = {tree_, expected.value + 1};
  }
  while (next_ < last_) Missing();
  return absl::OkStatus();
}

void ValueScan::Visit(Serial id, std::string_view bytes) {
  if (id < lost_below_) return;
  while (next_ < last_ && Expected() < id) Missing();
  if (id < lost_below_) return;
  if (next_ < last_ && Expected() == id) return Take(bytes);
  // Staged for a commit that this state does not have yet.
  if (IsAfter(id.value, snapshot_.sequence())) return;
  Finding finding;
  finding.kind = FindingKind::kValueOrphan;
  finding.store = store_;
  finding.tree = tree_;
  finding.what = fmt::format("no item refers to value {}", id.value);
  report_.Add(std::move(finding));
}

void ValueScan::Take(std::string_view bytes) {
  const persistence::ValueReference& value = referred_[next_].value;
  report_.bytes += bytes.size();
  if (bytes.size() != value.piece_size(piece_)) {
    return Lose(FindingKind::kValueDamaged, fmt::format("it has {} bytes instead of {}",
                                                        bytes.size(), value.piece_size(piece_)));
  }
  if (value.in_pieces()) {
    if (piece_ == 0) checksum_.Reset();
    checksum_.Add(bytes);
    if (++piece_ < value.pieces()) return;
  }
  ++report_.values;
  piece_ = 0;
  const uint64_t checksum = value.in_pieces() ? checksum_.Value() : base::Checksum64(bytes);
  if (checksum != value.checksum) return Lose(FindingKind::kValueDamaged, "its checksum differs");
  ++next_;
}

void ValueScan::Missing() {
  Lose(FindingKind::kValueMissing,
       piece_ == 0 ? "it is not there" : fmt::format("piece {} is not there", piece_));
}

void ValueScan::Lose(FindingKind kind, std::string_view what) {
  const ReferredValue& referred = referred_[next_++];
  piece_ = 0;
  lost_below_ = Serial{referred.value.value_id.value + referred.value.pieces()};
  Finding finding;
  finding.kind = kind;
  finding.store = store_;
  finding.tree = tree_;
  finding.what = fmt::format("value {} of leaf {}: {}", referred.value.value_id.value,
                             referred.leaf.value, what);
  report_.Add(std::move(finding));
}

}  // namespace sop::check
