#include "clients/cli/shell/line_editor.h"

#include <histedit.h>
#include <langinfo.h>

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <utility>

namespace sop::cli {

namespace {

constexpr int kHistorySize = static_cast<int>(HistoryFile::kKept);
// Candidates that are listed; of more only the number is said.
constexpr size_t kMostListed = 100;

// libedit counts characters, not bytes.
int Characters(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
  }));
}

// Keys can be characters of more than a byte, whatever the environment says.
void UseUtf8() {
  std::setlocale(LC_CTYPE, "");
  if (std::string_view(nl_langinfo(CODESET)) != "UTF-8") {
    std::setlocale(LC_CTYPE, "C.UTF-8");
  }
}

void List(const std::vector<std::string>& candidates) {
  std::string lines = "\n";
  for (size_t i = 0; i < std::min(candidates.size(), kMostListed); ++i) {
    lines += candidates[i] + "  ";
  }
  if (candidates.size() > kMostListed) {
    lines += "and " + std::to_string(candidates.size() - kMostListed) + " more";
  }
  std::fputs((lines + "\n").c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace

LineEditor::LineEditor(HistoryFile file, Completer completer)
    : file_(std::move(file)),
      completer_(std::move(completer)),
      editor_((UseUtf8(), el_init("sop", stdin, stdout, stderr))),
      history_(history_init()) {
  HistEvent event;
  history(history_, &event, H_SETSIZE, kHistorySize);
  history(history_, &event, H_SETUNIQUE, 1);
  el_set(editor_, EL_CLIENTDATA, this);
  el_set(editor_, EL_PROMPT, &LineEditor::Prompt);
  el_set(editor_, EL_EDITOR, "emacs");
  el_set(editor_, EL_SIGNAL, 1);
  el_set(editor_, EL_HIST, history, history_);
  el_source(editor_, nullptr);
  el_set(editor_, EL_ADDFN, "sop-complete", "Complete the word", &LineEditor::OnTab);
  el_set(editor_, EL_ADDFN, "sop-interrupt", "Give the line up", &LineEditor::OnInterrupt);
  el_set(editor_, EL_BIND, "^I", "sop-complete", nullptr);
  // While a line is edited Ctrl-C is a key and no signal.
  el_set(editor_, EL_SETTY, "-d", "-isig", nullptr);
  el_set(editor_, EL_BIND, "^C", "sop-interrupt", nullptr);
  for (const std::string& command : file_.Load()) {
    Enter(command);
  }
}

LineEditor::~LineEditor() {
  el_end(editor_);
  history_end(history_);
}

void LineEditor::Enter(const std::string& command) {
  HistEvent event;
  history(history_, &event, H_ENTER, command.c_str());
}

void LineEditor::Remember(const std::string& command) {
  if (command.find_first_not_of(" \t\n") == std::string::npos) {
    return;
  }
  Enter(command);
  file_.Append(command);
}

LineSource::Outcome LineEditor::Read(const std::string& prompt, const std::string& begun,
                                     std::string* line) {
  prompt_ = prompt;
  begun_ = begun;
  interrupted_ = false;
  int count = 0;
  // Before the prompt: el_gets would print that first, and a Ctrl-D or Ctrl-C typed in between
  // would be the terminal's.
  el_set(editor_, EL_PREP_TERM, 1);
  const char* typed = el_gets(editor_, &count);
  if (interrupted_) {
    std::fputs("^C\n", stdout);
    std::fflush(stdout);
    return Outcome::kDropped;
  }
  if (typed == nullptr || count <= 0) {
    std::fputs("\n", stdout);
    std::fflush(stdout);
    return Outcome::kEnd;
  }
  *line = typed;
  if (line->ends_with('\n')) {
    line->pop_back();
  }
  return Outcome::kLine;
}

LineEditor& LineEditor::Of(editline* editor) {
  void* self = nullptr;
  el_get(editor, EL_CLIENTDATA, &self);
  return *static_cast<LineEditor*>(self);
}

char* LineEditor::Prompt(editline* editor) { return Of(editor).prompt_.data(); }

unsigned char LineEditor::OnInterrupt(editline* editor, int /*key*/) {
  Of(editor).interrupted_ = true;
  return CC_NEWLINE;
}

unsigned char LineEditor::OnTab(editline* editor, int /*key*/) { return Of(editor).Complete(); }

unsigned char LineEditor::Complete() {
  const LineInfo* line = el_line(editor_);
  const std::string text = begun_ + std::string(line->buffer, line->cursor);
  const Completion completion = completer_(text);
  if (completion.candidates.empty() || completion.begin < begun_.size()) {
    return CC_ERROR;
  }
  const std::string typed = text.substr(completion.begin);
  std::string start = completion.SharedStart();
  const bool decided = completion.candidates.size() == 1;
  if (decided && !start.ends_with('/')) {
    start.push_back(' ');
  }
  if (!decided && start.size() <= typed.size()) {
    List(completion.candidates);
    return CC_REDISPLAY;
  }
  el_deletestr(editor_, Characters(typed));
  return el_insertstr(editor_, start.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
}

}  // namespace sop::cli
