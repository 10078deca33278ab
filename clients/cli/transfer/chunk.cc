#include "clients/cli/transfer/chunk.h"

namespace sop::cli {

bool Chunk::MayShareKeys(const Chunk& other) const {
  if (items == 0 || other.items == 0) {
    return false;
  }
  if (!keys_known || !other.keys_known) {
    return true;
  }
  if (greatest_key < other.least_key || other.greatest_key < least_key) {
    return false;
  }
  if (key_hashes.empty() || other.key_hashes.empty()) {
    return true;
  }
  auto mine = key_hashes.begin();
  auto theirs = other.key_hashes.begin();
  while (mine != key_hashes.end() && theirs != other.key_hashes.end()) {
    if (*mine == *theirs) {
      return true;
    }
    if (*mine < *theirs) {
      ++mine;
    } else {
      ++theirs;
    }
  }
  return false;
}

}  // namespace sop::cli
