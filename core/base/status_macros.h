#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function with the status of `expr` unless it is OK.
#define SOP_RETURN_IF_ERROR(expr)                                 \
  do {                                                            \
    if (::absl::Status sop_status_ = (expr); !sop_status_.ok()) { \
      return sop_status_;                                         \
    }                                                             \
  } while (false)

#define SOP_STATUS_CONCAT_INNER_(a, b) a##b
#define SOP_STATUS_CONCAT_(a, b) SOP_STATUS_CONCAT_INNER_(a, b)

// Evaluates `expr`, a StatusOr<T>; assigns its value to `lhs` or returns its status.
#define SOP_ASSIGN_OR_RETURN(lhs, expr) \
  SOP_ASSIGN_OR_RETURN_IMPL_(SOP_STATUS_CONCAT_(sop_status_or_, __LINE__), lhs, expr)

#define SOP_ASSIGN_OR_RETURN_IMPL_(result, lhs, expr) \
  auto result = (expr);                               \
  if (!result.ok()) {                                 \
    return std::move(result).status();                \
  }                                                   \
  lhs = std::move(result).value()
