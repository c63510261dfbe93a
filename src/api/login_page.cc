// The pages that work without the console: signing in, setting a password by link, one's account.

#include <fmt/core.h>

#include "api/console_assets_internal.h"
#include "api/console_support_internal.h"
#include "api/people_json_internal.h"
#include "api/session.h"
#include "core/rfc3339.h"
#include "net/egress_url.h"

namespace gantry::api {
namespace {

/// Where to after signing in: the console's own front page is the default.
std::string return_path(const net::Request& request) {
  const auto parameters = net::Parameters::parse(request.raw_query);
  if (!parameters) return home_or("/");
  return home_or(access::safe_return_path(parameters->find("return_to").value_or("")));
}

/// "https://idp.example", for the policy that says where a sign-in may lead; one for each provider.
std::string provider_origins(const PeopleServices& services) {
  std::string origins;
  for (const access::OidcSignIn* oidc : services.oidc) {
    const auto url = net::parse_egress_url(oidc->settings().issuer);
    if (url) origins += (origins.empty() ? "" : " ") + url->origin();
  }
  return origins;
}

std::string shown_name(const access::OidcSettings& provider) {
  return escape_html(provider.display_name.empty() ? provider.name : provider.display_name);
}

std::string provider_buttons(const PeopleServices& services, std::string_view target) {
  std::string buttons;
  for (const access::OidcSignIn* oidc : services.oidc)
    buttons += fmt::format(
        R"(
<a class="button plain" href="/login/oidc/{}?return_to={}">Sign in with {}</a>)",
        oidc->settings().name, escape_query(target), shown_name(oidc->settings()));
  return buttons.empty() ? buttons : "\n<p class=\"or\">or</p>" + buttons;
}

net::Response login_page(const PeopleServices& services, net::Request& request) {
  if (const auto allowed = services.sessions.console().check_transport(request); !allowed)
    return message_page(request, allowed.error(), "Not available");
  const std::string target = return_path(request);
  const std::string body = fmt::format(
      R"(<div class="card">
<h1>Sign in</h1>
<p id="message" class="message" role="alert" hidden></p>
<noscript><p class="message bad">Signing in needs JavaScript.</p></noscript>
<form id="login" method="post" data-return-to="{}">
<label for="user">User name</label>
<input id="user" name="user" type="text" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus>
<label for="secret">Password</label>
<input id="secret" name="password" type="password" autocomplete="current-password" required>
<label class="check"><input name="remember" type="checkbox"> Keep me signed in for a week</label>
<button>Sign in</button>
</form>{}
</div>)",
      escape_html(target), provider_buttons(services, target));
  return page_response(request, 200, html_page("Sign in", "", body), provider_origins(services));
}

net::Response link_page(const PeopleServices& services, net::Request& request) {
  if (const auto allowed = services.sessions.console().check_transport(request); !allowed)
    return message_page(request, allowed.error(), "Not available");
  static constexpr std::string_view kBody = R"(<div class="card">
<h1>Set a password</h1>
<p id="message" class="message" role="alert" hidden></p>
<noscript><p class="message bad">This page needs JavaScript.</p></noscript>
<form id="link" method="post" hidden>
<p id="whose"></p>
<input name="user" type="text" autocomplete="username" hidden>
<label for="secret">New password</label>
<input id="secret" name="password" type="password" autocomplete="new-password" minlength="8" aria-describedby="advice" required>
<p class="hint" id="advice">At least 8 characters; 15 or more are better. A sentence is fine.</p>
<label for="again">The same again</label>
<input id="again" name="again" type="password" autocomplete="new-password" required>
<button>Set the password</button>
</form>
<p id="after" hidden><a class="button" href="/login">Sign in</a></p>
</div>)";
  return page_response(request, 200, html_page("Set a password", "", kBody), {});
}

std::string organisation_rows(const access::SessionIdentity& identity) {
  std::string rows;
  for (const access::Membership& membership : identity.memberships)
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                        escape_html(membership.org_name), role_word(membership.role),
                        membership.label_policies ? "restricted by labels" : "");
  if (rows.empty()) rows = R"(<tr><td colspan="3">None.</td></tr>)";
  return rows;
}

/// "2026-11-21 15:05 UTC"
std::string minute_text(TimestampMs time) {
  const std::string text = core::format_rfc3339(time);
  return fmt::format("{} {} UTC", text.substr(0, 10), text.substr(11, 5));
}

/// Nothing for people who sign in with a provider only.
std::string password_section(const access::User& user) {
  if (user.password_hash.empty()) return {};
  return fmt::format(
      R"(<section class="card"><h2>Change the password</h2>
<form id="password" method="post">
<input name="user" type="text" autocomplete="username" value="{}" hidden>
<label for="current">Current password</label>
<input id="current" name="current" type="password" autocomplete="current-password" required>
<label for="next">New password</label>
<input id="next" name="password" type="password" autocomplete="new-password" minlength="8" aria-describedby="advice" required>
<p class="hint" id="advice">At least 8 characters; 15 or more are better. A sentence is fine.</p>
<label for="again">The same again</label>
<input id="again" name="again" type="password" autocomplete="new-password" required>
<button>Change it</button>
</form></section>
)",
      escape_html(user.login));
}

std::string link_section(const PeopleServices& services) {
  std::string buttons;
  for (const access::OidcSignIn* oidc : services.oidc)
    buttons += fmt::format(
        R"(<button class="plain" data-link="/login/oidc/{}/link">Add {}</button>
)",
        oidc->settings().name, shown_name(oidc->settings()));
  if (buttons.empty()) return {};
  return fmt::format(R"(<section class="card"><h2>Other ways to sign in</h2>
{}</section>
)",
                     buttons);
}

std::string session_rows(const std::vector<access::SessionRow>& sessions, std::string_view own) {
  std::string rows;
  for (const access::SessionRow& session : sessions) {
    const std::string action =
        session.family_id == own
            ? "this one"
            : fmt::format(R"(<button class="plain small" data-session="{}">End</button>)",
                          escape_html(session.family_id));
    rows += fmt::format(
        "<tr><td class=\"short\">{}</td><td class=\"short\">{}</td><td>{}</td><td "
        "class=\"short\">{}</td></tr>\n",
        minute_text(session.signed_in_at), escape_html(session.ip), escape_html(session.user_agent),
        action);
  }
  return rows;
}

net::Response account_page(const PeopleServices& services, net::Request& request) {
  const auto identity = services.sessions.identify(request);
  if (!identity) {
    if (identity.error().status == 401)
      if (auto redirect = login_redirect(request)) return *std::move(redirect);
    if (identity.error().status == 403)
      return message_page(request, identity.error(), "Not available");
    return console_error(request, identity.error());
  }
  const auto sessions = services.people.list_sessions(
      services.sessions.principal(request, *identity, std::nullopt), identity->user.id);
  if (!sessions) return console_error(request, sessions.error());
  const std::string body = fmt::format(
      R"(<div id="account" data-csrf="{}">
<div class="row"><h1>{}</h1><button id="sign-out" class="plain small">Sign out</button></div>
<p id="message" class="message" role="alert" hidden></p>
<section class="card"><h2>Organisations</h2>
<table><thead><tr><th>Name</th><th>Role</th><th></th></tr></thead><tbody>
{}</tbody></table></section>
<section class="card"><h2>Sessions</h2>
<div class="scroll"><table><thead><tr><th>Since</th><th>Address</th><th>Browser</th><th></th></tr></thead><tbody>
{}</tbody></table></div></section>
{}{}</div>)",
      services.sessions.csrf_token(*identity), escape_html(identity->user.login),
      organisation_rows(*identity), session_rows(*sessions, identity->row.family_id),
      password_section(identity->user), link_section(services));
  return page_response(request, 200, html_page("Account", "wide", body), {});
}

net::Response asset(std::string_view type, std::string_view text) {
  net::Response response{.status = 200};
  response.headers.add("Content-Type", std::string(type));
  response.headers.add("Cache-Control", "no-cache");
  response.headers.add("X-Content-Type-Options", "nosniff");
  response.headers.add("Cross-Origin-Resource-Policy", "same-origin");
  response.body = text;
  return response;
}

}  // namespace

void add_login_page_routes(net::Router& router, const PeopleServices& services) {
  using net::Method;
  router.add(Method::Get, "/login", console_route("login", "public"),
             [&services](net::Request& request) { return login_page(services, request); });
  router.add(Method::Get, "/login/password", console_route("login", "public"),
             [&services](net::Request& request) { return link_page(services, request); });
  router.add(Method::Get, "/account", console_route("account", "public"),
             [&services](net::Request& request) { return account_page(services, request); });
  router.add(Method::Get, "/login/style.css", console_route("login", "public"),
             [](net::Request&) { return asset("text/css; charset=utf-8", console_style()); });
  router.add(Method::Get, "/login/script.js", console_route("login", "public"), [](net::Request&) {
    return asset("text/javascript; charset=utf-8", console_script());
  });
}

}  // namespace gantry::api
