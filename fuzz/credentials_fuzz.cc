// What a request brings as identity: the first byte chooses the header and the route, the rest is
// its value (or the query string). Whatever comes out is within its limits.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "access/credentials.h"
#include "access/token.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  if (size == 0) return 0;
  const std::string value(reinterpret_cast<const char*>(data) + 1, size - 1);
  net::Request request;
  switch (data[0] & 3U) {
    case 0:
      request.headers.add("Authorization", value);
      break;
    case 1:
      request.headers.add("Authorization", "Basic " + value);
      break;
    case 2:
      request.headers.add("X-Gantry-Token", value);
      break;
    default:
      request.raw_query = value;
      break;
  }
  const bool is_influx = (data[0] & 4U) != 0;
  const auto credentials = access::parse_credentials(access::raw_credentials(request),
                                                     {.accepts_token_scheme = is_influx}, {});
  if (!credentials) return 0;
  GANTRY_ASSERT(
      !credentials->token.empty() &&
          credentials->user.size() + credentials->token.size() <= access::kCredentialBytesMax,
      "credentials are bounded");
  static_cast<void>(access::parse_access_token(credentials->token));
  return 0;
}
