#include "core/base/ids.h"

#include <fmt/format.h>

#include "core/base/bytes.h"

namespace sop {

std::string Uuid::Bytes() const {
  std::string out;
  base::AppendBigEndian64(&out, high);
  base::AppendBigEndian64(&out, low);
  return out;
}

std::string Uuid::ToString() const {
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xffff, low >> 48, low & 0xffffffffffffULL);
}

}  // namespace sop
