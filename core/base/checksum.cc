#include "core/base/checksum.h"

#include <xxhash.h>

namespace sop::base {

uint64_t Checksum64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace sop::base
