# Compiler, linker and warning settings shared by every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -gline-tables-only")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -gline-tables-only -DNDEBUG")

set(SOP_SANITIZE "" CACHE STRING "Comma-separated list for -fsanitize=")
option(SOP_FUZZ "Build the libFuzzer targets" OFF)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Paths are hashed relative to the source tree, so that every clone shares one cache; the
  # sloppiness is what ccache asks for with precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
else()
  add_link_options(-fuse-ld=lld)
endif()

# Everything that is ours compiles with these; sop_library() and friends link it.
add_library(sop_warnings INTERFACE)
target_compile_options(sop_warnings INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Wimplicit-fallthrough
  -Wthread-safety -Wno-unused-parameter -fno-omit-frame-pointer)

add_library(sop_sanitizers INTERFACE)
if(SOP_SANITIZE)
  target_compile_options(sop_sanitizers INTERFACE -fsanitize=${SOP_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(sop_sanitizers INTERFACE -fsanitize=${SOP_SANITIZE})
endif()
