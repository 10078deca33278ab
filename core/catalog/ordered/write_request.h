#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/string_map.h"
#include "core/catalog/open_store.h"
#include "core/catalog/ordered/key_lookup.h"
#include "core/catalog/ordered_store.h"

namespace sop::catalog {

enum class WriteKind : uint8_t { kAdd, kAddIfNotExists, kUpdate, kUpsert, kUpdateKey, kRemove };

// One request that writes items of a B-tree store. First every item is checked, encoded and held
// against what is there, itself changed by the items before it; only then, when nothing can fail
// the request any more but the disk, the writes are made. Used once. Confined to its StoreSet.
class WriteRequest {
 public:
  // `store` must outlive this.
  WriteRequest(OpenStore& store, WriteKind kind, Require require);

  // See OrderedStore.
  absl::StatusOr<WriteReport> Run(std::span<const WriteItem> items);

 private:
  enum class Effect : uint8_t { kPut, kErase, kSetRideOn };
  struct Step {
    Effect effect = Effect::kPut;
    txn::ChangeKind change = txn::ChangeKind::kStructural;
    std::string stored_key;
    std::string ride_on;
    std::string_view value;
    std::shared_ptr<const txn::StagedValue> staged;
    btree::ValueFormat format = btree::ValueFormat::kBytes;
  };
  // What is under a stored key.
  struct Current {
    std::string stored_key;
    std::string ride_on;
    Sequence version;
  };
  // What this request made of it; nothing if it removed it.
  using Pending = std::optional<Current>;
  using Found = std::optional<btree::Item>;

  bool unique() const { return store_.options().uniqueness == Uniqueness::kUnique; }
  // The kinds that may make items, and so decide a schema.
  bool Adds() const;

  absl::Status CheckItem(const WriteItem& item) const;
  absl::Status CheckValue(const WriteItem& item) const;
  absl::Status ResolveWithoutSchema(std::span<const WriteItem> items);
  // The key; one with fields that are not known yet makes the schema longer.
  absl::StatusOr<btree::EncodedKey> EncodeFor(const WriteItem& item);
  // Null while there is none.
  const btree::KeySchema* schema() const {
    return decided_.has_value() ? &*decided_ : store_.schema();
  }
  txn::ReadMode ReadModeFor(const WriteItem& item) const;
  // Looks for all keys at once where only the keys are asked for, and fills in found_.
  absl::Status FindTogether(std::span<const WriteItem> items,
                            std::span<const btree::EncodedKey> keys);
  // `found`: what FindTogether found; null if it did not look.
  absl::Status Resolve(const WriteItem& item, const btree::EncodedKey& encoded, Found* found);
  absl::StatusOr<std::optional<Current>> Locate(const WriteItem& item, std::string_view key,
                                                Found* together);
  absl::StatusOr<bool> HasValue(const WriteItem& item, btree::Item& found) const;
  absl::Status CheckVersion(const WriteItem& item, const std::optional<Current>& current) const;
  absl::Status Absent(const WriteItem& item, const btree::EncodedKey& encoded);
  absl::Status Present(const WriteItem& item, const btree::EncodedKey& encoded, Current current);
  absl::Status PatchKey(const WriteItem& item, Current current);
  void PlanAddition(const WriteItem& item, const btree::EncodedKey& encoded);
  void Remember(Current current);
  // Adds an outcome to the report; the error of a request that asked for another one.
  absl::Status Report(const WriteItem& item, WriteOutcome outcome, std::string_view stored_key);

  absl::Status CheckLimits() const;
  absl::Status Apply();

  OpenStore& store_;
  const WriteKind kind_;
  const Require require_;
  const txn::TreeSlot tree_;
  KeyLookup lookup_;
  // A schema that the request's keys decide or extend, kept only if it succeeds.
  std::optional<btree::KeySchema> decided_;
  // Of several items only: what this request did, by stored key.
  bool remembers_ = false;
  base::StringMap<Pending> pending_;
  // In a store that is not unique: the stored keys of what it added, by encoded key.
  base::StringMap<std::string> added_;
  // By number of item; empty if each is looked for on its own.
  std::vector<Found> found_;
  std::vector<Step> steps_;
  WriteReport report_;
};

}  // namespace sop::catalog
