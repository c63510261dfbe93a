#pragma once

// Signing in with a name and a password, and everything else that needs the password: proving it
// again, changing it, setting a new one through a link.
//
// Each answers 401 "Invalid user name or password" whatever was wrong, at the cost of one hash; 429
// with Retry-After when there were too many attempts.

#include <cstdint>
#include <string>
#include <string_view>

#include "access/access_error.h"
#include "access/audit.h"
#include "access/password.h"
#include "access/sessions.h"
#include "access/sign_in_throttle.h"
#include "access/token.h"
#include "access/users.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

struct PasswordSignInRequest {
  std::string login;
  std::string password;
  Remember remember = Remember::No;
  std::string device;  ///< The value of the device cookie; "" for none.
  ClientContext client;
};

struct SignedIn {
  IssuedSession session;
  std::string device;  ///< A new value for the device cookie; "" to leave it.
};

inline constexpr std::int64_t kDeviceSeconds = std::int64_t{90} * 24 * 3600;

/// Thread-safe. Computes password hashes: on workers only.
class PasswordSignIn {
 public:
  /// All must outlive it.
  struct Parts {
    state::Db& db;
    Sessions& sessions;
    PasswordHasher& passwords;
    const TokenHasher& hasher;
    AuditLog& audit;
    const Clock& clock;
  };

  explicit PasswordSignIn(const Parts& parts);

  [[nodiscard]] AccessResult<SignedIn> sign_in(const PasswordSignInRequest& request);

  /// For acts that want a fresh proof: the session goes on under a new id.
  [[nodiscard]] AccessResult<IssuedSession> confirm(const SessionIdentity& identity,
                                                    const std::string& password,
                                                    const ClientContext& client);

  /// Ends the person's other sessions and open links. Errors besides: 400 for a password that may
  /// not be chosen.
  [[nodiscard]] AccessResult<IssuedSession> change_password(const SessionIdentity& identity,
                                                            const std::string& current,
                                                            const std::string& next,
                                                            const ClientContext& client);

  /// The login that a link of UserAdministration::make_password_link is for. Errors: 401.
  [[nodiscard]] AccessResult<std::string> find_link(std::string_view secret);

  /// Ends all sessions of its person. Errors: 401 (no such link any more), 400 as change_password;
  /// then the link stays good.
  [[nodiscard]] AccessResult<void> set_password_by_link(std::string_view secret,
                                                        const std::string& next,
                                                        const ClientContext& client);

  /// Removes what has run out. Called by a timer.
  Result<void> expire();

 private:
  [[nodiscard]] AccessResult<User> check_password(const SignInAttempt& attempt,
                                                  const std::string& password,
                                                  const ClientContext& client);
  [[nodiscard]] AccessResult<bool> is_known_device(std::string_view login, std::string_view device);
  [[nodiscard]] AccessResult<std::string> hash_new(const User& user, const std::string& next);
  void note_failure(const SignInAttempt& attempt, const User* user, const ClientContext& client,
                    std::string_view reason);

  Parts parts_;
  SignInThrottle throttle_;
};

}  // namespace gantry::access
