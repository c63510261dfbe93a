#pragma once

// Who acts on the control plane (organisations, stacks, policies, tokens, users), as opposed to
// Principal, which reads or writes the telemetry of one stack.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/access_error.h"
#include "access/principal.h"
#include "access/scope.h"
#include "net/http.h"

namespace gantry::access {

/// Where a policy holds: every stack of an organisation, or one stack.
struct Realm {
  enum class Type : std::uint8_t { Org, Stack };

  Type type = Type::Stack;
  std::int64_t identifier = 0;  ///< An OrgId's or a StackId's value.

  /// Selectors of which any one must hold; absent: no restriction. An empty list shows nothing.
  std::optional<std::vector<std::string>> label_policies;

  friend bool operator==(const Realm&, const Realm&) = default;
};

/// A person's role in an organisation, ascending.
enum class Role : std::uint8_t { Viewer, Editor, Admin };

/// "viewer", "editor", "admin"
[[nodiscard]] std::string_view role_name(Role role);
[[nodiscard]] std::optional<Role> parse_role(std::string_view name);

/// What a person of that role may do in the organisation, in terms of scopes. What is finer than
/// scopes (whose tokens, whose audit events) handlers decide by `ControlPrincipal::role`.
[[nodiscard]] ScopeSet role_scopes(Role role);

/// As the audit log names who did something.
struct Actor {
  enum class Type : std::uint8_t { User, Token, System, Anonymous };

  Type type = Type::Anonymous;
  std::string id;    ///< A user's or token's id; "" for the others.
  std::string name;  ///< A login, "<policy>/<token>", or "gantry".
};

/// "user", "token", "system", "anonymous"
[[nodiscard]] std::string_view actor_type_name(Actor::Type type);

/// The request behind an act, for the audit log and for address rules.
struct ClientContext {
  std::string ip;
  std::string user_agent;  ///< At most 200 bytes.
  std::string request_id;
};

[[nodiscard]] ClientContext client_context(const net::Request& request);

/// Plain data. A token's rights are its policy's; a session's are those of the person's role.
struct ControlPrincipal {
  Actor actor;
  ClientContext client;
  OrgId org;  ///< A token's own; the one that a session selected.
  ScopeSet scopes;
  std::vector<Realm> realms;                 ///< A session: the organisation.
  std::vector<std::string> allowed_subnets;  ///< Of the token's policy: CIDR; empty: any.
  std::string policy_id;                     ///< Of the token; "" for sessions.

  // Sessions only.
  std::optional<Role> role;              ///< In `org`; absent for tokens and for who is no member.
  bool is_super_admin = false;           ///< Of the whole installation. Never a token.
  std::string session_hash;              ///< Hexadecimal, for the audit log.
  std::int64_t authenticated_at_ms = 0;  ///< When a password or provider last vouched.
};

/// Signed-in people. Implemented by Sessions; an interface so that the Gate does not know cookies.
class SessionAuthenticator {
 public:
  SessionAuthenticator() = default;
  SessionAuthenticator(const SessionAuthenticator&) = delete;
  SessionAuthenticator& operator=(const SessionAuthenticator&) = delete;
  virtual ~SessionAuthenticator() = default;

  /// The session of the request's cookie, after the checks against forged requests for unsafe
  /// methods. `org`: which organisation is meant; absent: the person's only or first one. Errors:
  /// 401 (none, ended), 403 (forged, or not a member).
  [[nodiscard]] virtual AccessResult<ControlPrincipal> authenticate(
      const net::Request& request, std::optional<OrgId> org) const = 0;
};

}  // namespace gantry::access
