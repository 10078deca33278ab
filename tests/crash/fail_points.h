#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace sop::crash {

// Every FailPoint() of the engine and of storage/rocksdb. A life that passes one that is not here,
// or never passes one that is, fails the test: the list is what was tested.
inline constexpr std::array<std::string_view, 42> kFailPoints = {
    "create.identity",  "create.format",    "open.entered",    "open.rocksdb",
    "open.recovered",   "open.done",        "start.read",      "commit.submit",
    "commit.validate",  "commit.validated", "commit.built",    "commit.installed",
    "commit.append",    "storage.write",    "storage.written", "commit.appended",
    "publish.snapshot", "commit.published", "commit.answer",   "commit.answered",
    "split.leaf",       "split.divided",    "split.root",      "merge.nodes",
    "merge.merged",     "merge.root",       "fold.build",      "fold.node",
    "fold.built",       "fold.appended",    "fold.drop",       "flush.begin",
    "flush.done",       "compaction.begin", "compaction.done", "close.committer",
    "close.storage",    "close.closed",     "stage.begin",     "stage.pending",
    "stage.staged",     "open.sweep"};

constexpr size_t FailPointIndex(std::string_view name) {
  return static_cast<size_t>(std::find(kFailPoints.begin(), kFailPoints.end(), name) -
                             kFailPoints.begin());
}

}  // namespace sop::crash
