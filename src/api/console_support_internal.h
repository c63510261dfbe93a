#pragma once

// What the console's surfaces share: bodies in, errors and headers out.

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "access/access_error.h"
#include "core/error.h"
#include "net/http.h"
#include "net/router.h"

namespace gantry::api {

/// {"code","message","requestId","statusCode"}, as Grafana Cloud; no-store.
[[nodiscard]] net::Response console_error(const net::Request& request, int status,
                                          std::string_view message);
[[nodiscard]] net::Response console_error(const net::Request& request,
                                          const access::AccessError& error);
[[nodiscard]] net::Response console_error(const net::Request& request, const Error& error);

/// 200 with no-store.
[[nodiscard]] net::Response console_answer(const nlohmann::json& body);

/// For routes of the console: errors of the server itself in the same form.
[[nodiscard]] net::RouteOptions console_route(std::string name, std::string access = "session");

/// The body as a JSON object; an empty body is {}. Errors: InvalidArgument.
[[nodiscard]] Result<nlohmann::json> read_object(const net::Request& request);

/// A member that must be text. Errors: InvalidArgument naming it.
[[nodiscard]] Result<std::string> text_member(const nlohmann::json& body, std::string_view name);

/// Absent when there is no such member. Errors: InvalidArgument for another type.
[[nodiscard]] Result<std::optional<std::string>> optional_text(const nlohmann::json& body,
                                                               std::string_view name);
[[nodiscard]] Result<std::optional<bool>> optional_bool(const nlohmann::json& body,
                                                        std::string_view name);

/// A page of the console, with every security header; scripts and styles come from files of their
/// own. `form_origins`: where forms and redirects after them may go besides here.
[[nodiscard]] net::Response page_response(const net::Request& request, int status, std::string html,
                                          std::string_view form_origins);

/// Text for inside HTML elements and quoted attributes.
[[nodiscard]] std::string escape_html(std::string_view text);

/// Percent-encodes all but unreserved characters.
[[nodiscard]] std::string escape_query(std::string_view text);

/// A page that says what was refused and why.
[[nodiscard]] net::Response message_page(const net::Request& request,
                                         const access::AccessError& error, std::string_view title);

/// A whole document around `main`.
[[nodiscard]] std::string html_page(std::string_view title, std::string_view main_class,
                                    std::string_view main);

/// Where to after signing in: the path, or the front page of a person for "/".
[[nodiscard]] std::string home_or(std::string_view path);

[[nodiscard]] net::Response redirect_response(std::string location);

/// A browser that opens a page of the console without being signed in: 302 to /login. Absent for
/// anything else, which gets its 401: programs that follow a redirect take a page for an answer.
[[nodiscard]] std::optional<net::Response> login_redirect(const net::Request& request);

}  // namespace gantry::api
