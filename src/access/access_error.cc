#include "access/access_error.h"

#include <utility>

#include <fmt/core.h>

namespace gantry::access {
namespace {

void add_challenges(AccessError& error, const ChallengeContext& context, std::string bearer) {
  error.headers.add("WWW-Authenticate", std::move(bearer));
  // Browsers pop up a login box for a Basic challenge that a dashboard relays to them, so only
  // senders get one.
  if (is_write_scope(context.scope) && !context.is_browser)
    error.headers.add("WWW-Authenticate", R"(Basic realm="gantry", charset="UTF-8")");
}

}  // namespace

AccessError make_access_error(int status, Code code, std::string message, std::string_view reason) {
  AccessError error{.status = status,
                    .code = code,
                    .message = std::move(message),
                    .headers = {},
                    .reason = reason};
  error.headers.add("Cache-Control", "no-store");
  error.headers.add("X-Content-Type-Options", "nosniff");
  return error;
}

void AccessError::add_headers(net::Headers& out) const {
  for (const auto& [name, value] : headers.fields()) out.add(name, value);
}

AccessError no_credentials(const ChallengeContext& context) {
  AccessError error =
      make_access_error(401, Code::Unauthenticated, "authentication error: no credentials provided",
                        "no_credentials");
  add_challenges(error, context, R"(Bearer realm="gantry")");
  return error;
}

AccessError secret_in_url(const ChallengeContext& context) {
  AccessError error =
      make_access_error(401, Code::Unauthenticated,
                        "authentication error: credentials in the URL are not accepted, "
                        "send them in the Authorization header",
                        "secret_in_url");
  add_challenges(error, context, R"(Bearer realm="gantry")");
  return error;
}

AccessError invalid_token(const ChallengeContext& context, std::string_view reason,
                          std::string_view description) {
  AccessError error =
      make_access_error(401, Code::Unauthenticated, "authentication error: invalid token", reason);
  add_challenges(
      error, context,
      fmt::format(R"(Bearer realm="gantry", error="invalid_token", error_description="{}")",
                  description));
  return error;
}

AccessError missing_scope(Scope scope, bool cloud_compat_status) {
  AccessError error =
      make_access_error(cloud_compat_status ? 401 : 403,
                        cloud_compat_status ? Code::Unauthenticated : Code::PermissionDenied,
                        "authentication error: invalid scope requested", "insufficient_scope");
  error.headers.add("WWW-Authenticate",
                    fmt::format(R"(Bearer realm="gantry", error="insufficient_scope", scope="{}")",
                                scope_name(scope)));
  return error;
}

AccessError unreadable_label_policy() {
  return make_access_error(403, Code::PermissionDenied,
                           "authentication error: invalid label policy", "label_policy_error");
}

AccessError origin_not_allowed() {
  return make_access_error(403, Code::PermissionDenied,
                           "authentication error: request origin not allowed", "subnet");
}

AccessError wrong_organisation() {
  return make_access_error(403, Code::PermissionDenied,
                           "authentication error: the token belongs to another organisation",
                           "wrong_organisation");
}

AccessError not_on_read_only_api() {
  return make_access_error(403, Code::PermissionDenied,
                           "endpoint not available on the read-only API", "read_only_api");
}

AccessError rate_limited(std::string_view reason) {
  AccessError error =
      make_access_error(429, Code::ResourceExhausted, "rate limit exceeded", reason);
  error.headers.add("Retry-After", "1");
  return error;
}

AccessError bad_credentials(std::string_view message, std::string_view reason) {
  return make_access_error(400, Code::InvalidArgument,
                           fmt::format("authentication error: {}", message), reason);
}

AccessError access_unavailable() {
  AccessError error = make_access_error(503, Code::Unavailable,
                                        "authentication error: the state database is not available",
                                        "state_unavailable");
  error.headers.add("Retry-After", "5");
  return error;
}

}  // namespace gantry::access
