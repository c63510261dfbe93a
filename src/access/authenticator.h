#pragma once

// Credentials to Principal, with a cache so that a known token costs no database query.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "access/access_error.h"
#include "access/credentials.h"
#include "access/principal.h"
#include "core/metrics.h"
#include "core/time.h"

namespace gantry::access {

class Directory;
class TokenHasher;

/// Evaluation order: the credential's form, the token's hash, expiry, the policy's state, and
/// whether the user name and the selected stack belong to a realm of the policy. All of these fail
/// as 401 with one text. Scopes are the Gate's.
///
/// Thread-safe. May block on the state database.
class Authenticator {
 public:
  struct Options {
    std::int64_t positive_ttl_ms = 30'000;
    std::int64_t negative_ttl_ms = 5'000;
    std::size_t entries_max = 10'000;         ///< Of each kind; the least recently used goes first.
    std::int64_t usage_interval_ms = 60'000;  ///< At most one last-used write per token in this.
  };

  /// All must outlive it.
  Authenticator(Directory& directory, const TokenHasher& hasher, const Clock& clock,
                core::MetricRegistry& registry, Options options);
  ~Authenticator();
  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;

  [[nodiscard]] AccessResult<Principal> authenticate(const RawCredentials& raw,
                                                     bool accepts_token_scheme,
                                                     const ChallengeContext& context);

  /// Forgets all cached principals: after a policy or token changed in this process.
  void forget_all();

  /// Writes buffered last-used times that are due; `all` at shutdown. Called by a timer.
  Result<void> flush_usage(bool all);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::access
