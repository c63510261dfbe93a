#include "access/console_origin.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

namespace gantry::access {
namespace {

/// "https://host:port" of "https://Host:port/path". Lower case, as browsers write it; without the
/// scheme's own port.
std::string origin_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  const std::size_t end = std::min(url.find_first_of("/?#", scheme + 3), url.size());
  std::string origin(url.substr(0, end));
  std::ranges::transform(origin, origin.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const std::string_view port = origin.starts_with("https:") ? ":443" : ":80";
  if (origin.ends_with(port)) origin.resize(origin.size() - port.size());
  return origin;
}

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.");
}

bool is_json(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find_first_of("; \t"));
  return type == "application/json";
}

}  // namespace

bool is_unsafe(net::Method method) {
  return method != net::Method::Get && method != net::Method::Head &&
         method != net::Method::Options;
}

std::string safe_return_path(std::string_view path) {
  const bool is_plain = std::ranges::all_of(path, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f && c != '\\';
  });
  // "//host" and "/\host" are other hosts to a browser.
  if (!is_plain || !path.starts_with('/') || path.starts_with("//")) return "/";
  return std::string(path);
}

AccessError forbidden(std::string_view message, std::string_view reason) {
  return make_access_error(403, Code::PermissionDenied,
                           fmt::format("authentication error: {}", message), reason);
}

ConsoleOrigin::ConsoleOrigin(Options options)
    : options_(std::move(options)), public_origin_(origin_of(options_.public_url)) {}

bool ConsoleOrigin::is_secure(const net::Request& request) const {
  return request.is_tls || public_origin_.starts_with("https://");
}

AccessResult<void> ConsoleOrigin::check_transport(const net::Request& request) const {
  if (is_secure(request)) return {};
  if (options_.insecure_dev && is_loopback(request.peer_address)) return {};
  return std::unexpected(forbidden(
      "the console needs HTTPS: set tls.cert_file and tls.key_file, or server.public_url to the "
      "https URL of the proxy in front; on this machine only, server.insecure_dev",
      "plain_http"));
}

std::string ConsoleOrigin::origin(const net::Request& request) const {
  if (!public_origin_.empty()) return public_origin_;
  return origin_of(
      fmt::format("{}://{}", request.is_tls ? "https" : "http", request.headers.find("Host")));
}

std::string ConsoleOrigin::url(const net::Request& request) const {
  return options_.public_url.empty() ? origin(request) : options_.public_url;
}

AccessResult<void> ConsoleOrigin::check_source(const net::Request& request) const {
  if (!is_unsafe(request.method)) return {};
  const std::string_view site = request.headers.find("Sec-Fetch-Site");
  if (site == "cross-site" || site == "same-site")
    return std::unexpected(forbidden("request from another site refused", "csrf_site"));
  if (site.empty()) {
    std::string from(request.headers.find("Origin"));
    if (from.empty()) from = request.headers.find("Referer");
    if (from.empty())
      return std::unexpected(forbidden("request without an origin refused", "csrf_no_origin"));
    if (origin_of(from) != origin(request))
      return std::unexpected(forbidden("request from another site refused", "csrf_origin"));
  }
  if (!request.body.empty() && !is_json(request.headers.find("Content-Type")))
    return std::unexpected(
        forbidden("the body must be sent as application/json", "csrf_content_type"));
  return {};
}

CookieTransport ConsoleOrigin::cookie_transport(const net::Request& request) const {
  return is_secure(request) ? CookieTransport::Secure : CookieTransport::Plain;
}

std::string ConsoleOrigin::cookie_name(const net::Request& request, std::string_view name) const {
  return fmt::format("{}{}", is_secure(request) ? "__Host-gantry_" : "gantry_dev_", name);
}

}  // namespace gantry::access
