// The path and query of a request: whatever arrives, a decoded path has one reading.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/utf8.h"
#include "net/http.h"
#include "net/router.h"
#include "net/server.h"

namespace {

using gantry::net::Method;
using gantry::net::Request;

const gantry::net::Router& sample_router() {
  static const gantry::net::Router router = [] {
    const auto handler = [](Request&) { return gantry::net::text_response(200, ""); };
    gantry::net::Router made;
    made.add(Method::Get, "/", {}, handler);
    made.add(Method::Get, "/api/v1/label/{name}/values", {}, handler);
    made.add(Method::Post, "/api/v1/label/special/{other}", {}, handler);
    made.add(Method::Get, "/console/{path...}", {}, handler);
    return made;
  }();
  return router;
}

void check_path(std::string_view raw) {
  const auto path = gantry::net::normalise_path(raw);
  if (!path) return;
  GANTRY_ASSERT(path->starts_with('/'), "a path starts with a slash");
  GANTRY_ASSERT(!path->contains("//"), "no empty segments");
  GANTRY_ASSERT(!path->contains('\\') && !path->contains('\0'), "no ambiguous characters");
  GANTRY_ASSERT(!(*path + "/").contains("/../") && !(*path + "/").contains("/./"),
                "no dot segments");
  GANTRY_ASSERT(gantry::core::is_valid_utf8(*path), "UTF-8");
  GANTRY_ASSERT(path->size() <= raw.size(), "decoding never grows");
  const auto match = sample_router().find(Method::Get, *path);
  for (const auto& [name, value] : match.path_parameters) {
    GANTRY_ASSERT(!value.empty(), "a parameter is never empty");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view target(reinterpret_cast<const char*>(data), size);
  const std::size_t query = target.find('?');
  check_path(target.substr(0, query));
  const std::string_view encoded =
      query == std::string_view::npos ? target : target.substr(query + 1);
  if (const auto parameters = gantry::net::Parameters::parse(encoded)) {
    for (const auto& [name, value] : parameters->items()) {
      GANTRY_ASSERT(name.size() + value.size() <= encoded.size(), "decoding never grows");
    }
  }
  static_cast<void>(gantry::net::parse_listen_address(target));
  return 0;
}
