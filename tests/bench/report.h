#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"

namespace sop::bench {

// One slice of ours and the slice of the rival next to it.
struct Pair {
  double ours = 0;
  double rival = 0;
  // Processor seconds of the slices; 0 if they were not taken in this process.
  double our_cpu = 0;
  double rival_cpu = 0;
};

// Runs `slices` slices of each in turn, so that what else the machine does hits both. Who goes
// first changes with every slice. The functions get the slice's number and return a figure.
std::vector<Pair> Alternate(int slices, absl::FunctionRef<double(int)> ours,
                            absl::FunctionRef<double(int)> rival);

// Prints one line of JSON that `table.py` reads: `row` is a key of its budgets.
void Report(std::string_view row, std::string_view unit, const std::vector<Pair>& pairs);

// How long a run takes and on how much it works.
struct Scale {
  std::string folder;         // emptied before each row
  int slices = 5;             // of each side of a row
  double slice_seconds = 1;   // of a slice, on average over both sides
  uint64_t read_items = 0;    // of the rows that read
  uint64_t kill_items = 0;    // there when the process is killed
  uint64_t write_memory = 0;  // bytes, of each side of the rows that write
};

// Groups of rows by name.
using RowGroups = std::map<std::string, std::function<void()>>;

// Measures the groups in `wanted`, or all of them if it is empty. Ends the process with a message
// if there is no group of a name.
void MeasureGroups(const RowGroups& groups, std::vector<std::string> wanted);

// An empty folder for one side of a row.
std::string EmptyFolder(const Scale& scale, std::string_view name);

// Bytes of the files below `folder`.
uint64_t FolderBytes(const std::string& folder);

}  // namespace sop::bench
