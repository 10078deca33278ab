#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sop::btree {

// A JSON document of strings, lists and objects only, as the golden files in docs/formats are.
// For tests. Thread-compatible.
class GoldenNode {
 public:
  // `name` is a file in docs/formats. Aborts with the place if it is not of that form.
  static GoldenNode Load(std::string_view name);

  // Each aborts if the node is of another kind or has no such member.
  const std::string& text() const;
  const std::vector<GoldenNode>& list() const;
  const GoldenNode& operator[](std::string_view member) const;

  bool Has(std::string_view member) const { return members_.find(member) != members_.end(); }
  // The text of a member, as it is or as the bytes that its hexadecimal digits say.
  const std::string& Text(std::string_view member) const { return (*this)[member].text(); }
  std::string Hex(std::string_view member) const;

 private:
  friend class GoldenReader;
  enum class Kind { kText, kList, kObject };

  Kind kind_ = Kind::kText;
  std::string text_;
  std::vector<GoldenNode> list_;
  std::map<std::string, GoldenNode, std::less<>> members_;
};

// The bytes of a file in docs/formats.
std::string ReadFormatsFile(std::string_view name);

// The bytes that pairs of hexadecimal digits say.
std::string FromHex(std::string_view digits);

}  // namespace sop::btree
