#pragma once

#include <istream>
#include <string>

namespace sop::cli {

// Where the lines of a shell come from. Confined to its owner.
class LineSource {
 public:
  enum class Outcome {
    kLine,
    kDropped,  // Ctrl-C: the line and what it would have continued are given up
    kEnd,
  };

  virtual ~LineSource() = default;
  // `line` without its end. `begun`: what of the command was typed before this line.
  virtual Outcome Read(const std::string& prompt, const std::string& begun, std::string* line) = 0;
  // A command that was typed, to be offered again.
  virtual void Remember(const std::string& command) {}
};

// The lines of a stream, without prompts. Confined to its owner.
class StreamLines : public LineSource {
 public:
  // `stream` must outlive this.
  explicit StreamLines(std::istream& stream) : stream_(stream) {}

  Outcome Read(const std::string& prompt, const std::string& begun, std::string* line) override {
    return std::getline(stream_, *line) ? Outcome::kLine : Outcome::kEnd;
  }

 private:
  std::istream& stream_;
};

}  // namespace sop::cli
