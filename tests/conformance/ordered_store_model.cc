#include "tests/conformance/ordered_store_model.h"

namespace sop::conformance {

using catalog::WriteOutcome;

namespace {
constexpr int kCategories = 5;
}  // namespace

btree::Key OrderedStoreModel::MakeKey(int number, const std::string& note) const {
  if (shape_ == KeyShape::kScalar) return btree::Scalar(int64_t{number});
  btree::Record record;
  record.fields.push_back(
      {"category", std::string(1, static_cast<char>('a' + number % kCategories))});
  record.fields.push_back({"code", int64_t{number / kCategories}});
  if (!note.empty()) record.fields.push_back({"note", note});
  return record;
}

btree::IndexSpecification OrderedStoreModel::Index() const {
  if (shape_ == KeyShape::kScalar) return {};
  return {{"category", btree::Direction::kAscending}, {"code", btree::Direction::kDescending}};
}

OrderedStoreModel::Order OrderedStoreModel::OrderOf(int number) const {
  if (shape_ == KeyShape::kScalar) return {"", number};
  return {std::string(1, static_cast<char>('a' + number % kCategories)), -(number / kCategories)};
}

size_t OrderedStoreModel::LowerBound(int number, std::optional<Uuid> id) const {
  const auto target = std::pair(OrderOf(number), id.value_or(Uuid{}));
  size_t at = 0;
  while (at < items_.size() && std::pair(OrderOf(items_[at].number), items_[at].id) < target) ++at;
  return at;
}

size_t OrderedStoreModel::UpperBound(int number, std::optional<Uuid> id) const {
  const auto target = std::pair(OrderOf(number), id.value_or(Uuid{UINT64_MAX, UINT64_MAX}));
  size_t at = 0;
  while (at < items_.size() && std::pair(OrderOf(items_[at].number), items_[at].id) <= target) ++at;
  return at;
}

const OrderedStoreModel::Item* OrderedStoreModel::First(int number) const {
  const size_t at = LowerBound(number, {});
  return at < UpperBound(number, {}) ? &items_[at] : nullptr;
}

std::optional<size_t> OrderedStoreModel::Find(const Write& write) const {
  for (size_t at = LowerBound(write.number, write.id); at < UpperBound(write.number, write.id);
       ++at) {
    if (!write.with_value || items_[at].value == write.value) return at;
  }
  return std::nullopt;
}

WriteOutcome OrderedStoreModel::Insert(const Write& write, Uuid id) {
  const Item item{write.number, id, write.note, write.value};
  const size_t at = LowerBound(write.number, id);
  items_.insert(items_.begin() + static_cast<ptrdiff_t>(at), item);
  return WriteOutcome::kAdded;
}

WriteOutcome OrderedStoreModel::Add(const Write& write, Uuid id) {
  return unique_ ? AddIfNotExists(write, id) : Insert(write, id);
}

WriteOutcome OrderedStoreModel::AddIfNotExists(const Write& write, Uuid id) {
  return First(write.number) != nullptr ? WriteOutcome::kAlreadyThere : Insert(write, id);
}

WriteOutcome OrderedStoreModel::Update(const Write& write) {
  const auto at = Find(write);
  if (!at.has_value()) return WriteOutcome::kNotFound;
  items_[*at].value = write.value;
  if (!write.note.empty()) items_[*at].note = write.note;
  return WriteOutcome::kUpdated;
}

WriteOutcome OrderedStoreModel::Upsert(const Write& write, Uuid id) {
  return Update(write) == WriteOutcome::kUpdated ? WriteOutcome::kReplaced : Insert(write, id);
}

WriteOutcome OrderedStoreModel::UpdateKey(const Write& write) {
  const auto at = Find(write);
  if (!at.has_value()) return WriteOutcome::kNotFound;
  if (!write.note.empty()) items_[*at].note = write.note;
  return WriteOutcome::kUpdated;
}

WriteOutcome OrderedStoreModel::Remove(const Write& write) {
  const auto at = Find(write);
  if (!at.has_value()) return WriteOutcome::kNotFound;
  items_.erase(items_.begin() + static_cast<ptrdiff_t>(*at));
  return WriteOutcome::kRemoved;
}

}  // namespace sop::conformance
