# sop_library(NAME SOURCES ... PUBLIC ... PRIVATE ...)   one per folder
# sop_test(NAME SOURCES ... LIBS ...)                    one test binary per folder, run by ctest
# sop_executable(NAME SOURCES ... LIBS ...)
# sop_pch(NAME <header>...)                              precompiles system headers for one target
function(sop_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} sop_sanitizers PRIVATE ${ARG_PRIVATE} sop_warnings)
endfunction()

function(sop_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} sop_warnings sop_sanitizers sop_allocator)
endfunction()

function(sop_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT;LABEL" "SOURCES;LIBS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  sop_executable(${name} SOURCES ${ARG_SOURCES} LIBS ${ARG_LIBS} GTest::gmock GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS ${ARG_LABEL})
endfunction()

# For targets of many sources that all include the same heavy headers (generated protobuf and gRPC
# code). The timestamp is left out so that ccache can share what was compiled against the header.
function(sop_pch name)
  list(TRANSFORM ARGN REPLACE "(.+)" "<\\1>" OUTPUT_VARIABLE headers)
  target_precompile_headers(${name} PRIVATE ${headers})
  target_compile_options(${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
endfunction()

# sop_proto(NAME ROOT dir PROTOS a.proto ... SERVICES b.proto ... PUBLIC ...)
# C++ of protos under ROOT, built and never committed: messages of PROTOS and SERVICES, stubs of
# SERVICES. Its users see the headers as system headers: generated code keeps its own warnings.
function(sop_proto name)
  cmake_parse_arguments(ARG "" "ROOT" "PROTOS;SERVICES;PUBLIC" ${ARGN})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/cpp)
  file(MAKE_DIRECTORY ${out})
  set(sources)
  foreach(proto ${ARG_PROTOS} ${ARG_SERVICES})
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    set(made ${out}/${stem}.pb.cc ${out}/${stem}.pb.h)
    set(plugin)
    if(proto IN_LIST ARG_SERVICES)
      list(APPEND made ${out}/${stem}.grpc.pb.cc ${out}/${stem}.grpc.pb.h)
      set(plugin --grpc_out=${out} --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>)
    endif()
    add_custom_command(OUTPUT ${made}
      COMMAND protobuf::protoc --proto_path=${ARG_ROOT} --cpp_out=${out} ${plugin} ${proto}
      DEPENDS ${ARG_ROOT}/${proto} VERBATIM)
    list(APPEND sources ${made})
  endforeach()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} SYSTEM PUBLIC ${out})
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} sop_sanitizers)
endfunction()
