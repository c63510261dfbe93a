# Flags that every target of ours gets: warnings as errors, no fused multiply-add (PromQL's compensated sums need the plain
# operations), hardening, sanitizers.

# -pthread: some libraries ask for it, and precompiled headers are shared by those that use them and those that do not.
add_library(gantry_compile INTERFACE)
target_include_directories(gantry_compile INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(gantry_compile INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast -Wimplicit-fallthrough
  -Werror -pthread -ffp-contract=off -fno-omit-frame-pointer -fstack-protector-strong -march=x86-64-v2)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # A designated initialiser that leaves out defaulted fields is how options are meant to be written.
  # libstdc++ 12's stable_sort calls a deprecated function of its own.
  target_compile_options(gantry_compile INTERFACE -Wthread-safety -Wno-missing-designated-field-initializers
    -Wno-missing-field-initializers -Wno-deprecated-declarations)
  target_link_options(gantry_compile INTERFACE -fuse-ld=lld)
else()
  # g++ takes a name inside a lambda for one that shadows.
  target_compile_options(gantry_compile INTERFACE -Wno-missing-field-initializers -Wno-shadow)
endif()
if(GANTRY_SANITIZE)
  target_compile_options(gantry_compile INTERFACE -fsanitize=${GANTRY_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(gantry_compile INTERFACE -fsanitize=${GANTRY_SANITIZE})
else()
  target_link_options(gantry_compile INTERFACE -Wl,-z,relro,-z,now)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(gantry_compile INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  endif()
endif()
# The folder and the repository's own path stay out of binaries, so that compile caches are shared between checkouts.
target_compile_options(gantry_compile INTERFACE -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)
