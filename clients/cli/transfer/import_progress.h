#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/cli/session/session.h"
#include "clients/cli/transfer/chunk.h"
#include "clients/cli/transfer/import_plan.h"

namespace sop::cli {

// How far an import has come, kept in a store of its own beside the items and written by the same
// transactions (docs/adr/0008): one row for every chunk that was committed, and at the end one for
// the whole input. Confined to one thread but for RowOf and Has.
class ImportProgress {
 public:
  static constexpr char kStore[] = "sop.imports";

  struct Part {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint64_t lines = 0;
    uint64_t items = 0;
    uint64_t malformed = 0;
    uint64_t digest = 0;
    // The row of the whole input.
    bool whole = false;
  };

  // For the import of `plan` into the store with this id, as `flags` say. `session` must outlive
  // this.
  ImportProgress(Session& session, const ImportPlan& plan, const ImportFlags& flags,
                 uint32_t store_id);

  // What earlier runs of the same import have committed, in order; none if there was none.
  absl::StatusOr<std::vector<Part>> Load();
  // Makes the store, if it is not there.
  absl::Status Prepare();
  // Forgets `parts`: the import begins anew.
  absl::Status Forget(const std::vector<Part>& parts);
  // Puts the row of the whole input in the place of those of all `parts`.
  absl::Status Finish(const std::vector<Part>& parts, const Part& whole);

  // The row of a chunk; it cannot be added twice, and so neither can the chunk's items.
  v1::AddRequest RowOf(const Chunk& chunk) const;
  // Whether the row of this very chunk is there.
  absl::StatusOr<bool> Has(const Chunk& chunk) const;

 private:
  void SetKey(uint64_t begin, v1::Key* key) const;
  void AddRow(const Part& part, v1::WriteItem* item) const;

  Session& session_;
  // Of input, store and flags.
  std::string import_;
  const std::string path_;
  const std::string store_;
};

}  // namespace sop::cli
