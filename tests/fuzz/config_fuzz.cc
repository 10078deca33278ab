// Everything that sopd can be told, by flags, environment and file.
#include <optional>

#include "core/base/check.h"
#include "server/config/load_options.h"
#include "tests/fuzz/fuzz_target.h"

namespace sop::fuzz {
namespace {

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace

std::vector<std::string> Seeds() {
  const std::string file =
      "data = \"/tmp/d\"\nlisten = \"127.0.0.1:0\"\nmemory = \"256MiB\"\nstores-root = [\"/a\"]\n"
      "max-open-transactions = 5\ndrain = \"3s\"\n";
  return {
      AsPiece("--config\nfile") + AsPiece("") + AsPiece(file),
      AsPiece("--data\n/x\n--memory\n128MiB\n--workers=3") + AsPiece("") + AsPiece(""),
      AsPiece("--listen\n0.0.0.0:1") + AsPiece("17.5s") + AsPiece("[a]\nb = {c = 1}\n"),
      AsPiece("--config=f") + AsPiece("/a:/b") + AsPiece("drain = 3\nlog-level = 'debug'\n"),
  };
}

void RunInput(std::string_view input) {
  InputReader reader(input);
  const std::vector<std::string> arguments = Lines(reader.Piece());
  const std::string variable(reader.Piece());
  const std::string file(reader.Piece());
  const config::Surroundings surroundings = {
      .environment = [&](const std::string& name) -> std::optional<std::string> {
        if (variable.empty() || (name.size() + variable.size()) % 3 != 0) return std::nullopt;
        return variable;
      },
      .read_file = [&](const std::string&) -> absl::StatusOr<std::string> { return file; }};
  const auto line = config::LoadOptions(arguments, surroundings);
  if (!line.ok() || line->text.has_value()) return;
  // What is accepted is in range.
  SOP_CHECK(line->options.memory_bytes >= int64_t{64} << 20);
  SOP_CHECK(line->options.workers >= 1 && line->options.workers <= 1024);
  SOP_CHECK(line->options.limits.open_transactions >= 1);
  SOP_CHECK(line->options.exposure == config::Exposure::kAllNetworks ||
            config::IsLoopback(line->options.listen));
}

}  // namespace sop::fuzz
