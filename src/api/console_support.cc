#include <array>
#include <utility>

#include <fmt/core.h>

#include "api/console_support_internal.h"

namespace gantry::api {
namespace {

constexpr std::uint64_t kBodyBytesMax = 64 << 10;

std::string_view code_text(int status) {
  switch (status) {
    case 400:
      return "InvalidArgument";
    case 401:
      return "InvalidCredentials";
    case 403:
      return "Forbidden";
    case 404:
      return "NotFound";
    case 409:
      return "Conflict";
    case 429:
      return "TooManyRequests";
    case 503:
      return "ServiceUnavailable";
    default:
      return status >= 500 ? "InternalError" : "InvalidArgument";
  }
}

net::Response error_response(const net::Request& request, int status, std::string_view code,
                             std::string_view message) {
  const nlohmann::json body = {{"code", code},
                               {"message", message},
                               {"requestId", request.request_id},
                               {"statusCode", status}};
  return net::json_response(
      status, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void forbid_storing(net::Response& response) {
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("X-Content-Type-Options", "nosniff");
}

}  // namespace

net::Response console_error(const net::Request& request, int status, std::string_view message) {
  net::Response response = error_response(request, status, code_text(status), message);
  forbid_storing(response);
  return response;
}

net::Response console_error(const net::Request& request, const access::AccessError& error) {
  // Wrong parameters are 409 in this API.
  const bool is_invalid = error.code == Code::InvalidArgument;
  const int status = is_invalid ? 409 : error.status;
  net::Response response = error_response(
      request, status, is_invalid ? "InvalidArgument" : code_text(status), error.message);
  error.add_headers(response.headers);
  forbid_storing(response);
  return response;
}

net::Response console_error(const net::Request& request, const Error& error) {
  const bool is_invalid = error.code == Code::InvalidArgument;
  const int status =
      is_invalid || error.code == Code::FailedPrecondition ? 409 : net::http_status(error.code);
  net::Response response = error_response(
      request, status, is_invalid ? "InvalidArgument" : code_text(status), error.message);
  forbid_storing(response);
  return response;
}

net::Response console_answer(const nlohmann::json& body) {
  net::Response response = net::json_response(
      200, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  forbid_storing(response);
  return response;
}

net::RouteOptions console_route(std::string name, std::string access) {
  return {.name = std::move(name),
          .body_bytes_max = kBodyBytesMax,
          .body_setting = "a fixed limit",
          .access = std::move(access),
          .render_error = [](const net::Request& request, int status, std::string_view message) {
            return console_error(request, status, message);
          }};
}

Result<nlohmann::json> read_object(const net::Request& request) {
  if (request.body.empty()) return nlohmann::json::object();
  auto body = nlohmann::json::parse(request.body, nullptr, false);
  if (!body.is_object()) return fail(Code::InvalidArgument, "the body is not a JSON object");
  return body;
}

Result<std::optional<std::string>> optional_text(const nlohmann::json& body,
                                                 std::string_view name) {
  const auto member = body.find(name);
  if (member == body.end() || member->is_null()) return std::nullopt;
  if (!member->is_string()) return fail(Code::InvalidArgument, fmt::format("{}: not text", name));
  return member->get<std::string>();
}

Result<std::string> text_member(const nlohmann::json& body, std::string_view name) {
  GANTRY_TRY(std::optional<std::string> text, optional_text(body, name));
  if (!text) return fail(Code::InvalidArgument, fmt::format("{}: missing", name));
  return *std::move(text);
}

Result<std::optional<bool>> optional_bool(const nlohmann::json& body, std::string_view name) {
  const auto member = body.find(name);
  if (member == body.end() || member->is_null()) return std::nullopt;
  if (!member->is_boolean())
    return fail(Code::InvalidArgument, fmt::format("{}: not true or false", name));
  return member->get<bool>();
}

net::Response page_response(const net::Request& request, int status, std::string html,
                            std::string_view form_origins) {
  net::Response response{.status = status};
  response.headers.add("Content-Type", "text/html; charset=utf-8");
  forbid_storing(response);
  response.headers.add(
      "Content-Security-Policy",
      fmt::format("default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
                  "form-action 'self'{}{}",
                  form_origins.empty() ? "" : " ", form_origins));
  response.headers.add("Referrer-Policy", "no-referrer");
  response.headers.add("Cross-Origin-Opener-Policy", "same-origin");
  response.headers.add("Cross-Origin-Resource-Policy", "same-origin");
  // Browsers ignore it over plain HTTP, and a proxy in front hands it on.
  response.headers.add("Strict-Transport-Security", "max-age=31536000; includeSubDomains");
  if (request.method != net::Method::Head) response.body = std::move(html);
  return response;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string escape_query(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                          (c >= 'a' && c <= 'z') || std::string_view("-_.~/").contains(c);
    if (is_plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string html_page(std::string_view title, std::string_view main_class, std::string_view main) {
  return fmt::format(R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{} – Gantry</title>
<link rel="stylesheet" href="/login/style.css">
<script src="/login/script.js" defer></script>
</head>
<body>
<main class="{}">
<p class="brand">Gantry</p>
{}
</main>
</body>
</html>
)",
                     title, main_class, main);
}

net::Response message_page(const net::Request& request, const access::AccessError& error,
                           std::string_view title) {
  const std::string main = fmt::format(
      R"(<div class="card"><h1>{}</h1><p>{}</p><p><a href="/login">Sign in</a></p></div>)", title,
      escape_html(error.message));
  net::Response response = page_response(request, error.status, html_page(title, "", main), {});
  for (const auto& [name, value] : error.headers.fields()) response.headers.set(name, value);
  return response;
}

std::string home_or(std::string_view path) {
  return path == "/" ? "/account" : std::string(path);
}

net::Response redirect_response(std::string location) {
  net::Response response{.status = 302};
  response.headers.add("Location", std::move(location));
  forbid_storing(response);
  return response;
}

std::optional<net::Response> login_redirect(const net::Request& request) {
  const std::string_view mode = request.headers.find("Sec-Fetch-Mode");
  const bool is_page =
      request.method == net::Method::Get && request.headers.find("Accept").contains("text/html") &&
      (mode.empty() || mode == "navigate") && !request.headers.contains("Authorization");
  if (!is_page) return std::nullopt;
  std::string target = request.raw_path;
  if (!request.raw_query.empty()) target += "?" + request.raw_query;
  return redirect_response("/login?return_to=" + escape_query(target));
}

}  // namespace gantry::api
