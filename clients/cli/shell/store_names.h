#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "clients/cli/session/session.h"

namespace sop::cli {

// The names of the stores of the shell's database, for completion: asked of the server, with little
// patience, and kept for a moment. Confined to its owner.
class StoreNames {
 public:
  // `session` must outlive this.
  explicit StoreNames(Session& session) : session_(session) {}

  // Those of the transaction that is open, if one is; none if the server does not answer in time.
  const std::vector<std::string>& Get();
  // What was kept is asked for again.
  void Forget() { asked_at_ = absl::InfinitePast(); }

 private:
  Session& session_;
  // Its own, with a time limit of its own.
  std::unique_ptr<Connection> connection_;
  std::vector<std::string> names_;
  absl::Time asked_at_ = absl::InfinitePast();
};

}  // namespace sop::cli
