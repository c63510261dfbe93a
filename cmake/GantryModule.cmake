# gantry_add_module(promql DEPENDS core telemetry LIBRARIES PkgConfig::RE2)
#
# One static library gantry_<name> from the folder's *.cc (tests apart), and one test executable <name>_test from its
# *_test.cc. Sources in sub-folders belong to the module too.
#
# All presets but `debug` and `lint` compile neighbouring files as one (CMake's unity builds), which more than halves the time.
# A file with a name that a neighbour has in its anonymous namespace too is compiled alone: APART names it.

function(gantry_add_module name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBRARIES;TEST_LIBRARIES;APART" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$|/testing/|/main\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$|/testing/")

  if(NOT sources)
    message(STATUS "module ${name} has no sources")
    return()
  endif()
  foreach(file IN LISTS ARG_APART)
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "module ${name}: APART names ${file}, which does not exist")
    endif()
  endforeach()
  set_source_files_properties(${ARG_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  add_library(gantry_${name} STATIC ${sources})
  set_target_properties(gantry_${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(gantry_${name} PUBLIC gantry_compile Threads::Threads)
  if(GANTRY_FUZZ)
    # Fuzzers find their way by what modules count; tests need no such counters.
    target_compile_options(gantry_${name} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  foreach(dependency IN LISTS ARG_DEPENDS)
    target_link_libraries(gantry_${name} PUBLIC gantry_${dependency})
  endforeach()
  target_link_libraries(gantry_${name} PUBLIC ${ARG_LIBRARIES})
  gantry_precompile_headers(gantry_${name} OF gantry_core HEADERS ${gantry_standard_headers})

  if(GANTRY_TESTS AND tests)
    gantry_add_test(${name}_test SOURCES ${tests} LIBRARIES gantry_${name} ${ARG_TEST_LIBRARIES})
  endif()
endfunction()

# What most files include of other people's.
set(gantry_standard_headers <algorithm> <array> <atomic> <charconv> <chrono> <cmath> <cstdint> <cstring> <deque> <expected>
  <functional> <limits> <map> <memory> <mutex> <numeric> <optional> <ranges> <set> <span> <string> <string_view>
  <thread> <unordered_map> <utility> <variant> <vector> <fmt/format.h>)

# gantry_precompile_headers(target OF owner HEADERS <string>): the target shares what `owner`, a target of the same flags that
# comes first, has precompiled. The preset `debug` does without, so that a header that a file forgets to include is found.
function(gantry_precompile_headers target)
  cmake_parse_arguments(ARG "" "OF" "HEADERS" ${ARGN})
  if(NOT GANTRY_PRECOMPILED_HEADERS)
    return()
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # ccache can only use precompiled headers that were made without a time stamp inside.
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
  if(target STREQUAL ARG_OF)
    target_precompile_headers(${target} PRIVATE ${ARG_HEADERS})
  else()
    target_precompile_headers(${target} REUSE_FROM ${ARG_OF})
  endif()
endfunction()

add_library(gantry_test_compile INTERFACE)
target_link_libraries(gantry_test_compile INTERFACE gantry_compile)
target_compile_options(gantry_test_compile INTERFACE -Wno-sign-conversion -Wno-conversion -Wno-shadow)
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Assertions hold an if of their own.
  target_compile_options(gantry_test_compile INTERFACE -Wno-dangling-else)
endif()

# gantry_add_test(core_test SOURCES a_test.cc LIBRARIES gantry_core): a GoogleTest program, run by ctest as a whole.
function(gantry_add_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} gtest gtest_main rapidcheck)
  gantry_precompile_headers(${name} OF core_test HEADERS ${gantry_standard_headers} <gtest/gtest.h> <rapidcheck/gtest.h>)
  if(GANTRY_SANITIZE STREQUAL "thread")
    # The modules are optimised there, or threads would hardly meet. For tests that takes longer than it saves.
    target_compile_options(${name} PRIVATE -O0)
  endif()
  # RapidCheck and GoogleTest macros are not written for our warning set. These come after the inherited flags.
  target_link_libraries(${name} PRIVATE gantry_test_compile)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/unit)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 900)
endfunction()

# gantry_add_fuzzer(influx LIBRARIES gantry_codec): fuzz/influx_fuzz.cc with the corpus in fuzz/corpus/influx.
function(gantry_add_fuzzer name)
  cmake_parse_arguments(ARG "" "" "LIBRARIES" ${ARGN})
  add_executable(${name}_fuzz ${CMAKE_CURRENT_SOURCE_DIR}/${name}_fuzz.cc)
  target_link_libraries(${name}_fuzz PRIVATE ${ARG_LIBRARIES})
  target_compile_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
endfunction()
