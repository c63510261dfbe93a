// Cursors that clients send back: what is accepted reads back as itself.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "access/page.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  const auto cursor =
      access::parse_page_cursor(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!cursor) return 0;
  const auto again = access::parse_page_cursor(access::format_page_cursor(*cursor));
  GANTRY_ASSERT(again && *again == *cursor, "cursors read back");
  return 0;
}
