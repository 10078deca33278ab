#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "clients/cli/session/session.h"

namespace sop::cli {

// A transaction of the server. Rolled back when it goes unless it was committed. Confined to its
// owner.
class OpenTransaction {
 public:
  struct Options {
    v1::TransactionMode mode = v1::TRANSACTION_MODE_READ_WRITE;
    v1::Isolation isolation = v1::ISOLATION_SERIALIZABLE;
    absl::Duration max_duration = absl::Minutes(15);
    absl::Duration idle_limit = absl::Minutes(1);
  };

  // `session` must outlive the result.
  static absl::StatusOr<std::unique_ptr<OpenTransaction>> Begin(Session& session,
                                                                const Options& options);
  // The transaction of the shell that the session is part of, if there is one; then Commit and
  // Rollback leave it open. Otherwise as Begin.
  static absl::StatusOr<std::unique_ptr<OpenTransaction>> Join(Session& session,
                                                               const Options& options);
  // One that another run has begun and left open.
  static std::unique_ptr<OpenTransaction> Adopt(Session& session, const std::string& id);
  ~OpenTransaction();
  OpenTransaction(const OpenTransaction&) = delete;
  OpenTransaction& operator=(const OpenTransaction&) = delete;

  // 16 bytes.
  const std::string& id() const { return id_; }
  bool joined() const { return joined_; }
  // The commit version, empty if it was joined. Whatever the answer, the transaction has ended for
  // this object.
  absl::StatusOr<std::string> Commit();
  absl::Status Rollback();
  // It stays open, for its idle limit, for somebody who adopts it.
  void Leave() { ended_ = true; }

 private:
  OpenTransaction(Session& session, std::string id) : session_(session), id_(std::move(id)) {}

  Session& session_;
  const std::string id_;
  bool ended_ = false;
  bool joined_ = false;
};

}  // namespace sop::cli
