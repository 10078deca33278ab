#include "clients/cli/text/tx_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace sop::cli {

namespace {

struct VerbForm {
  std::string_view name;
  Verb verb;
  bool takes_store;
  // Words behind the store.
  size_t least;
  size_t most;
  std::string_view usage;
};

constexpr std::array<VerbForm, 13> kVerbs{{
    {"create", Verb::kCreate, true, 0, 0, "create STORE"},
    {"get", Verb::kGet, true, 1, 1, "get STORE KEY"},
    {"put", Verb::kPut, true, 1, 2, "put STORE KEY [VALUE]"},
    {"add", Verb::kAdd, true, 1, 2, "add STORE KEY [VALUE]"},
    {"update", Verb::kUpdate, true, 2, 2, "update STORE KEY VALUE"},
    {"change", Verb::kChange, true, 2, 3, "change STORE KEY [MEMBER] +N|-N"},
    {"check", Verb::kCheck, true, 2, 4,
     "check STORE KEY [MEMBER] ==|!=|<|<=|>|>= N, or check STORE KEY exists|missing"},
    {"rm", Verb::kRemove, true, 1, 1, "rm STORE KEY"},
    {"scan", Verb::kScan, true, 0, 1, "scan STORE [PREFIX]"},
    {"count", Verb::kCount, true, 0, 1, "count STORE [PREFIX]"},
    {"pause", Verb::kPause, false, 1, 1, "pause SECONDS"},
    {"commit", Verb::kCommit, false, 0, 0, "commit"},
    {"rollback", Verb::kRollback, false, 0, 0, "rollback"},
}};

absl::Status Wrong(std::string message) { return Error(Reason::kInvalidArgument, message); }

// Takes words off the front of a line.
class Words {
 public:
  explicit Words(std::string_view rest) : rest_(rest) {}

  // nullopt at the end of the line or at a comment.
  absl::StatusOr<std::optional<std::string>> Next() {
    while (!rest_.empty() && absl::ascii_isspace(rest_.front())) {
      rest_.remove_prefix(1);
    }
    if (rest_.empty() || rest_.front() == '#') {
      return std::optional<std::string>();
    }
    std::string word;
    if (rest_.front() == '{' || rest_.front() == '[') {
      SOP_RETURN_IF_ERROR(TakeJson(&word));
    }
    while (!rest_.empty() && !absl::ascii_isspace(rest_.front())) {
      SOP_RETURN_IF_ERROR(TakePart(&word));
    }
    return std::optional(std::move(word));
  }

  std::string_view rest() const { return rest_; }

 private:
  absl::Status TakePart(std::string* word) {
    const char quote = rest_.front();
    if (quote != '"' && quote != '\'') {
      word->push_back(quote);
      rest_.remove_prefix(1);
      return absl::OkStatus();
    }
    size_t i = 1;
    while (i < rest_.size() && rest_[i] != quote) {
      if (quote == '"' && rest_[i] == '\\' && i + 1 < rest_.size()) {
        ++i;
      }
      word->push_back(rest_[i++]);
    }
    if (i == rest_.size()) {
      return Wrong(
          fmt::format("the quote before \"{}\" is never closed", base::Printable(rest_.substr(1))));
    }
    rest_.remove_prefix(i + 1);
    return absl::OkStatus();
  }

  // Up to the bracket that closes the first one; brackets inside strings do not count.
  absl::Status TakeJson(std::string* word) {
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < rest_.size(); ++i) {
      const char byte = rest_[i];
      if (in_string) {
        i += byte == '\\' ? 1 : 0;
        in_string = byte != '"';
        continue;
      }
      in_string = byte == '"';
      depth += byte == '{' || byte == '[' ? 1 : 0;
      depth -= byte == '}' || byte == ']' ? 1 : 0;
      if (depth == 0) {
        word->append(rest_.substr(0, i + 1));
        rest_.remove_prefix(i + 1);
        return absl::OkStatus();
      }
    }
    return Wrong(fmt::format("\"{}\" lacks a closing bracket", base::Printable(rest_)));
  }

  std::string_view rest_;
};

bool IsName(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](char byte) {
    return absl::ascii_isalnum(byte) || byte == '_' || byte == '-';
  });
}

// Takes "NAME:" off the front of `line`.
std::string TakeTransactionName(std::string_view* line) {
  const size_t colon = line->find(':');
  if (colon == std::string_view::npos || !IsName(line->substr(0, colon))) {
    return {};
  }
  std::string name(line->substr(0, colon));
  line->remove_prefix(colon + 1);
  return name;
}

std::string_view Stripped(std::string_view text) {
  while (!text.empty() && absl::ascii_isspace(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && absl::ascii_isspace(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

absl::StatusOr<const VerbForm*> FindVerb(std::string_view name) {
  const auto* found = std::find_if(kVerbs.begin(), kVerbs.end(),
                                   [name](const VerbForm& form) { return form.name == name; });
  if (found == kVerbs.end()) {
    std::string names;
    for (const VerbForm& form : kVerbs) {
      names += (names.empty() ? "" : ", ") + std::string(form.name);
    }
    return Wrong(fmt::format("\"{}\" is no operation; there are {}", base::Printable(name), names));
  }
  return found;
}

}  // namespace

absl::StatusOr<std::optional<ScriptOperation>> ParseOperation(std::string_view line) {
  line = Stripped(line);
  ScriptOperation operation;
  operation.transaction = TakeTransactionName(&line);
  line = Stripped(line);
  Words words(line);
  SOP_ASSIGN_OR_RETURN(const std::optional<std::string> verb, words.Next());
  if (!verb) {
    if (!operation.transaction.empty()) {
      return Wrong(fmt::format("\"{}:\" lacks an operation", operation.transaction));
    }
    return std::optional<ScriptOperation>();
  }
  SOP_ASSIGN_OR_RETURN(const VerbForm* form, FindVerb(*verb));
  operation.verb = form->verb;
  while (true) {
    SOP_ASSIGN_OR_RETURN(std::optional<std::string> word, words.Next());
    if (!word) {
      break;
    }
    operation.arguments.push_back(*std::move(word));
  }
  operation.text = Stripped(line.substr(0, line.size() - words.rest().size()));
  const size_t given = operation.arguments.size();
  const size_t stores = form->takes_store ? 1 : 0;
  if (given < stores + form->least || given > stores + form->most) {
    return Wrong(fmt::format("\"{}\" should be: {}", base::Printable(operation.text), form->usage));
  }
  if (form->takes_store) {
    operation.store = std::move(operation.arguments.front());
    operation.arguments.erase(operation.arguments.begin());
  }
  return std::optional(std::move(operation));
}

}  // namespace sop::cli
