# Third-party libraries: Debian 12 packages only, one alias each.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(fmt CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(GTest CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(libedit REQUIRED IMPORTED_TARGET libedit)
find_package(CLI11 CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)

# The packaged CMake files of RocksDB name find modules that Debian does not ship.
find_library(ROCKSDB_LIBRARY rocksdb REQUIRED)
add_library(sop_rocksdb_dependency INTERFACE)
target_link_libraries(sop_rocksdb_dependency INTERFACE ${ROCKSDB_LIBRARY})

find_library(JEMALLOC_LIBRARY jemalloc REQUIRED)
add_library(sop_allocator INTERFACE)
if(NOT SOP_SANITIZE)
  target_link_libraries(sop_allocator INTERFACE ${JEMALLOC_LIBRARY})
endif()

find_library(HTTPLIB_LIBRARY cpp-httplib REQUIRED)
