#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "core/catalog/filter/comparison.h"

namespace sop::catalog {

// Finds fields in one JSON document after another, on demand: nothing is built, and of what no path
// leads to only the structure is looked at, so that a document with damage elsewhere still has its
// fields. Members that are there twice count once, the first. Confined to its owner.
class JsonFields {
 public:
  JsonFields();
  ~JsonFields();
  JsonFields(const JsonFields&) = delete;
  JsonFields& operator=(const JsonFields&) = delete;

  // Takes another document, by the one copy that the parser needs for reading beyond the end. False
  // if it has no structure of JSON; it then has no fields.
  bool Open(std::string_view text);

  // Takes a value; true if no further one is wanted. Its bytes live as long as the call.
  using Sink = absl::FunctionRef<bool(const FoundValue&)>;
  // Hands over every value at `path`; an array on the way or at the end stands for its elements.
  // Returns whether the path leads to anything, an empty array included. Without names the path
  // leads to the document. Numbers no double holds are Unordered.
  bool Visit(std::span<const std::string> path, Sink sink);

 private:
  struct Parser;
  const std::unique_ptr<Parser> parser_;
};

}  // namespace sop::catalog
