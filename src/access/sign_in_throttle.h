#pragma once

// How often a password may be guessed. Counters are in the state database, so that replicas share
// them, under keyed hashes: a password typed into the field for the name is not kept in clear.
//
//   per account and address   after 5 failures in 15 minutes: 2, 4, 8 … seconds, at most 15 minutes
//   per address               20 failures in 15 minutes, then until those 15 minutes are over
//   per account               after 100 failures in an hour, "slow mode": an attempt counts only 2
//   s
//                             after it was first refused; never a lock-out
//
// A browser on which the person has signed in before (the device cookie) is not subject to slow
// mode, so that strangers cannot keep anybody out. An address is an IPv4 address or an IPv6 /64.

#include <cstdint>
#include <string>
#include <string_view>

#include "access/token.h"
#include "core/error.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

struct SignInAttempt {
  std::string_view login;  ///< As typed, known or not.
  std::string_view ip;
  bool is_known_device = false;
};

/// Thread-safe. Every call is one transaction on the state database.
class SignInThrottle {
 public:
  /// All must outlive it.
  SignInThrottle(state::Db& db, const TokenHasher& hasher, const Clock& clock)
      : db_(db), hasher_(hasher), clock_(clock) {}

  struct Admission {
    bool is_admitted = false;
    DurationMs retry_after;  ///< When it is not: at least a second.
  };

  /// Before the password is looked at. What is admitted counts as a failure from here on, so that
  /// many attempts at once cannot pass the limits together; `forgive` takes that back.
  [[nodiscard]] Result<Admission> admit(const SignInAttempt& attempt);

  /// The password was right: forgets the failures of this account from this address.
  Result<void> forgive(const SignInAttempt& attempt);

  /// Removes counters whose time has passed. Called by a timer.
  Result<void> expire();

 private:
  state::Db& db_;
  const TokenHasher& hasher_;
  const Clock& clock_;
};

/// The part of an address that one person holds: an IPv4 address whole, an IPv6 address's /64.
[[nodiscard]] std::string throttled_address(std::string_view ip);

}  // namespace gantry::access
