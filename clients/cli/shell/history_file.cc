#include "clients/cli/shell/history_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>

namespace sop::cli {

namespace {

// A line end inside a command is "\n" in the file, a backslash "\\".
std::string Escaped(std::string_view command) {
  std::string line;
  for (const char byte : command) {
    if (byte == '\\' || byte == '\n') {
      line.push_back('\\');
    }
    line.push_back(byte == '\n' ? 'n' : byte);
  }
  return line;
}

std::string Unescaped(std::string_view line) {
  std::string command;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\' || i + 1 == line.size()) {
      command.push_back(line[i]);
      continue;
    }
    ++i;
    command.push_back(line[i] == 'n' ? '\n' : line[i]);
  }
  return command;
}

// Appends in one write, so that shells do not mix their lines.
bool Write(const std::string& path, int flags, std::string_view bytes) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, S_IRUSR | S_IWUSR);
  if (file < 0) {
    return false;
  }
  // Also where somebody else made it.
  const bool closed_to_others = fchmod(file, S_IRUSR | S_IWUSR) == 0;
  const bool written = closed_to_others && write(file, bytes.data(), bytes.size()) ==
                                               static_cast<ssize_t>(bytes.size());
  close(file);
  return written;
}

}  // namespace

std::string HistoryFile::UsualPath() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state == '/') {
    return std::string(state) + "/sop/history";
  }
  const char* home = std::getenv("HOME");
  return home != nullptr && *home == '/' ? std::string(home) + "/.local/state/sop/history" : "";
}

std::vector<std::string> HistoryFile::Load() const {
  std::vector<std::string> commands;
  if (path_.empty()) {
    return commands;
  }
  std::ifstream file(path_);
  for (std::string line; std::getline(file, line);) {
    commands.push_back(Unescaped(line));
  }
  if (commands.size() > kKept) {
    const bool long_enough = commands.size() >= 2 * kKept;
    commands.erase(commands.begin(), commands.end() - kKept);
    if (long_enough) {
      Shorten(commands);
    }
  }
  return commands;
}

void HistoryFile::Shorten(const std::vector<std::string>& commands) const {
  std::string lines;
  for (const std::string& command : commands) {
    lines += Escaped(command) + "\n";
  }
  const std::string shorter = path_ + ".shorter";
  std::error_code error;
  if (Write(shorter, O_TRUNC, lines)) {
    std::filesystem::rename(shorter, path_, error);
  } else {
    std::filesystem::remove(shorter, error);
  }
}

void HistoryFile::Append(const std::string& command) const {
  if (path_.empty() || command.empty() || command.front() == ' ') {
    return;
  }
  const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  std::error_code error;
  if (std::filesystem::create_directories(folder, error)) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  Write(path_, O_APPEND, Escaped(command) + "\n");
}

}  // namespace sop::cli
