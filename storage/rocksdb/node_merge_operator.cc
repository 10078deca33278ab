#include "storage/rocksdb/node_merge_operator.h"

#include <string_view>
#include <vector>

#include "storage/rocksdb/rocksdb_status.h"

namespace sop::rocksdb_storage {

bool NodeMergeOperator::FullMergeV2(const MergeOperationInput& in,
                                    MergeOperationOutput* out) const {
  std::vector<std::string_view> deltas;
  deltas.reserve(in.operand_list.size());
  for (const rocksdb::Slice& operand : in.operand_list) deltas.push_back(View(operand));
  std::optional<std::string_view> image;
  if (in.existing_value != nullptr) image = View(*in.existing_value);
  out->new_value = apply_(image, deltas);
  return true;
}

}  // namespace sop::rocksdb_storage
