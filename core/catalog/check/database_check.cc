#include "core/catalog/check/database_check.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/status_macros.h"
#include "core/base/thread_pool.h"
#include "core/catalog/check/node_scan.h"
#include "core/catalog/check/row_check.h"
#include "core/catalog/check/tree_outline.h"
#include "core/catalog/check/value_scan.h"

namespace sop::check {
namespace {

// Leaves or values that one task checks: some 64 MiB of full leaves.
constexpr size_t kPart = 4096;

// One tree under check.
struct Tree {
  std::string store;
  TreeOutline outline;
  std::vector<ReferredValue> values;
};

// The check of one snapshot, in three rounds of independent tasks.
class Check {
 public:
  Check(const persistence::StorageSnapshot& snapshot, SnapshotReader& reader,
        const CheckOptions& options, CheckReport* report)
      : snapshot_(snapshot), reader_(reader), options_(options), report_(*report) {}

  absl::Status Run(const std::map<TreeId, std::string>& names) {
    for (const auto& [id, store] : names) {
      auto tree = std::make_unique<Tree>();
      tree->store = store;
      Tree* const kept = tree.get();
      trees_.emplace(id, std::move(tree));
      Plan([this, kept, id = id](CheckReport* report) {
        return kept->outline.Walk(reader_, id, kept->store, report);
      });
    }
    SOP_RETURN_IF_ERROR(RunTasks());
    for (const auto& tree : trees_) PlanNodes(*tree.second);
    SOP_RETURN_IF_ERROR(RunTasks());
    for (const auto& tree : trees_) PlanValues(tree.first, *tree.second);
    return RunTasks();
  }

 private:
  using Task = std::function<absl::Status(CheckReport*)>;

  void Plan(Task task) { tasks_.push_back(std::move(task)); }

  void PlanNodes(Tree& tree) {
    const size_t leaves = tree.outline.leaves().size();
    size_t first = 0;
    do {
      const NodeScan::Part part{first, std::min(leaves, first + kPart)};
      Plan([this, &tree, part](CheckReport* report) -> absl::Status {
        NodeScan scan(reader_, tree.outline, tree.store, report);
        SOP_RETURN_IF_ERROR(scan.Run(part));
        std::vector<ReferredValue> values = scan.TakeValues();
        base::MutexLock lock(mu_);
        tree.values.insert(tree.values.end(), values.begin(), values.end());
        return absl::OkStatus();
      });
      first = part.last;
    } while (first < leaves);
  }

  void PlanValues(TreeId id, Tree& tree) {
    std::sort(tree.values.begin(), tree.values.end(),
              [](const ReferredValue& a, const ReferredValue& b) {
                return a.value.value_id < b.value.value_id;
              });
    size_t first = 0;
    do {
      const size_t last = std::min(tree.values.size(), first + kPart);
      Plan([this, &tree, id, first, last](CheckReport* report) {
        return ValueScan(snapshot_, id, tree.values, tree.store, report).Run(first, last);
      });
      first = last;
    } while (first < tree.values.size());
  }

  absl::Status RunTasks() SOP_EXCLUDES(mu_) {
    std::atomic<size_t> next{0};
    absl::Status failure;
    const auto work = [&] {
      for (size_t i = next++; i < tasks_.size(); i = next++) {
        CheckReport part;
        absl::Status status = options_.wanted ? options_.wanted() : absl::OkStatus();
        if (status.ok()) status = tasks_[i](&part);
        base::MutexLock lock(mu_);
        report_.Append(part);
        if (!status.ok() && failure.ok()) failure = status;
        if (!failure.ok()) next = tasks_.size();
      }
    };
    {
      base::ThreadPool threads(std::max(1, options_.threads));
      for (int i = 0; i < std::max(1, options_.threads); ++i) threads.Schedule(work);
    }
    tasks_.clear();
    return failure;
  }

  const persistence::StorageSnapshot& snapshot_;
  SnapshotReader& reader_;
  const CheckOptions& options_;
  std::map<TreeId, std::unique_ptr<Tree>> trees_;
  std::vector<Task> tasks_;
  base::Mutex mu_;  // report_ and the values of trees, while tasks run
  CheckReport& report_;
};

void AddOrphans(const KnownTrees& known, const std::vector<TreeId>& found, CheckReport* report) {
  for (const TreeId tree : found) {
    if (known.names.contains(tree)) continue;
    Finding finding;
    finding.kind = FindingKind::kTreeOrphan;
    finding.tree = tree;
    finding.what = fmt::format("no store has tree {}", tree.value);
    report->Add(std::move(finding));
  }
}

}  // namespace

absl::StatusOr<std::vector<TreeId>> TreesIn(const persistence::StorageSnapshot& snapshot) {
  std::vector<TreeId> trees;
  persistence::PlaceRange range;
  TreeId found;
  bool any = true;
  const auto visit = [&](TreeId tree) {
    any = true;
    found = tree;
    return false;
  };
  for (const bool values : {false, true}) {
    range.begin = {};
    for (any = true; any;) {
      any = false;
      const absl::Status scanned =
          values ? snapshot.ScanValues(
                       range, [&](TreeId tree, Serial, std::string_view) { return visit(tree); })
                 : snapshot.ScanNodes(
                       range, [&](TreeId tree, NodeId, std::string_view) { return visit(tree); });
      // Damage in the way hides trees behind it here; who owns them is asked as well.
      if (!scanned.ok() && ReasonOf(scanned) != Reason::kDamaged) return scanned;
      if (any) trees.push_back(found);
      if (any && found.value == UINT32_MAX) break;
      range.begin = {TreeId{found.value + 1}, 0};
    }
  }
  std::sort(trees.begin(), trees.end());
  trees.erase(std::unique(trees.begin(), trees.end()), trees.end());
  return trees;
}

absl::StatusOr<CheckReport> CheckDatabase(const persistence::StorageSnapshot& snapshot,
                                          const CheckOptions& options, base::Clock& clock) {
  const absl::Duration began = clock.Monotonic();
  CheckReport report;
  report.sequence = snapshot.sequence();
  absl::Status damage;
  SnapshotReader reader(snapshot, &damage);
  if (!damage.ok()) {
    Finding finding;
    finding.kind = FindingKind::kRowDamaged;
    finding.what = std::string(damage.message());
    report.Add(std::move(finding));
  }
  SOP_ASSIGN_OR_RETURN(const KnownTrees known, ReadCatalog(reader, &report));
  report.stores = known.entries.size();
  report.trees = known.names.size();
  SOP_ASSIGN_OR_RETURN(const std::vector<TreeId> found, TreesIn(snapshot));
  AddOrphans(known, found, &report);
  CheckRows(snapshot, known, &report);
  SOP_RETURN_IF_ERROR(Check(snapshot, reader, options, &report).Run(known.names));
  report.took = clock.Monotonic() - began;
  return report;
}

void AddFiles(const persistence::FileCheck& files, const std::map<TreeId, std::string>& names,
              CheckReport* report) {
  report->files += files.files;
  report->bytes += files.bytes;
  for (const persistence::FileProblem& problem : files.problems) {
    Finding finding;
    finding.kind = FindingKind::kFileDamaged;
    finding.what = fmt::format("{}: {}", problem.file, problem.what);
    for (const TreeId tree : problem.trees) {
      const auto name = names.find(tree);
      if (name == names.end()) continue;
      if (!finding.store.empty()) finding.store += ", ";
      finding.store += name->second;
    }
    if (problem.trees.size() == 1) finding.tree = problem.trees.front();
    report->Add(std::move(finding));
  }
}

absl::StatusOr<CheckReport> CheckStorage(persistence::Storage& storage, const CheckOptions& options,
                                         base::Clock& clock) {
  const absl::Duration began = clock.Monotonic();
  SOP_ASSIGN_OR_RETURN(const auto snapshot, storage.nodes().TakeSnapshot());
  SOP_ASSIGN_OR_RETURN(CheckReport report, CheckDatabase(*snapshot, options, clock));
  report.database_id = storage.database_id();
  if (storage.maintenance() != nullptr) {
    SOP_ASSIGN_OR_RETURN(const persistence::FileCheck files, storage.maintenance()->VerifyFiles());
    absl::Status ignored;
    SnapshotReader reader(*snapshot, &ignored);
    CheckReport again;  // what is wrong with the catalog is in the report already
    SOP_ASSIGN_OR_RETURN(const KnownTrees known, ReadCatalog(reader, &again));
    AddFiles(files, known.names, &report);
  }
  report.took = clock.Monotonic() - began;
  return report;
}

absl::StatusOr<CheckReport> CheckClosed(const Inspector& inspect, const CheckOptions& options,
                                        base::Clock& clock) {
  const auto storage = inspect();
  if (storage.ok()) return CheckStorage(**storage, options, clock);
  if (ReasonOf(storage.status()) != Reason::kDamaged) return storage.status();
  CheckReport report;
  Finding finding;
  finding.kind = FindingKind::kStorageDamaged;
  finding.what = std::string(storage.status().message());
  report.Add(std::move(finding));
  return report;
}

}  // namespace sop::check
