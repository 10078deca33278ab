#pragma once

#include <string>
#include <vector>

namespace sop::cli {

// What was typed into shells, one command a line, in a file that only its owner may read. Several
// shells may add to it at once. What cannot be read or written is not kept: a history is a
// convenience. Confined to its owner.
class HistoryFile {
 public:
  // Commands that are kept when the file has grown to twice as many.
  static constexpr size_t kKept = 1000;

  // `path` empty: nothing is kept.
  explicit HistoryFile(std::string path) : path_(std::move(path)) {}

  // $XDG_STATE_HOME/sop/history, else ~/.local/state/sop/history; empty if neither is known.
  static std::string UsualPath();

  // The oldest first.
  std::vector<std::string> Load() const;
  // A command that begins with a space is not kept.
  void Append(const std::string& command) const;

 private:
  void Shorten(const std::vector<std::string>& commands) const;

  const std::string path_;
};

}  // namespace sop::cli
