#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/btree/key_schema.h"
#include "core/btree/packed_page.h"
#include "core/catalog/ordered_store.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "server/load/admission.h"
#include "sop/v1/types.pb.h"

namespace sop::rpc {

// INVALID_ARGUMENT for a content that does not exist.
absl::StatusOr<catalog::ItemContent> ContentFromProto(v1::ItemContent content);
absl::StatusOr<catalog::ScanDirection> DirectionFromProto(v1::Direction direction);

// Decodes one item; `content` says what is set beside id and version.
absl::Status ItemToProto(const btree::KeySchema& schema, catalog::ItemContent content,
                         const btree::PackedItem& item, v1::Item* out);

// Where the items of a read go, within a budget of bytes and as long as there is memory for them:
// into messages or into a packed page. Confined to its owner.
class PageWriter {
 public:
  enum class Form { kItems, kPacked };

  // Whether some of the items are an answer, too.
  enum class Whole { kNotRequired, kRequired };
  // What the answer may hold, and where its memory is taken.
  struct Room {
    int64_t budget_bytes = 0;
    // Null: the owner has taken it.
    load::Admitted* place = nullptr;
    Whole whole = Whole::kNotRequired;
  };
  // `store`, `room.place` and `items` must outlive this; `items` is not touched in the packed form.
  PageWriter(const catalog::OrderedStore& store, catalog::ItemContent content, Form form,
             const Room& room, google::protobuf::RepeatedPtrField<v1::Item>* items);

  // An ItemSink: refuses what does not fit, and everything after a failure.
  bool Append(const btree::PackedItem& item);
  // DAMAGED if an item could not be decoded; OVERLOADED if there was no memory for any, or not for
  // all that are required. Ask it before looking at what refused items led to.
  absl::Status status() const;
  // Bytes of what was appended, roughly.
  int64_t size_bytes() const;
  // The packed page so far; null in the other form.
  btree::PackedPageBuilder* packed() { return packed_.has_value() ? &*packed_ : nullptr; }
  // The packed page; empty in the other form.
  std::string FinishPacked();

 private:
  bool AppendMessage(const btree::PackedItem& item);
  bool TakeMemory(const btree::PackedItem& item);

  const btree::KeySchema* const schema_;
  const catalog::ItemContent content_;
  const Room room_;
  google::protobuf::RepeatedPtrField<v1::Item>* const items_;
  std::optional<btree::PackedPageBuilder> packed_;
  int64_t used_bytes_ = 0;
  int64_t taken_bytes_;
  bool out_of_memory_ = false;
  bool empty_ = true;
  absl::Status status_;
};

}  // namespace sop::rpc
