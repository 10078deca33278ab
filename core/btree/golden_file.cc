#include "core/btree/golden_file.h"

#include <cstdint>
#include <fstream>
#include <sstream>

#include "core/base/check.h"

namespace sop::btree {

// Recursive descent over the part of JSON that golden files use.
class GoldenReader {
 public:
  explicit GoldenReader(std::string_view rest) : rest_(rest) {}

  GoldenNode ReadValue() {
    GoldenNode node;
    if (Take('[')) {
      node.kind_ = GoldenNode::Kind::kList;
      for (bool more = !Take(']'); more; more = TakeSeparator(']'))
        node.list_.push_back(ReadValue());
    } else if (Take('{')) {
      node.kind_ = GoldenNode::Kind::kObject;
      for (bool more = !Take('}'); more; more = TakeSeparator('}')) {
        const std::string name = ReadText();
        SOP_CHECK(Take(':'));
        node.members_.emplace(name, ReadValue());
      }
    } else {
      node.text_ = ReadText();
    }
    return node;
  }

  bool AtEnd() {
    SkipSpace();
    return rest_.empty();
  }

 private:
  void SkipSpace() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) {
      rest_.remove_prefix(1);
    }
  }

  bool Take(char c) {
    SkipSpace();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  // Whether another element follows; otherwise the list has been closed.
  bool TakeSeparator(char closing) {
    if (Take(',')) return true;
    SOP_CHECK(Take(closing));
    return false;
  }

  std::string ReadText() {
    SOP_CHECK(Take('"'));
    std::string out;
    while (true) {
      SOP_CHECK(!rest_.empty());
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return out;
      if (c != '\\') {
        out.push_back(c);
      } else {
        ReadEscape(&out);
      }
    }
  }

  // Only \" \\ and \u00XX below U+0080: everything else is written as UTF-8.
  void ReadEscape(std::string* out) {
    SOP_CHECK(!rest_.empty());
    if (rest_.front() != 'u') {
      SOP_CHECK(rest_.front() == '"' || rest_.front() == '\\');
      out->push_back(rest_.front());
      rest_.remove_prefix(1);
      return;
    }
    SOP_CHECK(rest_.size() >= 5 && rest_.substr(1, 2) == "00");
    const std::string c = FromHex(rest_.substr(3, 2));
    SOP_CHECK(static_cast<uint8_t>(c[0]) < 0x80);
    out->append(c);
    rest_.remove_prefix(5);
  }

  std::string_view rest_;
};

GoldenNode GoldenNode::Load(std::string_view name) {
  const std::string bytes = ReadFormatsFile(name);
  GoldenReader reader(bytes);
  GoldenNode node = reader.ReadValue();
  SOP_CHECK(reader.AtEnd());
  return node;
}

const std::string& GoldenNode::text() const {
  SOP_CHECK(kind_ == Kind::kText);
  return text_;
}

const std::vector<GoldenNode>& GoldenNode::list() const {
  SOP_CHECK(kind_ == Kind::kList);
  return list_;
}

const GoldenNode& GoldenNode::operator[](std::string_view member) const {
  const auto it = members_.find(member);
  SOP_CHECK(it != members_.end());
  return it->second;
}

std::string GoldenNode::Hex(std::string_view member) const { return FromHex(Text(member)); }

std::string ReadFormatsFile(std::string_view name) {
  std::ifstream file(std::string(SOP_FORMATS_DIR "/") + std::string(name));
  SOP_CHECK(file.good());
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

std::string FromHex(std::string_view digits) {
  SOP_CHECK(digits.size() % 2 == 0);
  std::string out;
  for (size_t i = 0; i < digits.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

}  // namespace sop::btree
