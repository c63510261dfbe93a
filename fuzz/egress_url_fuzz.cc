// A URL that somebody enters: whatever comes out has one reading, and reads the same again.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "net/egress.h"
#include "net/egress_url.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  const auto url =
      net::parse_egress_url(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!url) return 0;
  GANTRY_ASSERT(!url->host.empty() && url->port != 0, "a destination");
  GANTRY_ASSERT(url->host.find_first_of("@/\\?#% ") == std::string::npos, "a plain host");
  GANTRY_ASSERT(url->target.starts_with('/'), "a path");
  const auto again = net::parse_egress_url(url->text());
  GANTRY_ASSERT(
      again && again->host == url->host && again->port == url->port && again->target == url->target,
      "the normal form means the same");
  if (url->address) static_cast<void>(net::classify_address(*url->address));
  return 0;
}
