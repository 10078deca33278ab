#pragma once

#include <string>

// Well-formed nodes and deltas to start from.
namespace sop::fuzz {

std::string LeafImage();
std::string InnerImage();
// An image whose checksum is right, whatever else is in it.
std::string WithImageChecksum(std::string image);

// Deltas of commit `sequence`: for a leaf, and for an inner node.
std::string LeafDelta(uint64_t sequence);
std::string InnerDelta(uint64_t sequence);

}  // namespace sop::fuzz
