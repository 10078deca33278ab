#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sop::cli {

enum class Verb {
  kCreate,    // create STORE
  kGet,       // get STORE KEY
  kPut,       // put STORE KEY [VALUE]
  kAdd,       // add STORE KEY [VALUE]: fails if the key is there
  kUpdate,    // update STORE KEY VALUE: fails if it is not
  kChange,    // change STORE KEY [MEMBER] +N|-N: fails if it is not
  kCheck,     // check STORE KEY [MEMBER] >= N, check STORE KEY exists|missing
  kRemove,    // rm STORE KEY: fails if it is not there
  kScan,      // scan STORE [PREFIX]
  kCount,     // count STORE [PREFIX]
  kPause,     // pause SECONDS
  kCommit,    // commit
  kRollback,  // rollback
};

// One step of a script of transactions.
struct ScriptOperation {
  // Which of several transactions; empty for the one that has no name.
  std::string transaction;
  Verb verb = Verb::kGet;
  // Empty for pause, commit and rollback.
  std::string store;
  // What follows, as many as the verb takes.
  std::vector<std::string> arguments;
  // As it was written, without name and comment.
  std::string text;
};

// One line: [NAME:] VERB WORD... (words as in word_splitter.h). nullopt for a line without
// operation; INVALID_ARGUMENT says what the verb takes.
absl::StatusOr<std::optional<ScriptOperation>> ParseOperation(std::string_view line);

}  // namespace sop::cli
