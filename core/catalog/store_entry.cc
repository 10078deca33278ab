#include "core/catalog/store_entry.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/btree/name.h"

namespace sop::catalog {
namespace {

constexpr uint8_t kVersion = 1;

std::string Text(const absl::Status& status) {
  return std::string(status.message().data(), status.message().size());
}

absl::Status Damaged(std::string_view why) {
  return Error(Reason::kDamaged, fmt::format("catalog entry {}", why));
}

absl::Status NotSupported(std::string_view why) {
  return Error(Reason::kFormatNotSupported,
               fmt::format("catalog entry {}, which a later release made", why));
}

// The fields in an order that does not depend on their numbers.
std::vector<btree::SchemaField> ByName(const btree::KeySchema& schema) {
  std::vector<btree::SchemaField> fields = schema.fields();
  std::sort(fields.begin(), fields.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return fields;
}

bool AgreesWith(const btree::KeySchema& given, const StoreEntry& entry) {
  if (!entry.schema.has_value() || given.form() != entry.schema->form()) return false;
  std::vector<btree::SchemaField> has = ByName(*entry.schema);
  if ((entry.flags & StoreEntry::kDeclaredFlag) == 0) {
    std::erase_if(has, [&](const btree::SchemaField& field) {
      return field.index_position == btree::SchemaField::kRidesOn &&
             given.FieldNumber(field.name) < 0;
    });
  }
  return ByName(given) == has;
}

void AppendNames(const std::vector<std::string>& names, std::string* out) {
  base::AppendVarint(out, names.size());
  for (const std::string& name : names) base::AppendLengthPrefixed(out, name);
}

void AppendOptions(const StoreOptions& options, std::string* out) {
  out->push_back(static_cast<char>(options.uniqueness));
  out->push_back(static_cast<char>(options.value_placement));
  base::AppendVarint(out, options.slot_length);
  base::AppendLengthPrefixed(out, options.description);
  base::AppendVarint(out, options.index.size());
  for (const btree::IndexField& field : options.index) {
    base::AppendLengthPrefixed(out, field.name);
    out->push_back(static_cast<char>(field.direction));
  }
  base::AppendVarint(out, options.relations.size());
  for (const Relation& relation : options.relations) {
    AppendNames(relation.source_fields, out);
    base::AppendLengthPrefixed(out, relation.target_store);
    AppendNames(relation.target_fields, out);
  }
}

// Reads the parts of an entry; each returns false if the bytes run out or a number is not allowed.
class EntryReader {
 public:
  explicit EntryReader(std::string_view bytes) : reader_(bytes) {}

  bool AtEnd() const { return reader_.empty(); }
  bool Byte(uint8_t* v) { return reader_.GetByte(v); }

  bool Number(uint32_t* v) {
    uint64_t wide = 0;
    if (!reader_.GetVarint(&wide) || wide > UINT32_MAX) return false;
    *v = static_cast<uint32_t>(wide);
    return true;
  }

  // A number of elements, each of one byte or more.
  bool Count(uint32_t* v) { return Number(v) && *v <= reader_.rest().size(); }

  bool String(std::string* v) {
    std::string_view bytes;
    if (!reader_.GetLengthPrefixed(&bytes)) return false;
    *v = bytes;
    return true;
  }

  template <typename Enum>
  bool Choice(Enum last, Enum* v) {
    uint8_t byte = 0;
    if (!Byte(&byte) || byte > static_cast<uint8_t>(last)) return false;
    *v = static_cast<Enum>(byte);
    return true;
  }

  bool Trees(std::vector<StoreTree>* trees) {
    uint32_t count = 0;
    if (!Count(&count)) return false;
    trees->resize(count);
    for (StoreTree& tree : *trees) {
      if (!Number(&tree.role) || !Number(&tree.tree.value)) return false;
    }
    return true;
  }

  bool Options(StoreOptions* options) {
    return Choice(Uniqueness::kDuplicates, &options->uniqueness) &&
           Choice(ValuePlacement::kBig, &options->value_placement) &&
           Number(&options->slot_length) && String(&options->description) &&
           Index(&options->index) && Relations(&options->relations);
  }

 private:
  bool Names(std::vector<std::string>* names) {
    uint32_t count = 0;
    if (!Count(&count)) return false;
    names->resize(count);
    return std::all_of(names->begin(), names->end(),
                       [this](std::string& name) { return String(&name); });
  }

  bool Index(btree::IndexSpecification* index) {
    uint32_t count = 0;
    if (!Count(&count)) return false;
    index->resize(count);
    for (btree::IndexField& field : *index) {
      if (!String(&field.name)) return false;
      if (!Choice(btree::Direction::kDescending, &field.direction)) return false;
    }
    return true;
  }

  bool Relations(std::vector<Relation>* relations) {
    uint32_t count = 0;
    if (!Count(&count)) return false;
    relations->resize(count);
    for (Relation& relation : *relations) {
      if (!Names(&relation.source_fields) || !String(&relation.target_store) ||
          !Names(&relation.target_fields)) {
        return false;
      }
    }
    return true;
  }

  base::ByteReader reader_;
};

// What must hold beyond the layout of the bytes.
absl::Status CheckEntry(const StoreEntry& entry) {
  if (entry.format != 1) return NotSupported(fmt::format("has format {}", entry.format));
  if (KindName(entry.kind) == "unknown") {
    return NotSupported(fmt::format("has kind {}", static_cast<uint8_t>(entry.kind)));
  }
  if (entry.trees.empty() || entry.trees.front().tree.value != entry.id.value) {
    return Damaged("has no tree of its own number");
  }
  if (entry.schema.has_value() != (entry.schema_version != 0)) {
    return Damaged("has a schema version that does not go with its schema");
  }
  if (absl::Status status = btree::CheckName("store", entry.name); !status.ok()) {
    return Damaged(Text(status));
  }
  if (absl::Status status = CheckOptions(entry.options); !status.ok()) return Damaged(Text(status));
  return absl::OkStatus();
}

}  // namespace

std::string_view KindName(StoreKind kind) {
  switch (kind) {
    case StoreKind::kBtree:
      return "B-tree";
    case StoreKind::kVector:
      return "vector";
    case StoreKind::kText:
      return "text";
    case StoreKind::kModel:
      return "model";
    case StoreKind::kBlob:
      return "blob";
  }
  return "unknown";
}

std::optional<TreeId> StoreEntry::FindTree(TreeRole role) const {
  for (const StoreTree& tree : trees) {
    if (tree.role == role) return tree.tree;
  }
  return std::nullopt;
}

absl::StatusOr<btree::KeySchema> SchemaFor(const StoreEntry& entry, const btree::Key& first_key) {
  if (entry.schema.has_value()) return *entry.schema;
  return btree::KeySchema::FromFirstKey(first_key, entry.options.index);
}

std::string_view DifferingOption(const GivenOptions& given, const StoreEntry& entry) {
  const StoreOptions& has = entry.options;
  if (given.uniqueness.value_or(has.uniqueness) != has.uniqueness) return "unique";
  if (given.value_placement.value_or(has.value_placement) != has.value_placement) {
    return "value_size";
  }
  if (given.slot_length.value_or(has.slot_length) != has.slot_length) return "slot_length";
  if (given.feed.value_or(has.feed) != has.feed) return "feed";
  if (given.index.has_value() && *given.index != has.index) {
    // The specification may also be spelt out for a store that was made without one.
    if (!entry.schema.has_value() || *given.index != entry.schema->Index()) return "index";
  }
  if (given.schema.has_value() && !AgreesWith(*given.schema, entry)) return "schema";
  return {};
}

std::string Serialize(const StoreEntry& entry) {
  std::string out;
  out.push_back(static_cast<char>(kVersion));
  base::AppendVarint(&out, entry.format);
  const uint32_t feed = entry.options.feed == Feed::kOn ? StoreEntry::kFeedFlag : 0;
  base::AppendVarint(&out, entry.flags | feed);
  out.push_back(static_cast<char>(entry.kind));
  base::AppendVarint(&out, entry.id.value);
  base::AppendLengthPrefixed(&out, entry.name);
  base::AppendVarint(&out, entry.trees.size());
  for (const StoreTree& tree : entry.trees) {
    base::AppendVarint(&out, tree.role);
    base::AppendVarint(&out, tree.tree.value);
  }
  AppendOptions(entry.options, &out);
  base::AppendLengthPrefixed(&out, entry.kind_options);
  base::AppendVarint(&out, entry.schema_version);
  base::AppendLengthPrefixed(&out, entry.schema.has_value() ? entry.schema->Serialize() : "");
  return out;
}

absl::StatusOr<StoreEntry> ParseStoreEntry(std::string_view bytes) {
  EntryReader reader(bytes);
  StoreEntry entry;
  uint8_t version = 0;
  if (!reader.Byte(&version)) return Damaged("is empty");
  if (version != kVersion) return NotSupported(fmt::format("has version {}", version));
  uint8_t kind = 0;
  std::string schema;
  uint32_t flags = 0;
  const bool whole = reader.Number(&entry.format) && reader.Number(&flags) && reader.Byte(&kind) &&
                     reader.Number(&entry.id.value) && reader.String(&entry.name) &&
                     reader.Trees(&entry.trees) && reader.Options(&entry.options) &&
                     reader.String(&entry.kind_options) && reader.Number(&entry.schema_version) &&
                     reader.String(&schema);
  if (!whole) return Damaged("is cut, or has a number that is not allowed");
  if (!reader.AtEnd()) return Damaged("has bytes behind its end");
  if ((flags & ~StoreEntry::kKnownFlags) != 0) {
    return NotSupported(fmt::format("has flags {:#x}", flags));
  }
  if ((flags & StoreEntry::kFeedFlag) != 0) entry.options.feed = Feed::kOn;
  entry.flags = flags & ~StoreEntry::kFeedFlag;
  entry.kind = static_cast<StoreKind>(kind);
  if (!schema.empty()) {
    SOP_ASSIGN_OR_RETURN(entry.schema, btree::KeySchema::Parse(schema));
  }
  SOP_RETURN_IF_ERROR(CheckEntry(entry));
  return entry;
}

absl::StatusOr<std::string> CatalogKey(std::string_view name) {
  SOP_RETURN_IF_ERROR(btree::CheckName("store", name));
  std::string key;
  SOP_RETURN_IF_ERROR(btree::AppendScalar("", btree::Scalar(std::string(name)),
                                          btree::Direction::kAscending, &key));
  return key;
}

}  // namespace sop::catalog
