#include "core/catalog/ordered/write_request.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/utf8.h"

namespace sop::catalog {
namespace {

absl::Status NoUse(std::string_view field, std::string_view why) {
  return Error(Reason::kInvalidArgument, fmt::format("{} was given; {}", field, why),
               {{"field", std::string(field)}});
}

// The outcome that Require::kAll asks for.
WriteOutcome WantedOutcome(WriteKind kind) {
  switch (kind) {
    case WriteKind::kUpdate:
    case WriteKind::kUpdateKey:
      return WriteOutcome::kUpdated;
    case WriteKind::kRemove:
      return WriteOutcome::kRemoved;
    case WriteKind::kAdd:
    case WriteKind::kAddIfNotExists:
    case WriteKind::kUpsert:
      break;
  }
  return WriteOutcome::kAdded;
}

// The fields of a decoded key that ride on.
btree::Record RidingFields(const btree::KeySchema& schema, const btree::Key& key) {
  btree::Record riding;
  for (const btree::NamedScalar& field : std::get<btree::Record>(key).fields) {
    const int number = schema.FieldNumber(field.name);
    const btree::SchemaField& known = schema.fields()[static_cast<size_t>(number)];
    if (known.index_position == btree::SchemaField::kRidesOn) riding.fields.push_back(field);
  }
  return riding;
}

}  // namespace

WriteRequest::WriteRequest(OpenStore& store, WriteKind kind, Require require)
    : store_(store),
      kind_(kind),
      require_(require),
      tree_(store.tree(kItemsRole)),
      lookup_(store) {}

absl::StatusOr<WriteReport> WriteRequest::Run(std::span<const WriteItem> items) {
  if (store_.transaction().mode() == txn::Mode::kReadOnly) return store_.PrepareWrite();
  for (const WriteItem& item : items) SOP_RETURN_IF_ERROR(CheckItem(item));
  if (items.empty()) return report_;
  remembers_ = items.size() > 1;
  steps_.reserve(items.size());
  report_.outcomes.reserve(items.size());
  if (remembers_) pending_.reserve(items.size());
  if (store_.schema() == nullptr && !Adds()) {
    SOP_RETURN_IF_ERROR(ResolveWithoutSchema(items));
    return std::move(report_);
  }
  if (store_.schema() == nullptr) {
    SOP_ASSIGN_OR_RETURN(decided_, SchemaFor(store_.entry(), items.front().key));
  }
  std::vector<btree::EncodedKey> keys;
  keys.reserve(items.size());
  for (const WriteItem& item : items) {
    SOP_ASSIGN_OR_RETURN(btree::EncodedKey encoded, EncodeFor(item));
    keys.push_back(std::move(encoded));
  }
  SOP_RETURN_IF_ERROR(FindTogether(items, keys));
  for (size_t i = 0; i < items.size(); ++i) {
    SOP_RETURN_IF_ERROR(Resolve(items[i], keys[i], found_.empty() ? nullptr : &found_[i]));
  }
  if (!steps_.empty()) SOP_RETURN_IF_ERROR(Apply());
  return std::move(report_);
}

bool WriteRequest::Adds() const {
  return kind_ == WriteKind::kAdd || kind_ == WriteKind::kAddIfNotExists ||
         kind_ == WriteKind::kUpsert;
}

absl::Status WriteRequest::CheckItem(const WriteItem& item) const {
  if (item.item_id.has_value()) {
    if (Adds()) return NoUse("item_id", "additions get one from the server");
    if (unique()) return NoUse("item_id", "items of a store with unique keys have none");
  }
  const bool only_adds = kind_ == WriteKind::kAdd || kind_ == WriteKind::kAddIfNotExists;
  if (item.expected_version.has_value() && only_adds) {
    return NoUse("expected_version", "an addition replaces nothing that could have one");
  }
  if (!item.value.has_value()) return absl::OkStatus();
  if (kind_ == WriteKind::kUpdateKey) return NoUse("value", "a change of keys leaves values alone");
  return CheckValue(item);
}

absl::Status WriteRequest::CheckValue(const WriteItem& item) const {
  const std::string_view value = *item.value;
  if (value.size() > btree::kMaxValueSizeBytes) {
    return Error(Reason::kInvalidValue,
                 fmt::format("value of key {} has {} bytes; the limit is {}", Printable(item.key),
                             value.size(), btree::kMaxValueSizeBytes),
                 {{"limit", fmt::format("{}", btree::kMaxValueSizeBytes)}});
  }
  if (item.format != btree::ValueFormat::kBytes && !base::IsValidUtf8(value)) {
    return Error(Reason::kInvalidValue,
                 fmt::format("value of key {} is text but not valid UTF-8", Printable(item.key)));
  }
  return absl::OkStatus();
}

// Without a schema there is no item that could be changed or removed.
absl::Status WriteRequest::ResolveWithoutSchema(std::span<const WriteItem> items) {
  for (const WriteItem& item : items) {
    SOP_RETURN_IF_ERROR(EncodeForRead(store_, item.key).status());
    SOP_RETURN_IF_ERROR(CheckVersion(item, std::nullopt));
    SOP_RETURN_IF_ERROR(Report(item, WriteOutcome::kNotFound, {}));
  }
  return absl::OkStatus();
}

absl::StatusOr<btree::EncodedKey> WriteRequest::EncodeFor(const WriteItem& item) {
  if (kind_ == WriteKind::kUpdateKey && schema()->form() == btree::KeyForm::kScalar) {
    return Error(Reason::kInvalidKey,
                 fmt::format("store '{}' has scalar keys, on which nothing rides",
                             base::Printable(store_.name())),
                 {{"store", store_.name()}});
  }
  auto encoded = schema()->Encode(item.key);
  const bool extends = ReasonOf(encoded.status()) == Reason::kFieldUnknown &&
                       kind_ != WriteKind::kRemove && store_.HasOpenSchema();
  if (!extends) return encoded;
  // What was encoded by the shorter schema is the same by the longer one.
  SOP_ASSIGN_OR_RETURN(decided_, schema()->ExtendedBy(std::get<btree::Record>(item.key)));
  return schema()->Encode(item.key);
}

// A version or value that was expected is a read of the item; else only of its key.
txn::ReadMode WriteRequest::ReadModeFor(const WriteItem& item) const {
  const bool reads_value =
      item.expected_version.has_value() || (kind_ == WriteKind::kRemove && item.value.has_value());
  return reads_value ? txn::ReadMode::kItem : txn::ReadMode::kKeyOnly;
}

absl::Status WriteRequest::FindTogether(std::span<const WriteItem> items,
                                        std::span<const btree::EncodedKey> keys) {
  if (!unique() || items.size() == 1) return absl::OkStatus();
  std::vector<std::string_view> stored_keys;
  stored_keys.reserve(keys.size());
  for (size_t i = 0; i < items.size(); ++i) {
    if (ReadModeFor(items[i]) != txn::ReadMode::kKeyOnly) return absl::OkStatus();
    stored_keys.push_back(keys[i].key);
  }
  return store_.transaction().GetAll(tree_, stored_keys, txn::ReadMode::kKeyOnly, &found_);
}

absl::Status WriteRequest::Resolve(const WriteItem& item, const btree::EncodedKey& encoded,
                                   Found* found) {
  if (kind_ == WriteKind::kAdd && !unique()) {
    PlanAddition(item, encoded);
    return Report(item, WriteOutcome::kAdded, steps_.back().stored_key);
  }
  SOP_ASSIGN_OR_RETURN(std::optional<Current> current, Locate(item, encoded.key, found));
  SOP_RETURN_IF_ERROR(CheckVersion(item, current));
  if (!current.has_value()) return Absent(item, encoded);
  if (kind_ == WriteKind::kUpdateKey) {
    return PatchKey(item, *std::move(current));
  }
  return Present(item, encoded, *std::move(current));
}

absl::StatusOr<std::optional<WriteRequest::Current>> WriteRequest::Locate(const WriteItem& item,
                                                                          std::string_view key,
                                                                          Found* together) {
  if (together != nullptr) {
    const auto pending = pending_.find(key);
    if (pending != pending_.end()) return pending->second;
    if (!together->has_value()) return std::nullopt;
    return Current{std::string(key), std::move((*together)->ride_on), (*together)->version};
  }
  const txn::ReadMode mode = ReadModeFor(item);
  const auto accept = [this, &item](std::string_view stored_key,
                                    btree::Item& found) -> absl::StatusOr<bool> {
    const auto pending = pending_.find(stored_key);
    if (pending != pending_.end() && !pending->second.has_value()) return false;
    return HasValue(item, found);
  };
  std::optional<LookupResult> found;
  if (unique() || item.item_id.has_value()) {
    std::string stored_key(key);
    if (item.item_id.has_value()) btree::AppendItemId(*item.item_id, &stored_key);
    const auto pending = pending_.find(stored_key);
    if (pending != pending_.end()) return pending->second;
    SOP_ASSIGN_OR_RETURN(found, lookup_.At(stored_key, mode, accept));
  } else {
    SOP_ASSIGN_OR_RETURN(found, lookup_.First(key, mode, accept));
    const auto added = added_.find(key);
    if (!found.has_value() && added != added_.end()) return pending_.find(added->second)->second;
  }
  if (!found.has_value()) return std::nullopt;
  const auto pending = pending_.find(found->stored_key);
  if (pending != pending_.end()) return pending->second;
  return Current{std::move(found->stored_key), std::move(found->item.ride_on), found->item.version};
}

absl::StatusOr<bool> WriteRequest::HasValue(const WriteItem& item, btree::Item& found) const {
  if (kind_ != WriteKind::kRemove || !item.value.has_value()) return true;
  if (found.view().is_reference()) {
    const auto reference = btree::DecodeReference(found.value);
    if (reference.has_value() && reference->size != item.value->size()) return false;
    SOP_RETURN_IF_ERROR(store_.transaction().LoadValue(tree_, &found));
  }
  return found.value == *item.value;
}

absl::Status WriteRequest::CheckVersion(const WriteItem& item,
                                        const std::optional<Current>& current) const {
  if (!item.expected_version.has_value()) return absl::OkStatus();
  if (current.has_value() && current->version == *item.expected_version) return absl::OkStatus();
  const std::string is =
      current.has_value() ? fmt::format("has version {}", current->version.value) : "is not there";
  return Error(Reason::kPreconditionNotMet,
               fmt::format("store '{}': the item with key {} {}; expected was version {}",
                           base::Printable(store_.name()), Printable(item.key), is,
                           item.expected_version->value),
               {{"store", store_.name()}, {"key", Printable(item.key)}});
}

absl::Status WriteRequest::Absent(const WriteItem& item, const btree::EncodedKey& encoded) {
  if (!Adds()) return Report(item, WriteOutcome::kNotFound, {});
  PlanAddition(item, encoded);
  return Report(item, WriteOutcome::kAdded, steps_.back().stored_key);
}

absl::Status WriteRequest::Present(const WriteItem& item, const btree::EncodedKey& encoded,
                                   Current current) {
  if (kind_ == WriteKind::kAdd || kind_ == WriteKind::kAddIfNotExists) {
    return Report(item, WriteOutcome::kAlreadyThere, current.stored_key);
  }
  Step step;
  step.stored_key = current.stored_key;
  if (kind_ == WriteKind::kRemove) {
    step.effect = Effect::kErase;
    if (remembers_) pending_[current.stored_key] = std::nullopt;
    steps_.push_back(std::move(step));
    return Report(item, WriteOutcome::kRemoved, current.stored_key);
  }
  step.value = item.value.value_or("");
  step.staged = item.staged;
  step.format = item.format;
  step.ride_on = encoded.ride_on.empty() ? current.ride_on : encoded.ride_on;
  if (step.ride_on == current.ride_on) step.change = txn::ChangeKind::kValueOnly;
  steps_.push_back(step);
  SOP_RETURN_IF_ERROR(
      Report(item, kind_ == WriteKind::kUpsert ? WriteOutcome::kReplaced : WriteOutcome::kUpdated,
             current.stored_key));
  Remember({std::move(current.stored_key), std::move(step.ride_on), Sequence{}});
  return absl::OkStatus();
}

absl::Status WriteRequest::PatchKey(const WriteItem& item, Current current) {
  SOP_ASSIGN_OR_RETURN(const btree::EncodedKey given, schema()->Encode(item.key));
  SOP_ASSIGN_OR_RETURN(const btree::Key decoded, schema()->Decode(given.key, given.ride_on));
  SOP_ASSIGN_OR_RETURN(std::string ride_on,
                       schema()->PatchRideOn(current.ride_on, RidingFields(*schema(), decoded)));
  SOP_RETURN_IF_ERROR(Report(item, WriteOutcome::kUpdated, current.stored_key));
  if (ride_on == current.ride_on) return absl::OkStatus();
  Step step;
  step.effect = Effect::kSetRideOn;
  step.stored_key = current.stored_key;
  step.ride_on = ride_on;
  steps_.push_back(std::move(step));
  Remember({std::move(current.stored_key), std::move(ride_on), Sequence{}});
  return absl::OkStatus();
}

void WriteRequest::PlanAddition(const WriteItem& item, const btree::EncodedKey& encoded) {
  Step step;
  step.stored_key = encoded.key;
  if (!unique()) {
    btree::AppendItemId(store_.stores().NextItemId(), &step.stored_key);
    if (remembers_) added_.emplace(encoded.key, step.stored_key);
  }
  step.ride_on = encoded.ride_on;
  step.value = item.value.value_or("");
  step.staged = item.staged;
  step.format = item.format;
  Remember({step.stored_key, step.ride_on, Sequence{}});
  steps_.push_back(std::move(step));
}

void WriteRequest::Remember(Current current) {
  if (!remembers_) return;
  std::string key = current.stored_key;
  pending_[std::move(key)] = std::move(current);
}

absl::Status WriteRequest::Report(const WriteItem& item, WriteOutcome outcome,
                                  std::string_view stored_key) {
  if (require_ == Require::kAll && outcome != WantedOutcome(kind_)) {
    const bool there = outcome == WriteOutcome::kAlreadyThere;
    return Error(there ? Reason::kKeyExists : Reason::kKeyNotFound,
                 fmt::format("store '{}': key {} is {}", base::Printable(store_.name()),
                             Printable(item.key), there ? "already there" : "not there"),
                 {{"store", store_.name()}, {"key", Printable(item.key)}});
  }
  report_.outcomes.push_back(outcome);
  if (unique()) return absl::OkStatus();
  const bool known = stored_key.size() > btree::kItemIdSizeBytes;
  report_.item_ids.push_back(
      known ? btree::UuidFromBytes(stored_key.substr(stored_key.size() - btree::kItemIdSizeBytes))
            : Uuid{});
  return absl::OkStatus();
}

// So that a request does not meet a limit when half of it is written.
absl::Status WriteRequest::CheckLimits() const {
  const txn::Transaction& transaction = store_.transaction();
  const txn::Limits& limits = transaction.limits();
  const uint64_t count = transaction.write_count() + steps_.size();
  uint64_t bytes = transaction.write_bytes();
  for (const Step& step : steps_) {
    bytes += step.stored_key.size() + step.ride_on.size() + step.value.size();
  }
  const bool too_many = count > limits.transaction_writes;
  if (!too_many && bytes <= limits.transaction_bytes) return absl::OkStatus();
  const uint64_t limit = too_many ? limits.transaction_writes : limits.transaction_bytes;
  return Error(
      Reason::kLimitExceeded,
      fmt::format("the transaction would hold {} {}; the limit is {}", too_many ? count : bytes,
                  too_many ? "writes" : "bytes of writes", limit),
      {{"limit", fmt::format("{}", limit)},
       {"limit_name", too_many ? "transaction_writes" : "transaction_bytes"}});
}

absl::Status WriteRequest::Apply() {
  SOP_RETURN_IF_ERROR(CheckLimits());
  SOP_RETURN_IF_ERROR(store_.PrepareWrite());
  if (decided_.has_value()) SOP_RETURN_IF_ERROR(store_.DecideSchema(*decided_));
  txn::Transaction& transaction = store_.transaction();
  const size_t inline_limit = InlineLimitBytes(store_.options().value_placement);
  for (const Step& step : steps_) {
    switch (step.effect) {
      case Effect::kErase:
        SOP_RETURN_IF_ERROR(transaction.Erase(tree_, step.stored_key));
        break;
      case Effect::kSetRideOn:
        SOP_RETURN_IF_ERROR(transaction.SetRideOn(tree_, step.stored_key, step.ride_on));
        break;
      case Effect::kPut: {
        txn::ItemWrite write;
        write.format = static_cast<uint8_t>(step.format);
        write.ride_on = step.ride_on;
        write.value = step.value;
        write.staged = step.staged;
        write.placement =
            step.value.size() > inline_limit ? txn::Placement::kOutOfNode : txn::Placement::kInNode;
        SOP_RETURN_IF_ERROR(transaction.Put(tree_, step.stored_key, write, step.change));
        break;
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace sop::catalog
