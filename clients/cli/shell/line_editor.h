#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "clients/cli/shell/completion.h"
#include "clients/cli/shell/history_file.h"
#include "clients/cli/shell/line_source.h"

struct editline;
struct history;

namespace sop::cli {

// Lines that a user types at a terminal (stdin and stdout), edited with libedit: history,
// completion with the Tab key, Ctrl-C to give a line up, the user's own ~/.editrc. Confined to its
// owner.
class LineEditor : public LineSource {
 public:
  // What may stand at the end of a text.
  using Completer = std::function<Completion(std::string_view text)>;

  LineEditor(HistoryFile file, Completer completer);
  ~LineEditor() override;

  Outcome Read(const std::string& prompt, const std::string& begun, std::string* line) override;
  void Remember(const std::string& command) override;

 private:
  static LineEditor& Of(editline* editor);
  static char* Prompt(editline* editor);
  static unsigned char OnTab(editline* editor, int key);
  static unsigned char OnInterrupt(editline* editor, int key);
  unsigned char Complete();
  void Enter(const std::string& command);

  const HistoryFile file_;
  const Completer completer_;
  editline* const editor_;
  history* const history_;
  std::string prompt_;
  std::string begun_;
  bool interrupted_ = false;
};

}  // namespace sop::cli
