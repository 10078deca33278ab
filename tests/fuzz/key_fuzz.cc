// The key codec: whatever bytes a client sends as an encoded key, and whatever is stored.
#include <array>

#include "core/base/check.h"
#include "core/btree/key_schema.h"
#include "tests/fuzz/fuzz_target.h"

namespace sop::fuzz {
namespace {

using btree::Direction;
using btree::Key;
using btree::KeySchema;
using btree::ScalarType;

std::vector<KeySchema> MakeSchemas() {
  std::vector<KeySchema> schemas;
  for (const ScalarType type :
       {ScalarType::kBool, ScalarType::kInt64, ScalarType::kDouble, ScalarType::kTimestamp,
        ScalarType::kUuid, ScalarType::kString, ScalarType::kBytes}) {
    schemas.push_back(*KeySchema::ForScalar(type));
    schemas.push_back(*KeySchema::ForScalar(type, Direction::kDescending));
  }
  schemas.push_back(*KeySchema::ForRecord({{"name", ScalarType::kString},
                                           {"code", ScalarType::kInt64},
                                           {"rides", ScalarType::kBytes},
                                           {"also", ScalarType::kDouble}},
                                          {{"name"}, {"code", Direction::kDescending}}));
  schemas.push_back(*KeySchema::ForRecord(
      {{"a", ScalarType::kBytes}, {"b", ScalarType::kUuid}, {"c", ScalarType::kBool}}, {}));
  return schemas;
}

const std::vector<KeySchema>& Schemas() {
  static const auto* const kSchemas = new std::vector<KeySchema>(MakeSchemas());
  return *kSchemas;
}

// Bytes that are accepted are those that encoding makes of what they decode to.
void CheckRoundTrip(const KeySchema& schema, std::string_view key, std::string_view ride_on) {
  const bool valid = schema.Validate(key, ride_on).ok();
  const auto decoded = schema.Decode(key, ride_on);
  if (!valid) return;
  SOP_CHECK(decoded.ok());
  const auto encoded = schema.Encode(*decoded);
  SOP_CHECK(encoded.ok());
  SOP_CHECK(encoded->key == key && encoded->ride_on == ride_on);
  btree::Printable(*decoded);
  const auto prefix = schema.EncodePrefix(*decoded, btree::PrefixMatch::kWholeFields);
  SOP_CHECK(prefix.ok() && prefix->Contains(key));
  (void)schema.EncodePrefix(*decoded, btree::PrefixMatch::kStartOfString);
  const auto range = schema.EncodeRange(btree::KeyBound{*decoded}, btree::KeyBound{*decoded});
  SOP_CHECK(range.ok() && range->Contains(key));
}

void CheckOrder(const KeySchema& schema, std::string_view a, std::string_view b) {
  if (!schema.Validate(a, {}).ok() || !schema.Validate(b, {}).ok()) return;
  const auto range = schema.EncodeRange(btree::KeyBound{*schema.Decode(a, {})}, std::nullopt);
  SOP_CHECK(range.ok());
  // Ascending in the first field: the range from `a` holds `b` exactly if its bytes are not below.
  if (schema.fields()[0].direction == Direction::kAscending && schema.fields().size() == 1) {
    SOP_CHECK(range->Contains(b) == (b >= a));
  }
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  const std::array<Key, 7> scalars = {Key{true},
                                      Key{int64_t{-5}},
                                      Key{2.5},
                                      Key{btree::Timestamp{1'700'000'000'000'000'000}},
                                      Key{Uuid{1, 2}},
                                      Key{std::string("a\0key", 5)},
                                      Key{btree::Bytes{std::string("\0\xff", 2)}}};
  for (size_t i = 0; i < scalars.size() * 2; ++i) {
    const std::string key = Schemas()[i].Encode(scalars[i / 2])->key;
    seeds.push_back(Chosen(static_cast<uint8_t>(i), AsPiece(key) + AsPiece("") + AsPiece(key)));
  }
  const Key record = btree::Record{
      {{"name", std::string("n")}, {"code", int64_t{7}}, {"rides", btree::Bytes{"r"}}}};
  const auto encoded = Schemas()[14].Encode(record);
  seeds.push_back(Chosen(14, AsPiece(encoded->key) + AsPiece(encoded->ride_on)));
  for (const KeySchema& schema : Schemas()) {
    seeds.push_back(Chosen(0xff, AsPiece(schema.Serialize()) + AsPiece(encoded->key)));
  }
  return seeds;
}

void RunInput(std::string_view input) {
  InputReader reader(input);
  const uint8_t choice = reader.Byte();
  if (choice == 0xff) {
    const auto parsed = KeySchema::Parse(reader.Piece());
    if (!parsed.ok()) return;
    SOP_CHECK(*KeySchema::Parse(parsed->Serialize()) == *parsed);
    const std::string_view key = reader.Piece();
    CheckRoundTrip(*parsed, key, reader.Piece());
    return;
  }
  const KeySchema& schema = Schemas()[choice % Schemas().size()];
  const std::string_view key = reader.Piece();
  const std::string_view ride_on = reader.Piece();
  CheckRoundTrip(schema, key, ride_on);
  CheckOrder(schema, key, reader.Piece());
  (void)schema.PatchRideOn(ride_on, btree::Record{{{"rides", btree::Bytes{std::string(key)}}}});
  (void)btree::SplitItemId(key);
}

}  // namespace sop::fuzz
