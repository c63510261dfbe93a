#include "api/session.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "api/console_support_internal.h"
#include "api/people_json_internal.h"
#include "core/rfc3339.h"

namespace gantry::api {
namespace {

using access::AccessResult;
using net::Method;

constexpr std::string_view kDeviceCookie = "device";

/// One member of the body.
Result<std::string> read_text(const net::Request& request, std::string_view name) {
  GANTRY_TRY(const nlohmann::json body, read_object(request));
  return text_member(body, name);
}

/// The session of a request that may change something.
AccessResult<access::SessionIdentity> identify(const PeopleServices& services,
                                               const net::Request& request) {
  GANTRY_TRY(access::SessionIdentity identity, services.sessions.identify(request));
  GANTRY_CHECK(services.sessions.check_forgery(request, identity));
  return identity;
}

/// A request without a session that may begin one: from our own pages only.
AccessResult<void> check_stranger(const PeopleServices& services, const net::Request& request) {
  GANTRY_CHECK(services.sessions.console().check_transport(request));
  return services.sessions.console().check_source(request);
}

nlohmann::json session_json(const PeopleServices& services,
                            const access::SessionIdentity& identity) {
  nlohmann::json organisations = nlohmann::json::array();
  for (const access::Membership& membership : identity.memberships)
    organisations.push_back(membership_json(membership));
  return {{"user", user_json(identity.user)},
          {"organisations", std::move(organisations)},
          {"csrfToken", services.sessions.csrf_token(identity)},
          {"session",
           {{"id", identity.row.family_id},
            {"provider", identity.row.provider},
            {"signedInAt", core::format_rfc3339(identity.row.signed_in_at)},
            {"authenticatedAt", core::format_rfc3339(identity.row.authenticated_at)},
            {"expiresAt", core::format_rfc3339(identity.row.expires_at)}}}};
}

/// Hands out a session and says who it is for, as GET /api/session does with it.
net::Response answer_with_session(const PeopleServices& services, net::Request& request,
                                  const access::IssuedSession& issued) {
  net::Request with_session{.peer_address = request.peer_address, .is_tls = request.is_tls};
  with_session.headers.add(
      "Cookie", fmt::format("{}={}", services.sessions.console().cookie_name(request, "session"),
                            issued.value));
  const auto identity = services.sessions.identify(with_session);
  if (!identity) return console_error(request, identity.error());
  net::Response response = console_answer(session_json(services, *identity));
  response.headers.add("Set-Cookie", services.sessions.set_cookie(request, issued));
  return response;
}

net::Response who_am_i(const PeopleServices& services, net::Request& request) {
  const auto identity = services.sessions.identify(request);
  if (!identity) return console_error(request, identity.error());
  return console_answer(session_json(services, *identity));
}

Result<access::PasswordSignInRequest> read_sign_in(const PeopleServices& services,
                                                   const net::Request& request) {
  GANTRY_TRY(const nlohmann::json body, read_object(request));
  access::PasswordSignInRequest sign_in{.client = access::client_context(request)};
  GANTRY_TRY(sign_in.login, text_member(body, "user"));
  GANTRY_TRY(sign_in.password, text_member(body, "password"));
  GANTRY_TRY(const std::optional<bool> remember, optional_bool(body, "remember"));
  if (remember.value_or(false)) sign_in.remember = access::Remember::Yes;
  sign_in.device = access::find_cookie(request.headers, services.sessions.console().cookie_name(
                                                            request, kDeviceCookie))
                       .value_or("");
  return sign_in;
}

net::Response sign_in(const PeopleServices& services, net::Request& request) {
  if (const auto allowed = check_stranger(services, request); !allowed)
    return console_error(request, allowed.error());
  const auto read = read_sign_in(services, request);
  if (!read) return console_error(request, read.error());
  const auto signed_in = services.sign_in.sign_in(*read);
  if (!signed_in) return console_error(request, signed_in.error());
  // The browser forgets the session that it had: so does the server.
  if (const auto before = services.sessions.identify(request))
    if (const auto ended = services.sessions.end(*before, read->client); !ended)
      return console_error(request, ended.error());
  net::Response response = answer_with_session(services, request, signed_in->session);
  const access::ConsoleOrigin& console = services.sessions.console();
  if (!signed_in->device.empty())
    response.headers.add("Set-Cookie",
                         access::format_cookie({.name = console.cookie_name(request, kDeviceCookie),
                                                .value = signed_in->device,
                                                .transport = console.cookie_transport(request),
                                                .max_age_seconds = access::kDeviceSeconds}));
  return response;
}

net::Response sign_out(const PeopleServices& services, net::Request& request) {
  const auto identity = identify(services, request);
  if (!identity) return console_error(request, identity.error());
  if (const auto ended = services.sessions.end(*identity, access::client_context(request)); !ended)
    return console_error(request, ended.error());
  // Where the person may end their session at the provider too.
  const access::ConsoleOrigin& console = services.sessions.console();
  access::OidcSignIn* const provider = services.find_oidc(identity->row.provider);
  const std::string elsewhere =
      provider != nullptr ? provider->logout_url(console.url(request) + "/login") : "";
  net::Response response{.status = 204};
  if (!elsewhere.empty()) response = console_answer({{"logoutUrl", elsewhere}});
  response.headers.set("Cache-Control", "no-store");
  response.headers.add("Clear-Site-Data", R"("cookies","storage")");
  response.headers.add("Set-Cookie", services.sessions.clear_cookie(request));
  return response;
}

net::Response reauthenticate(const PeopleServices& services, net::Request& request) {
  const auto identity = identify(services, request);
  if (!identity) return console_error(request, identity.error());
  const auto password = read_text(request, "password");
  if (!password) return console_error(request, password.error());
  const auto renewed =
      services.sign_in.confirm(*identity, *password, access::client_context(request));
  if (!renewed) return console_error(request, renewed.error());
  return answer_with_session(services, request, *renewed);
}

net::Response change_password(const PeopleServices& services, net::Request& request) {
  const auto identity = identify(services, request);
  if (!identity) return console_error(request, identity.error());
  const auto body = read_object(request);
  if (!body) return console_error(request, body.error());
  const auto current = text_member(*body, "currentPassword");
  if (!current) return console_error(request, current.error());
  const auto next = text_member(*body, "newPassword");
  if (!next) return console_error(request, next.error());
  const auto changed =
      services.sign_in.change_password(*identity, *current, *next, access::client_context(request));
  if (!changed) return console_error(request, changed.error());
  return answer_with_session(services, request, *changed);
}

net::Response find_link(const PeopleServices& services, net::Request& request) {
  if (const auto allowed = check_stranger(services, request); !allowed)
    return console_error(request, allowed.error());
  const auto secret = read_text(request, "secret");
  if (!secret) return console_error(request, secret.error());
  const auto login = services.sign_in.find_link(*secret);
  if (!login) return console_error(request, login.error());
  return console_answer({{"login", *login}});
}

net::Response set_password_by_link(const PeopleServices& services, net::Request& request) {
  if (const auto allowed = check_stranger(services, request); !allowed)
    return console_error(request, allowed.error());
  const auto body = read_object(request);
  if (!body) return console_error(request, body.error());
  const auto secret = text_member(*body, "secret");
  if (!secret) return console_error(request, secret.error());
  const auto next = text_member(*body, "newPassword");
  if (!next) return console_error(request, next.error());
  const auto set =
      services.sign_in.set_password_by_link(*secret, *next, access::client_context(request));
  if (!set) return console_error(request, set.error());
  return console_answer({{"message", "Password set"}});
}

net::Response own_user(const PeopleServices& services, net::Request& request) {
  const auto identity = services.sessions.identify(request);
  if (!identity) return console_error(request, identity.error());
  return console_answer(user_json(identity->user));
}

net::Response own_organisations(const PeopleServices& services, net::Request& request) {
  const auto identity = services.sessions.identify(request);
  if (!identity) return console_error(request, identity.error());
  nlohmann::json list = nlohmann::json::array();
  for (const access::Membership& membership : identity->memberships)
    list.push_back(membership_json(membership));
  return console_answer(list);
}

net::Response own_sessions(const PeopleServices& services, net::Request& request) {
  const auto identity = services.sessions.identify(request);
  if (!identity) return console_error(request, identity.error());
  const auto sessions = services.people.list_sessions(
      services.sessions.principal(request, *identity, std::nullopt), identity->user.id);
  if (!sessions) return console_error(request, sessions.error());
  return console_answer(sessions_json(*sessions, identity->row.family_id));
}

net::Response end_own_session(const PeopleServices& services, net::Request& request) {
  const auto identity = identify(services, request);
  if (!identity) return console_error(request, identity.error());
  const auto id = read_text(request, "authTokenId");
  if (!id) return console_error(request, id.error());
  const auto ended = services.people.end_sessions(
      services.sessions.principal(request, *identity, std::nullopt), identity->user.id, *id);
  if (!ended) return console_error(request, ended.error());
  return console_answer({{"message", "User auth token revoked"}});
}

}  // namespace

access::OidcSignIn* PeopleServices::find_oidc(std::string_view name) const {
  const auto found = std::ranges::find(
      oidc, name,
      [](const access::OidcSignIn* each) -> std::string_view { return each->settings().name; });
  return found == oidc.end() ? nullptr : *found;
}

void add_session_routes(net::Router& router, const PeopleServices& services) {
  const auto add = [&](Method method, std::string_view path, std::string name,
                       net::Response (*handler)(const PeopleServices&, net::Request&),
                       std::string access = "session") {
    router.add(method, path, console_route(std::move(name), std::move(access)),
               [&services, handler](net::Request& request) { return handler(services, request); });
  };
  add(Method::Get, "/api/session", "session", who_am_i);
  add(Method::Post, "/api/session", "session", sign_in, "public");
  add(Method::Delete, "/api/session", "session", sign_out);
  add(Method::Post, "/api/session/reauthenticate", "session_reauthenticate", reauthenticate);
  add(Method::Post, "/api/session/password", "session_password", change_password);
  add(Method::Post, "/api/session/link", "session_link", find_link, "public");
  add(Method::Post, "/api/session/link/password", "session_link", set_password_by_link, "public");
  add(Method::Get, "/api/user", "user", own_user);
  add(Method::Get, "/api/user/orgs", "user_orgs", own_organisations);
  add(Method::Get, "/api/user/auth-tokens", "user_auth_tokens", own_sessions);
  add(Method::Post, "/api/user/revoke-auth-token", "user_auth_tokens", end_own_session);
}

net::Router rotate_sessions(const net::Router& router, access::Sessions& sessions) {
  net::Router rotating;
  rotating.set_error_renderer(router.error_renderer());
  for (const auto& route : router.routes())
    rotating.add(
        route->method, route->pattern, route->options,
        [&sessions, handler = route->handler](net::Request& request) {
          net::Response response = handler(request);
          // Sign-in, sign-out and confirmation hand out cookies of their own.
          if (response.headers.contains("Set-Cookie") || request.headers.contains("Authorization"))
            return response;
          const auto next = sessions.rotate_if_due(request);
          if (next && *next)
            response.headers.add("Set-Cookie", sessions.set_cookie(request, **next));
          return response;
        });
  return rotating;
}

}  // namespace gantry::api
