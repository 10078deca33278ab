#include "clients/cli/text/tx_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "clients/cli/text/word_splitter.h"
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
  WordSplitter words(line);
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
