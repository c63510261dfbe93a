// What a browser, or somebody who claims to be one, sends besides a body.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "access/console_origin.h"
#include "access/cookie.h"
#include "core/error.h"
#include "net/http.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  const std::string text(reinterpret_cast<const char*>(data), size);
  net::Request request{.method = net::Method::Post};
  request.headers.add("Cookie", text);
  request.headers.add("Origin", text);
  request.headers.add("Host", text);
  if (const auto value = access::find_cookie(request.headers, "__Host-gantry_session"))
    GANTRY_ASSERT(value->find(';') == std::string::npos, "one cookie's value");
  const access::ConsoleOrigin console({.public_url = "https://gantry.example.com"});
  if (console.check_source(request)) GANTRY_ASSERT(text.size() >= 26, "only our own origin passes");
  const std::string path = access::safe_return_path(text);
  GANTRY_ASSERT(path.starts_with('/') && !path.starts_with("//") &&
                    path.find_first_of("\\\n\r\t") == std::string::npos,
                "a path of this server");
  return 0;
}
