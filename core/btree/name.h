#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace sop::btree {

// Whether `name` may name a database, store or field: 1 to 128 bytes of valid UTF-8 without slash,
// backslash, NUL and "..". `object` says in the error what is being named ("store"). INVALID_NAME
// otherwise.
absl::Status CheckName(std::string_view object, std::string_view name);

}  // namespace sop::btree
