#pragma once

// Who is signed in to the console: sessions on the server, an opaque id in a cookie.
//
// An id is 32 random bytes; the state database has its keyed hash. A session ends after a time
// without use and after its whole lifetime. Its id is replaced every few minutes of use; the one
// before stays good for half a minute, for requests that were under way, and after that its use
// ends the family: somebody has a copy.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/access_error.h"
#include "access/audit.h"
#include "access/console_origin.h"
#include "access/control.h"
#include "access/session_rows.h"
#include "access/token.h"
#include "access/users.h"
#include "core/error.h"
#include "core/metrics.h"
#include "core/time.h"
#include "net/http.h"
#include "state/db.h"

namespace gantry::access {

/// The header that carries the token of `SessionIdentity::csrf_token`.
inline constexpr std::string_view kCsrfHeader = "X-Gantry-CSRF";

enum class Remember : std::uint8_t { No, Yes };

struct NewSession {
  std::string user_id;
  std::string provider;  ///< "password", or an OpenID provider's name.
  std::string provider_session;
  ClientContext client;
  Remember remember = Remember::No;
};

/// A session that a request belongs to.
struct SessionIdentity {
  SessionRow row;
  User user;
  std::vector<Membership> memberships;
};

/// What the browser is to keep.
struct IssuedSession {
  std::string family_id;
  std::string value;  ///< The cookie's value. Nowhere else.
  std::optional<std::int64_t> max_age_seconds;
};

/// Thread-safe. A session that was used in the last half minute costs no query.
class Sessions final : public SessionAuthenticator {
 public:
  struct Options {
    DurationMs idle_max{std::int64_t{8} * 3600 * 1000};
    DurationMs lifetime{std::int64_t{24} * 3600 * 1000};
    DurationMs remembered_lifetime{std::int64_t{7} * 24 * 3600 * 1000};
    DurationMs rotation_interval{std::int64_t{10} * 60 * 1000};
    DurationMs replaced_grace{30'000};
    std::size_t per_user_max = 20;  ///< Beyond it the oldest ends.
    DurationMs cache_life{30'000};  ///< How long another replica's change may go unnoticed when its
                                    ///< notice is lost.
    std::size_t cache_entries_max = 10'000;
  };

  /// All must outlive it.
  Sessions(state::Db& db, const TokenHasher& hasher, const ConsoleOrigin& console,
           const Clock& clock, AuditLog& audit, core::MetricRegistry& registry, Options options);
  ~Sessions() override;

  /// As SessionAuthenticator. Unsafe methods need the CSRF header besides. A super-admin who is no
  /// member gets the scopes of administration, none that read or write telemetry.
  [[nodiscard]] AccessResult<ControlPrincipal> authenticate(
      const net::Request& request, std::optional<OrgId> org) const override;

  /// The session of the request's cookie, whatever the method. Errors: 401, 403 (plain HTTP), 503.
  [[nodiscard]] AccessResult<SessionIdentity> identify(const net::Request& request) const;

  /// Everything that `authenticate` checks about where an unsafe request comes from.
  [[nodiscard]] AccessResult<void> check_forgery(const net::Request& request,
                                                 const SessionIdentity& identity) const;

  /// For X-Gantry-CSRF; the same for the whole family.
  [[nodiscard]] std::string csrf_token(const SessionIdentity& identity) const;

  [[nodiscard]] ControlPrincipal principal(const net::Request& request,
                                           const SessionIdentity& identity,
                                           std::optional<OrgId> org) const;

  /// Part of a sign-in: makes a session, and ends the oldest when there are too many.
  Result<IssuedSession> begin(state::Transaction& tx, const NewSession& session);

  /// A new id for the same family whose person has just proved who they are. Errors: NotFound when
  /// it has ended meanwhile.
  Result<IssuedSession> renew(state::Transaction& tx, const SessionIdentity& identity);

  /// Signing out.
  Result<void> end(const SessionIdentity& identity, const ClientContext& client);

  /// A new id when it is time for one; absent when not, or when the request has no session. Part of
  /// answering a request: the value goes into a Set-Cookie.
  [[nodiscard]] Result<std::optional<IssuedSession>> rotate_if_due(const net::Request& request);

  /// The Set-Cookie value that hands it out.
  [[nodiscard]] std::string set_cookie(const net::Request& request,
                                       const IssuedSession& issued) const;
  [[nodiscard]] std::string clear_cookie(const net::Request& request) const;

  /// Forgets what is cached: to be called after every commit that ends sessions or changes people,
  /// here or on another replica.
  void forget_all();

  /// Writes last-used times and removes what has ended. Called by a timer and at shutdown.
  Result<void> flush();

  [[nodiscard]] const ConsoleOrigin& console() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Hexadecimal, for the audit log.
[[nodiscard]] std::string session_hash_text(const TokenHash& hash);

}  // namespace gantry::access
