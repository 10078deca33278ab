// Random keys of every type: the order of the bytes against a plain comparison of the values, round
// trips, and bytes that no encoder made.
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/btree/key_schema.h"

namespace sop::btree {
namespace {

uint64_t Seed() {
  const char* given = std::getenv("SOP_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20260;
}

constexpr ScalarType kTypes[] = {ScalarType::kBool,     ScalarType::kInt64, ScalarType::kDouble,
                                 ScalarType::kString,   ScalarType::kBytes, ScalarType::kUuid,
                                 ScalarType::kTimestamp};

// Draws from small sets as often as from wide ones, so that neighbours and equal values are common.
class Keys {
 public:
  explicit Keys(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t limit) { return random_() % limit; }
  bool Coin() { return Below(2) == 0; }

  int64_t Integer() {
    constexpr int64_t kEdges[] = {
        std::numeric_limits<int64_t>::min(), -256, -255, -1, 0, 1, 255, 256,
        std::numeric_limits<int64_t>::max()};
    if (Coin()) return kEdges[Below(std::size(kEdges))];
    return static_cast<int64_t>(random_() >> Below(64)) * (Coin() ? 1 : -1);
  }

  double Double() {
    constexpr double kEdges[] = {
        -std::numeric_limits<double>::infinity(), -1.5, -5e-324, -0.0, 0.0, 5e-324, 1e-300, 1.5,
        std::numeric_limits<double>::infinity()};
    if (Coin()) return kEdges[Below(std::size(kEdges))];
    const double drawn = std::bit_cast<double>(random_());
    return drawn != drawn ? 0.5 : drawn;
  }

  // Short, of few letters, with zeros and what escapes and terminators are made of.
  std::string Raw() {
    constexpr char kLetters[] = {'\0', '\1', '\xff', '\xfe', 'a', 'b'};
    std::string out;
    for (uint64_t n = Below(6); n > 0; --n) out.push_back(kLetters[Below(std::size(kLetters))]);
    return out;
  }

  std::string Text() {
    constexpr std::string_view kLetters[] = {
        std::string_view("\0", 1), "\1", "a", "b", "\xc3\xab", "\xef\xbf\xbf", "\xf0\x9f\x98\x80"};
    std::string out;
    for (uint64_t n = Below(6); n > 0; --n) out.append(kLetters[Below(std::size(kLetters))]);
    return out;
  }

  Scalar Draw(ScalarType type) {
    switch (type) {
      case ScalarType::kBool:
        return Coin();
      case ScalarType::kInt64:
        return Integer();
      case ScalarType::kDouble:
        return Double();
      case ScalarType::kString:
        return Text();
      case ScalarType::kBytes:
        return Bytes{Raw()};
      case ScalarType::kUuid:
        return Uuid{Below(3) * 0x0100000000000000, Below(3)};
      default:
        return Timestamp{Integer()};
    }
  }

  KeySchema Schema() {
    std::vector<DeclaredField> fields;
    for (uint64_t n = 1 + Below(5); n > 0; --n) {
      fields.push_back({"f" + std::to_string(n), kTypes[Below(std::size(kTypes))]});
    }
    IndexSpecification index;
    const uint64_t indexed = 1 + Below(fields.size());
    for (uint64_t i = 0; i < indexed; ++i) {
      index.push_back({fields[(i + 1) % fields.size()].name,
                       Coin() ? Direction::kAscending : Direction::kDescending});
    }
    return KeySchema::ForRecord(fields, index).value();
  }

  Record DrawRecord(const KeySchema& schema) {
    Record record;
    for (const SchemaField& field : schema.fields()) {
      if (field.index_position == SchemaField::kRidesOn && Coin()) continue;
      record.fields.push_back({field.name, Draw(field.type)});
    }
    return record;
  }

 private:
  std::mt19937_64 random_;
};

int Sign(std::partial_ordering order) { return order < 0 ? -1 : order > 0 ? 1 : 0; }

int Compare(const Scalar& a, const Scalar& b) {
  if (const auto* text = std::get_if<std::string>(&a)) {
    const int order = text->compare(std::get<std::string>(b));
    return order < 0 ? -1 : order > 0 ? 1 : 0;
  }
  if (a == b) return 0;  // -0.0 and 0.0 among others
  return a < b ? -1 : 1;
}

int Compare(const KeySchema& schema, const Record& a, const Record& b) {
  for (const IndexField& field : schema.Index()) {
    const int order = Compare(*a.Find(field.name), *b.Find(field.name));
    if (order != 0) return field.direction == Direction::kAscending ? order : -order;
  }
  return 0;
}

TEST(KeyOrderTest, BytesOrderAsValuesDo) {
  SCOPED_TRACE(testing::Message() << "SOP_TEST_SEED=" << Seed());
  Keys keys(Seed());
  int equal = 0;
  for (int round = 0; round < 1000; ++round) {
    const KeySchema schema = keys.Schema();
    for (int pair = 0; pair < 250; ++pair) {
      const Record a = keys.DrawRecord(schema);
      const Record b = keys.DrawRecord(schema);
      const auto encoded_a = schema.Encode(a);
      const auto encoded_b = schema.Encode(b);
      ASSERT_TRUE(encoded_a.ok() && encoded_b.ok());
      const int expected = Compare(schema, a, b);
      ASSERT_EQ(Sign(encoded_a->key <=> encoded_b->key), expected)
          << Printable(Key(a)) << " and " << Printable(Key(b));
      if (expected == 0) ++equal;
      // No key is a prefix of another one: item ids may follow.
      ASSERT_TRUE(expected == 0 || !encoded_b->key.starts_with(encoded_a->key));
    }
  }
  EXPECT_GT(equal, 1000);
}

TEST(KeyOrderTest, PrefixesAndRangesHoldExactlyTheKeysTheyName) {
  SCOPED_TRACE(testing::Message() << "SOP_TEST_SEED=" << Seed());
  Keys keys(Seed() + 1);
  int inside = 0;
  for (int round = 0; round < 20'000; ++round) {
    const KeySchema schema = keys.Schema();
    const Record key = keys.DrawRecord(schema);
    const Record bound = keys.DrawRecord(schema);
    const IndexSpecification index = schema.Index();
    Record leading;
    IndexSpecification cut(index.begin(), index.begin() + 1 + keys.Below(index.size()));
    bool same = true;
    int order = 0;
    for (const IndexField& field : cut) {
      leading.fields.push_back({field.name, *bound.Find(field.name)});
      const int compared = Compare(*key.Find(field.name), *bound.Find(field.name));
      same = same && compared == 0;
      if (order == 0) order = field.direction == Direction::kAscending ? compared : -compared;
    }
    std::string stored = schema.Encode(key)->key;
    if (keys.Coin()) AppendItemId(Uuid{~uint64_t{0}, keys.Below(2)}, &stored);
    ASSERT_EQ(schema.EncodePrefix(leading, PrefixMatch::kWholeFields)->Contains(stored), same);
    const auto at_least = schema.EncodeRange(KeyBound{leading, Inclusion::kInclusive}, {});
    const auto above = schema.EncodeRange(KeyBound{leading, Inclusion::kExclusive}, {});
    const auto at_most = schema.EncodeRange({}, KeyBound{leading, Inclusion::kInclusive});
    const auto below = schema.EncodeRange({}, KeyBound{leading, Inclusion::kExclusive});
    ASSERT_EQ(at_least->Contains(stored), order >= 0);
    ASSERT_EQ(above->Contains(stored), order > 0);
    ASSERT_EQ(at_most->Contains(stored), order <= 0);
    ASSERT_EQ(below->Contains(stored), order < 0);
    inside += same ? 1 : 0;
  }
  EXPECT_GT(inside, 500);
}

TEST(KeyOrderTest, StartOfStringHoldsExactlyTheStringsThatStartSo) {
  SCOPED_TRACE(testing::Message() << "SOP_TEST_SEED=" << Seed());
  Keys keys(Seed() + 2);
  int inside = 0;
  for (int round = 0; round < 20'000; ++round) {
    const Direction direction = keys.Coin() ? Direction::kAscending : Direction::kDescending;
    const KeySchema schema = KeySchema::ForScalar(ScalarType::kBytes, direction).value();
    const std::string key = keys.Raw();
    const std::string start = keys.Raw().substr(0, 2);
    const auto range = schema.EncodePrefix(Scalar(Bytes{start}), PrefixMatch::kStartOfString);
    ASSERT_EQ(range->Contains(schema.Encode(Scalar(Bytes{key}))->key), key.starts_with(start));
    inside += key.starts_with(start) ? 1 : 0;
  }
  EXPECT_GT(inside, 500);
}

TEST(KeyOrderTest, DecodeGivesBackWhatWasEncoded) {
  SCOPED_TRACE(testing::Message() << "SOP_TEST_SEED=" << Seed());
  Keys keys(Seed() + 3);
  for (int round = 0; round < 20'000; ++round) {
    const KeySchema schema = keys.Schema();
    const Record record = keys.DrawRecord(schema);
    const auto encoded = schema.Encode(record);
    const auto decoded = schema.Decode(encoded->key, encoded->ride_on);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_EQ(std::get<Record>(*decoded), record);
    ASSERT_EQ(schema.Encode(*encoded).value(), *encoded);
    ASSERT_EQ(KeySchema::Parse(schema.Serialize()).value(), schema);
    ASSERT_EQ(KeySchema::FromFirstKey(record, schema.Index())->Index(), schema.Index());
  }
}

// Any accepted bytes are the bytes of a key: otherwise two spellings of one key could be stored.
TEST(KeyOrderTest, DamagedBytesAreRefusedOrAreAnotherKey) {
  SCOPED_TRACE(testing::Message() << "SOP_TEST_SEED=" << Seed());
  Keys keys(Seed() + 4);
  int accepted = 0;
  int refused = 0;
  for (int round = 0; round < 50'000; ++round) {
    const KeySchema schema = keys.Schema();
    EncodedKey encoded = schema.Encode(keys.DrawRecord(schema)).value();
    std::string* bytes = keys.Coin() || encoded.ride_on.empty() ? &encoded.key : &encoded.ride_on;
    for (uint64_t n = 1 + keys.Below(3); n > 0 && !bytes->empty(); --n) {
      const size_t at = keys.Below(bytes->size());
      if (keys.Coin()) (*bytes)[at] = static_cast<char>(keys.Below(256));
      if (keys.Below(4) == 0) bytes->resize(at);
      if (keys.Below(4) == 0) bytes->insert(at, keys.Raw());
    }
    if (!schema.Validate(encoded.key, encoded.ride_on).ok()) {
      EXPECT_FALSE(schema.Decode(encoded.key, encoded.ride_on).ok());
      ++refused;
      continue;
    }
    ++accepted;
    const auto decoded = schema.Decode(encoded.key, encoded.ride_on);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_EQ(schema.Encode(*decoded).value(), encoded);
  }
  EXPECT_GT(accepted, 1000);
  EXPECT_GT(refused, 1000);
}

TEST(KeyOrderTest, RandomSchemaBytesNeverCrashAndParsedOnesAreStable) {
  SCOPED_TRACE(testing::Message() << "SOP_TEST_SEED=" << Seed());
  Keys keys(Seed() + 5);
  int accepted = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string bytes = keys.Schema().Serialize();
    for (uint64_t n = keys.Below(3); n > 0 && !bytes.empty(); --n) {
      bytes[keys.Below(bytes.size())] = static_cast<char>(keys.Below(256));
      if (keys.Below(8) == 0) bytes.resize(keys.Below(bytes.size() + 1));
    }
    const auto schema = KeySchema::Parse(bytes);
    if (!schema.ok()) continue;
    ++accepted;
    ASSERT_EQ(KeySchema::Parse(schema->Serialize()).value(), *schema);
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace sop::btree
