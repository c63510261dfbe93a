#pragma once

// Credentials to Principal, with a cache so that a known token costs no database query.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "access/access_error.h"
#include "access/control.h"
#include "access/credentials.h"
#include "access/principal.h"
#include "core/metrics.h"
#include "core/time.h"

namespace gantry::access {

class AuditLog;
class Directory;
class TokenHasher;

/// Evaluation order: the credential's form, the token's hash, revocation and expiry, the policy's
/// state, whether the user name and the selected stack belong to a realm of the policy — all of
/// these fail as 401 with one text — then whether the policy allows the client's address (403).
/// Scopes are the Gate's.
///
/// Thread-safe. May block on the state database.
class Authenticator {
 public:
  struct Options {
    std::int64_t positive_ttl_ms = 30'000;
    std::int64_t negative_ttl_ms = 5'000;
    std::int64_t stale_grace_ms = 300'000;    ///< Writers may go on so long without the database.
    std::size_t entries_max = 10'000;         ///< Of each kind; the least recently used goes first.
    std::int64_t usage_interval_ms = 60'000;  ///< At most one last-used write per token in this.
    AuditLog* audit = nullptr;                ///< Null: nothing is noted.
  };

  /// All must outlive it.
  Authenticator(Directory& directory, const TokenHasher& hasher, const Clock& clock,
                core::MetricRegistry& registry, Options options);
  ~Authenticator();
  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;

  /// For the telemetry of one stack.
  [[nodiscard]] AccessResult<Principal> authenticate(const RawCredentials& raw,
                                                     const CredentialForms& forms,
                                                     const ChallengeContext& context);

  /// For the control plane: the token's policy as it is, bound to no stack. A user name, when
  /// there is one, must still name a stack of the policy.
  [[nodiscard]] AccessResult<ControlPrincipal> authenticate_control(
      const RawCredentials& raw, const ChallengeContext& context);

  /// Notes that a known token was refused after authentication (scope, limit): its owner sees it.
  void note_refusal(const Principal& principal, const ClientContext& client,
                    std::string_view reason);

  /// The same on the control plane, also of people.
  void note_refusal(const ControlPrincipal& who, std::string_view reason);

  /// Forgets all cached principals: after a policy, token or stack changed anywhere.
  void forget_all();

  /// Writes buffered last-used times that are due; `all` at shutdown. Called by a timer.
  Result<void> flush_usage(bool all);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::access
