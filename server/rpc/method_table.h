#pragma once

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "server/observe/metrics.h"
#include "sop/v1/options.pb.h"

namespace sop::rpc {

// What one rpc declares about itself.
struct Method {
  // "sop.v1.BtreeService/Get".
  std::string name;
  v1::Permission permission = v1::PERMISSION_UNSPECIFIED;
  // What a request that is too large should be sent to instead; empty if it must be split.
  std::string streaming_call;
  // Whether either side sends a stream.
  bool streams = false;
  observe::MethodMetrics* metrics = nullptr;
};

// Every rpc of sop.v1, by the type of its request: no two share one. Constant after Open.
// Thread-safe.
class MethodTable {
 public:
  // Reads the descriptors. INTERNAL names an rpc without permission or with a shared request type.
  // `metrics` must outlive this.
  static absl::StatusOr<std::unique_ptr<MethodTable>> Open(observe::Metrics& metrics);

  // REQUIRES: `request` is the request type of an rpc of sop.v1.
  const Method& ForRequest(const google::protobuf::Descriptor* request) const;
  size_t size() const { return methods_.size(); }

 private:
  MethodTable() = default;
  absl::Status AddService(const google::protobuf::ServiceDescriptor& service,
                          observe::Metrics& metrics);

  absl::flat_hash_map<const google::protobuf::Descriptor*, std::unique_ptr<Method>> methods_;
};

// The index of the rpc in its service. REQUIRES: as ForRequest.
int MethodIndexOf(const google::protobuf::Descriptor& request);

}  // namespace sop::rpc
