#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string_view>
#include <utility>

#include "cli/console_session_internal.h"
#include "cli/control_client_internal.h"
#include <fmt/core.h>

namespace gantry::cli {
namespace {

constexpr std::string_view kSessionPath = "/api/session";

/// The first line: files and terminals end it with a line break that belongs to no password.
Result<std::string> read_password(const SignInOptions& options) {
  std::string password;
  if (options.password_file.empty()) {
    const char* const value = std::getenv("GANTRY_PASSWORD");
    if (value == nullptr || *value == '\0')
      return fail(Code::InvalidArgument,
                  "--user needs a password: in the environment as GANTRY_PASSWORD, or by "
                  "--password-file");
    return std::string(value);
  }
  if (options.password_file == "-") {
    std::getline(std::cin, password);
  } else {
    std::ifstream file(options.password_file);
    if (!file)
      return fail(Code::InvalidArgument, fmt::format("{} cannot be read", options.password_file));
    std::getline(file, password);
  }
  if (password.ends_with('\r')) password.pop_back();
  if (password.empty())
    return fail(Code::InvalidArgument, fmt::format("{} is empty", options.password_file));
  return password;
}

bool is_set_cookie(std::string_view header) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return std::ranges::equal(header, std::string_view("set-cookie"), {}, lower);
}

/// "name=value" of the session's cookie; its name depends on how the server was reached.
std::string session_cookie(const net::Headers& headers) {
  for (const auto& [header, value] : headers.fields()) {
    if (!is_set_cookie(header)) continue;
    std::string pair = value.substr(0, value.find(';'));
    const std::string_view name = std::string_view(pair).substr(0, pair.find('='));
    if (name == "__Host-gantry_session" || name == "gantry_dev_session") return pair;
  }
  return {};
}

net::ClientRequest session_request(const SignInOptions& options, std::string method) {
  net::ClientRequest request;
  request.method = std::move(method);
  request.url = options.url + std::string(kSessionPath);
  request.ca_file = options.ca_file;
  // Nobody else's page makes this request.
  request.headers.set("Sec-Fetch-Site", "same-origin");
  request.headers.set("Accept", "application/json");
  return request;
}

}  // namespace

Result<ConsoleSession> ConsoleSession::begin(const SignInOptions& options) {
  GANTRY_TRY(const std::string password, read_password(options));
  net::ClientRequest request = session_request(options, "POST");
  request.headers.set("Content-Type", "application/json");
  request.body = Json{{"user", options.user}, {"password", password}}.dump();
  GANTRY_TRY(const net::ClientResponse response, net::send(request));
  const Json answer = Json::parse(response.body, nullptr, false);
  if (response.status != 200)
    return fail(Code::PermissionDenied,
                fmt::format("signing in as {}: {}", options.user,
                            answer.is_object() ? member_text(answer, "message")
                                               : fmt::format("HTTP {}", response.status)));
  std::string cookie = session_cookie(response.headers);
  if (cookie.empty())
    return fail(
        Code::Internal,
        fmt::format("the answer of {} began no session: is this a Gantry server?", options.url));
  return ConsoleSession(options, std::move(cookie), member_text(answer, "csrfToken"));
}

ConsoleSession::ConsoleSession(SignInOptions options, std::string cookie, std::string csrf_token)
    : options_(std::move(options)),
      cookie_(std::move(cookie)),
      csrf_token_(std::move(csrf_token)) {}

ConsoleSession::ConsoleSession(ConsoleSession&& other) noexcept
    : options_(std::move(other.options_)),
      cookie_(std::exchange(other.cookie_, {})),
      csrf_token_(std::move(other.csrf_token_)) {}

ConsoleSession::~ConsoleSession() {
  if (cookie_.empty()) return;
  net::ClientRequest request = session_request(options_, "DELETE");
  sign(request);
  // What was asked for is done; a session that stays ends by itself.
  static_cast<void>(net::send(request));
}

void ConsoleSession::sign(net::ClientRequest& request) const {
  request.headers.set("Cookie", cookie_);
  request.headers.set("X-Gantry-CSRF", csrf_token_);
  request.headers.set("Sec-Fetch-Site", "same-origin");
}

}  // namespace gantry::cli
