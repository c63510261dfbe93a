#include "api/oidc.h"

#include <utility>

#include <fmt/core.h>

#include "api/console_support_internal.h"

namespace gantry::api {
namespace {

constexpr std::string_view kFlowCookie = "oidc";

using access::OidcSignIn;

std::string redirect_url(const PeopleServices& services, const OidcSignIn& oidc,
                         const net::Request& request) {
  return fmt::format("{}/login/oidc/{}/callback", services.sessions.console().url(request),
                     oidc.settings().name);
}

/// 403 over plain HTTP.
std::optional<net::Response> refuse(const PeopleServices& services, const net::Request& request) {
  if (const auto allowed = services.sessions.console().check_transport(request); !allowed)
    return console_error(request, allowed.error());
  return std::nullopt;
}

std::optional<access::SessionIdentity> current_session(const PeopleServices& services,
                                                       const net::Request& request) {
  auto identity = services.sessions.identify(request);
  if (!identity) return std::nullopt;
  return *std::move(identity);
}

void hand_out_flow(const PeopleServices& services, const net::Request& request,
                   const access::OidcStart& started, net::Response& response) {
  const access::ConsoleOrigin& console = services.sessions.console();
  response.headers.add("Set-Cookie",
                       access::format_cookie({.name = console.cookie_name(request, kFlowCookie),
                                              .value = started.cookie,
                                              .transport = console.cookie_transport(request),
                                              .max_age_seconds = access::kOidcFlowSeconds}));
}

net::Response start(const PeopleServices& services, OidcSignIn& oidc, net::Request& request) {
  if (auto refused = refuse(services, request)) return *std::move(refused);
  const auto parameters = net::Parameters::parse(request.raw_query);
  if (!parameters) return console_error(request, parameters.error());
  const auto purpose = parameters->find("reauth") ? access::OidcPurpose::Reauthenticate
                                                  : access::OidcPurpose::SignIn;
  const auto started =
      oidc.start(purpose, redirect_url(services, oidc, request),
                 parameters->find("return_to").value_or(""), current_session(services, request));
  if (!started) return message_page(request, started.error(), "Signing in is not possible");
  net::Response response = redirect_response(started->location);
  hand_out_flow(services, request, *started, response);
  return response;
}

/// Guarded against forged requests, unlike `start`: another site could sign the browser in at the
/// provider as somebody else first, and would then have a way into the account.
net::Response start_link(const PeopleServices& services, OidcSignIn& oidc, net::Request& request) {
  if (auto refused = refuse(services, request)) return *std::move(refused);
  const auto identity = services.sessions.identify(request);
  if (!identity) return console_error(request, identity.error());
  if (const auto allowed = services.sessions.check_forgery(request, *identity); !allowed)
    return console_error(request, allowed.error());
  const auto started = oidc.start(access::OidcPurpose::Link, redirect_url(services, oidc, request),
                                  "/account", *identity);
  if (!started) return console_error(request, started.error());
  net::Response response = console_answer({{"location", started->location}});
  hand_out_flow(services, request, *started, response);
  return response;
}

net::Response finish(const PeopleServices& services, OidcSignIn& oidc, net::Request& request) {
  if (auto refused = refuse(services, request)) return *std::move(refused);
  const auto parameters = net::Parameters::parse(request.raw_query);
  if (!parameters) return console_error(request, parameters.error());
  const access::ConsoleOrigin& console = services.sessions.console();
  const std::string cookie_name = console.cookie_name(request, kFlowCookie);
  const auto text = [&](std::string_view name) {
    return std::string(parameters->find(name).value_or(""));
  };
  access::OidcCallback callback{
      .cookie = access::find_cookie(request.headers, cookie_name).value_or(""),
      .state = text("state"),
      .code = text("code"),
      .error = text("error"),
      .redirect_url = redirect_url(services, oidc, request),
      .current = current_session(services, request),
      .client = access::client_context(request)};
  if (parameters->find("iss")) callback.issuer = text("iss");
  const auto finished = oidc.finish(callback);
  // The browser forgets the session that it had: so does the server.
  if (finished && callback.current &&
      callback.current->row.family_id != finished->session.family_id)
    if (const auto ended = services.sessions.end(*callback.current, callback.client); !ended)
      return console_error(request, ended.error());
  net::Response response = finished ? redirect_response(home_or(finished->return_to))
                                    : message_page(request, finished.error(), "Signing in failed");
  response.headers.add(
      "Set-Cookie", access::format_expired_cookie(cookie_name, console.cookie_transport(request)));
  if (finished)
    response.headers.add("Set-Cookie", services.sessions.set_cookie(request, finished->session));
  return response;
}

/// From server to server: no cookie, no origin; the token is the credential.
net::Response back_channel_logout(const PeopleServices&, OidcSignIn& oidc, net::Request& request) {
  const auto parameters = net::Parameters::parse(request.body);
  const auto token = parameters ? parameters->find("logout_token") : std::nullopt;
  const auto ended = oidc.back_channel_logout(token.value_or(""), access::client_context(request));
  if (!ended) return console_error(request, ended.error());
  net::Response response{.status = 200};
  response.headers.add("Cache-Control", "no-store");
  return response;
}

}  // namespace

void add_oidc_routes(net::Router& router, const PeopleServices& services) {
  const auto add = [&](net::Method method, std::string_view path,
                       net::Response (*handler)(const PeopleServices&, OidcSignIn&, net::Request&),
                       std::string access = "public") {
    router.add(method, path, console_route("login_oidc", std::move(access)),
               [&services, handler](net::Request& request) {
                 OidcSignIn* const oidc = services.find_oidc(request.path_parameter("provider"));
                 if (oidc == nullptr)
                   return console_error(request, 404, "no such sign-in provider");
                 return handler(services, *oidc, request);
               });
  };
  add(net::Method::Get, "/login/oidc/{provider}", start);
  add(net::Method::Post, "/login/oidc/{provider}/link", start_link, "session");
  add(net::Method::Get, "/login/oidc/{provider}/callback", finish);
  add(net::Method::Post, "/login/oidc/{provider}/backchannel-logout", back_channel_logout);
}

}  // namespace gantry::api
