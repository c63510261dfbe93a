#include "traces/table/growing_array.h"

#include <sys/mman.h>

namespace gantry::traces {

ReservedMemory::~ReservedMemory() {
  if (begin_ != nullptr) ::munmap(begin_, reserved_bytes_);
}

void ReservedMemory::reserve(std::size_t bytes) {
  void* const begin =
      ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  GANTRY_ASSERT(begin != MAP_FAILED, "address space is larger than all live segments");
  begin_ = begin;
  reserved_bytes_ = bytes;
}

void ReservedMemory::commit(std::size_t bytes) {
  const int failed = ::mprotect(begin_, bytes, PROT_READ | PROT_WRITE);
  GANTRY_ASSERT(failed == 0, "out of memory: live segments are bounded by live_bytes_max");
}

}  // namespace gantry::traces
