# Third-party libraries, all from the distribution, one imported target each. Which folder may use which: docs/adr and
# tests/include_check.py.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)

function(gantry_pkg target)
  pkg_check_modules(${target} REQUIRED IMPORTED_TARGET ${ARGN})
endfunction()

gantry_pkg(ZSTD libzstd)
gantry_pkg(FMT fmt)
gantry_pkg(SPDLOG spdlog)
gantry_pkg(RE2 re2)
gantry_pkg(SQLITE sqlite3)
gantry_pkg(PQ libpq)
gantry_pkg(SODIUM libsodium)
gantry_pkg(CJOSE cjose)
gantry_pkg(CURL libcurl)
gantry_pkg(GRPC grpc++)
gantry_pkg(YAMLCPP yaml-cpp)
gantry_pkg(XXHASH libxxhash)
gantry_pkg(SIMDJSON simdjson)
find_library(GANTRY_SNAPPY snappy REQUIRED)
find_library(GANTRY_JEMALLOC jemalloc)
