#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"

namespace sop::base {

// Lets std::string_view look up std::string keys without a copy. (The packaged absl::string_view is
// not std::string_view, so Abseil's own transparent hash does not accept it.)
struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const {
    return absl::HashOf(absl::string_view(s.data(), s.size()));
  }
};

template <typename V>
using StringMap = absl::flat_hash_map<std::string, V, StringHash, std::equal_to<>>;
using StringSet = absl::flat_hash_set<std::string, StringHash, std::equal_to<>>;

}  // namespace sop::base
