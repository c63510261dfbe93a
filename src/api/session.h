#pragma once

// Signing in and out, and what a person does to their own account:
//
//   GET, POST, DELETE /api/session       who am I, sign in, sign out
//   POST /api/session/reauthenticate     the password again, for acts that want a recent sign-in
//   POST /api/session/password           a new password
//   POST /api/session/link[/password]    whose password link this is; set the password with it
//   GET /api/user, /api/user/orgs, /api/user/auth-tokens, POST /api/user/revoke-auth-token
//   GET /login, /login/password, /account and their script and style

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/audit.h"
#include "access/control.h"
#include "access/oidc_sign_in.h"
#include "access/sessions.h"
#include "access/sign_in.h"
#include "access/user_administration.h"
#include "net/router.h"

namespace gantry::api {

/// All references outlive the routes. Thread-safe to use.
struct PeopleServices {
  access::Sessions& sessions;
  access::PasswordSignIn& sign_in;
  access::UserAdministration& people;
  access::AuditLog& audit;
  std::vector<access::OidcSignIn*> oidc;  ///< One for each provider; empty: passwords only.

  /// A token's policy, or a session after the checks against forged requests.
  std::function<access::AccessResult<access::ControlPrincipal>(const net::Request&,
                                                               std::optional<access::OrgId>)>
      admit;

  /// Null when there is none of that name.
  [[nodiscard]] access::OidcSignIn* find_oidc(std::string_view name) const;
};

void add_session_routes(net::Router& router, const PeopleServices& services);
void add_login_page_routes(net::Router& router, const PeopleServices& services);

/// The same routes; an answer to a session whose id is due for replacement carries the new one.
[[nodiscard]] net::Router rotate_sessions(const net::Router& router, access::Sessions& sessions);

}  // namespace gantry::api
