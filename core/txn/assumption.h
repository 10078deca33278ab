#pragma once

#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/btree/node/item.h"

namespace sop::txn {

struct TreeSlot;

// The newest state of the database, at a transaction's turn in the commit order, and what the
// transaction may still add to it. Confined to the committer.
class CommitView {
 public:
  virtual ~CommitView() = default;

  // The item as all earlier commits left it.
  virtual absl::StatusOr<std::optional<btree::Item>> Get(TreeId tree, std::string_view key) = 0;
  // Further writes of this transaction; its own Put and Erase of the key are overridden.
  virtual void Put(TreeId tree, std::string_view key, uint8_t format, std::string_view value) = 0;
  virtual void Erase(TreeId tree, std::string_view key) = 0;
  // A tree id never used before.
  virtual TreeId NextTreeId() = 0;
  // Says which tree a ProvisionalTree slot is. The transaction's reads of it are validated against
  // that tree.
  virtual void Bind(TreeSlot slot, TreeId tree) = 0;
  // Everything in `tree` goes with this commit; its space is reclaimed when no snapshot sees it.
  virtual void DropTree(TreeId tree) = 0;
  // The feed of `tree`, which is dropped, ends with this commit; `entry` is the store's last.
  virtual void EndFeed(TreeId tree, std::string_view entry) = 0;
};

// Something that a transaction took for granted and that is settled, in commit order, when it
// commits: "the store `words` exists, or is created with these options". Decided equally by another
// transaction meanwhile, it is adopted; decided otherwise, the commit is ABORTED. Confined to its
// transaction, then to the committer.
class Assumption {
 public:
  virtual ~Assumption() = default;
  // Any error aborts the transaction with that status; what was added to `view` is discarded. May
  // be called again if the commit has to be rebuilt. Must not block.
  virtual absl::Status Settle(CommitView& view) = 0;
};

}  // namespace sop::txn
