#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/btree/key.h"
#include "core/btree/key_schema.h"
#include "core/btree/packed_page.h"
#include "core/btree/value_format.h"
#include "core/catalog/filter/filter.h"
#include "core/catalog/filter/json_fields.h"

namespace sop::catalog {

// A condition whose field was found in a schema.
struct BoundCondition {
  static constexpr int kInValue = -1;

  // Field of the key, or kInValue.
  int field_number = kInValue;
  btree::SchemaField field;
  // Into the value.
  std::vector<std::string> path;
  FilterOperator op = FilterOperator::kEqual;
  std::vector<Literal> operands;
  // Of a field of the key: the operands as the key has them, empty where the types differ. Without
  // the terminator for kPrefix.
  std::vector<std::string> encoded;
};

// A filter in the terms of one schema. Thread-compatible.
class BoundFilter {
 public:
  // Shared because it is immutable and outlives the request that made it, in scans. Errors of
  // CheckFilter, and naming the field: FIELD_UNKNOWN for a field that the key has not,
  // KEY_TYPE_DIFFERS for an operand that its type does not compare with, INVALID_KEY for one no key
  // has, INVALID_ARGUMENT for one that no JSON has.
  static absl::StatusOr<std::shared_ptr<const BoundFilter>> Bind(const Filter& filter,
                                                                 const btree::KeySchema& schema);

  // Holds every item that the filter lets through: what it says of the leading fields of the key.
  const btree::KeyRange& range() const { return range_; }
  // Where there are several values for a leading field: ranges, disjoint and ascending, that hold
  // every item that it lets through, with gaps between them. Else none.
  const std::vector<btree::KeyRange>& runs() const { return runs_; }
  // It lets all items of runs() through, of which there are some.
  bool is_runs() const { return is_runs_; }
  // It lets all of range() through.
  bool is_range() const { return rest_.kind == Filter::Kind::kAll && rest_.parts.empty(); }
  bool reads_values() const { return rest_.reads_values; }

 private:
  friend class FilterEvaluator;

  struct Part {
    Filter::Kind kind = Filter::Kind::kAll;
    BoundCondition condition;
    // Those that read no value first.
    std::vector<Part> parts;
    bool reads_values = false;
  };

  static absl::StatusOr<Part> BindPart(const Filter& filter, const btree::KeySchema& schema);
  // Moves what the range says from the conditions into it.
  void TakeRange();
  const Part* FindLeading(int field_number, FilterOperator op) const;
  // Makes runs_ of the operands of a kIn on the field behind `leading`.
  void TakeRuns(const BoundCondition& condition, std::string_view leading);

  btree::KeyRange range_;
  std::vector<btree::KeyRange> runs_;
  bool is_runs_ = false;
  // What the range does not say.
  Part rest_;
  // Fields of the order by position.
  std::vector<int> index_;
};

// A value as it is stored.
struct ValueView {
  std::string_view bytes;
  btree::ValueFormat format = btree::ValueFormat::kBytes;
};

// Holds items against a filter, one after another. Confined to its owner.
class FilterEvaluator {
 public:
  explicit FilterEvaluator(std::shared_ptr<const BoundFilter> filter);

  // Gives the value of the item; asked at most once, and only if the answer depends on it.
  using LoadValue = absl::FunctionRef<absl::StatusOr<ValueView>()>;
  // Whether the filter lets the item through. `item.value` is not looked at. DAMAGED if the key
  // does not fit the schema; errors of `load`.
  absl::StatusOr<bool> Matches(const btree::PackedItem& item, LoadValue load);

 private:
  using Part = BoundFilter::Part;

  absl::StatusOr<bool> Holds(const Part& part, const btree::PackedItem& item, LoadValue load);
  absl::StatusOr<bool> KeyHolds(const BoundCondition& condition, const btree::PackedItem& item);
  absl::Status ReadKey(const btree::PackedItem& item);
  absl::StatusOr<bool> ValueHolds(const BoundCondition& condition, LoadValue load);
  absl::Status ReadValue(LoadValue load);
  bool Visit(const BoundCondition& condition, JsonFields::Sink sink);

  const std::shared_ptr<const BoundFilter> filter_;
  JsonFields json_;
  // Of the current item. Fields by number, empty where there is none.
  bool key_is_read_ = false;
  std::array<btree::EncodedField, btree::kMaxKeyFields> fields_;
  std::optional<ValueView> value_;
  bool value_is_json_ = false;
};

}  // namespace sop::catalog
