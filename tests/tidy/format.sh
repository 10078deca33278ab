#!/usr/bin/env bash
# Fails when a C++ file is not formatted as .clang-format says: tests/tidy/format.sh [--fix]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mode=(--dry-run -Werror)
if [[ ${1:-} == --fix ]]; then mode=(-i); fi
find core storage server clients tests \( -name '*.h' -o -name '*.cc' \) -print0 |
  xargs -0 -n 40 -P "$(nproc)" clang-format "${mode[@]}"
