// What the committer keeps of tokens, so that a repetition is answered and not run.

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/fault/seeded_bug.h"
#include "core/base/status_macros.h"
#include "core/btree/key.h"
#include "core/txn/commit/committer.h"

namespace sop::txn {
namespace {

// Tokens whose time is further ahead are kept as long as there is room for them, but no longer
// missed after that.
constexpr absl::Duration kMostAhead = absl::Hours(1);

}  // namespace

absl::Status Committer::CheckKept(const Uuid& token) const {
  const absl::Time kept_since = options_.clock->Now() - options_.limits.outcome_retention;
  if (token > outcomes_removed_through_ && TokenTime(token) >= kept_since) return absl::OkStatus();
  return Error(Reason::kOutcomeUnknown,
               fmt::format("outcome of {} is no longer kept", token.ToString()),
               {{"token", token.ToString()}});
}

absl::StatusOr<std::optional<Outcome>> Committer::FindOutcome(const Uuid& token) {
  {
    base::MutexLock lock(mu_);
    // One in flight may be published and only not answered yet: its row is looked for too.
    if (!in_flight_.contains(token)) SOP_RETURN_IF_ERROR(CheckKept(token));
  }
  SOP_ASSIGN_OR_RETURN(
      const auto row, published()->storage().ReadRow(persistence::Space::kOutcomes, token.Bytes()));
  if (!row.has_value()) return std::nullopt;
  SOP_ASSIGN_OR_RETURN(Outcome outcome, DecodeOutcome(*row));
  return outcome;
}

absl::StatusOr<std::optional<Outcome>> Committer::EarlierOutcome(const CommitRequest& request) {
  // A transaction's own id cannot have committed before; only request ids come again.
  if (!request.options.token.has_value() || *request.options.token == request.transaction->id()) {
    return std::nullopt;
  }
  if (base::HasSeededBug("apply_token_twice")) return std::nullopt;
  SOP_ASSIGN_OR_RETURN(const auto row,
                       published()->storage().ReadRow(persistence::Space::kOutcomes,
                                                      request.options.token->Bytes()));
  if (!row.has_value()) {
    base::MutexLock lock(mu_);
    SOP_RETURN_IF_ERROR(CheckKept(*request.options.token));
    return std::nullopt;
  }
  SOP_ASSIGN_OR_RETURN(Outcome outcome, DecodeOutcome(*row));
  return outcome;
}

void Committer::AddOutcomeRows(CommitGroup& group) {
  constexpr uint64_t kGroupsBetweenSweeps = 512;
  constexpr size_t kRowsPerSweep = 4096;
  persistence::CommitRecord& record = group.record;
  uint64_t added = 0;
  for (const persistence::RowChange& row : record.rows) {
    if (row.space == persistence::Space::kOutcomes) added += row.key.size() + row.value->size();
  }
  outcome_totals_.bytes += added;
  size_t removed = 0;
  if (++groups_since_sweep_ >= kGroupsBetweenSweeps) {
    groups_since_sweep_ = 0;
    const absl::Time now = options_.clock->Now();
    const absl::Time kept_since = now - options_.limits.outcome_retention;
    const std::string begin = outcome_totals_.removed_through.Bytes();
    (void)published()->storage().ScanRows(
        persistence::Space::kOutcomes, begin, {},
        [&](std::string_view key, std::string_view value) {
          const Uuid token = btree::UuidFromBytes(key);
          if (TokenTime(token) >= kept_since &&
              outcome_totals_.bytes <= options_.limits.outcome_bytes) {
            return false;
          }
          const uint64_t size = key.size() + value.size();
          outcome_totals_.bytes -= std::min(outcome_totals_.bytes, size);
          // A token of tomorrow must not make all of today's look removed.
          if (TokenTime(token) <= now + kMostAhead) outcome_totals_.removed_through = token;
          record.rows.push_back({persistence::Space::kOutcomes, std::string(key), std::nullopt});
          return ++removed < kRowsPerSweep;
        });
    base::MutexLock lock(mu_);
    outcomes_removed_through_ = outcome_totals_.removed_through;
  }
  if (added == 0 && removed == 0) return;
  record.rows.push_back({persistence::Space::kMeta, std::string(kOutcomeTotalsRow),
                         EncodeOutcomeTotals(outcome_totals_)});
}

}  // namespace sop::txn
