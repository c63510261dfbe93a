# gantry_add_module(promql DEPENDS core telemetry LIBRARIES PkgConfig::RE2)
#
# One static library gantry_<name> from the folder's *.cc (tests apart), and one test executable <name>_test from its
# *_test.cc. Sources in sub-folders belong to the module too.

function(gantry_add_module name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBRARIES;TEST_LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$|/testing/")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$|/testing/")

  if(NOT sources)
    message(STATUS "module ${name} has no sources")
    return()
  endif()
  add_library(gantry_${name} STATIC ${sources})
  set_target_properties(gantry_${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(gantry_${name} PUBLIC gantry_compile Threads::Threads)
  foreach(dependency IN LISTS ARG_DEPENDS)
    target_link_libraries(gantry_${name} PUBLIC gantry_${dependency})
  endforeach()
  target_link_libraries(gantry_${name} PUBLIC ${ARG_LIBRARIES})
  gantry_precompile_headers(gantry_${name})

  if(GANTRY_TESTS AND tests)
    gantry_add_test(${name}_test SOURCES ${tests} LIBRARIES gantry_${name} ${ARG_TEST_LIBRARIES})
  endif()
endfunction()

# Half of the time that a file takes to compile goes into the standard library's headers. Plain debug builds do without, so that
# a header that a file forgets to include is found.
set(gantry_standard_headers <algorithm> <array> <atomic> <charconv> <chrono> <cmath> <cstdint> <cstring> <deque> <expected>
  <functional> <limits> <map> <memory> <mutex> <numeric> <optional> <ranges> <set> <span> <string> <string_view>
  <thread> <unordered_map> <utility> <variant> <vector> <fmt/format.h>)

function(gantry_precompile_headers target)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND (GANTRY_SANITIZE OR CMAKE_BUILD_TYPE STREQUAL "Release"))
    # ccache can only use precompiled headers that were made without a time stamp inside.
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
    target_precompile_headers(${target} PRIVATE ${gantry_standard_headers} ${ARGN})
  endif()
endfunction()

add_library(gantry_test_compile INTERFACE)
target_link_libraries(gantry_test_compile INTERFACE gantry_compile)
target_compile_options(gantry_test_compile INTERFACE -Wno-sign-conversion -Wno-conversion -Wno-shadow)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # ccache can only use precompiled headers that were made without a time stamp inside.
  target_compile_options(gantry_test_compile INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
else()
  # Assertions hold an if of their own.
  target_compile_options(gantry_test_compile INTERFACE -Wno-dangling-else)
endif()

# gantry_add_test(core_test SOURCES a_test.cc LIBRARIES gantry_core): a GoogleTest program, run by ctest as a whole.
function(gantry_add_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} gtest gtest_main rapidcheck)
  target_precompile_headers(${name} PRIVATE <gtest/gtest.h> <string> <vector>)
  gantry_precompile_headers(${name} <rapidcheck/gtest.h>)
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
