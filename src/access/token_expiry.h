#pragma once

// Tells before a token expires, so that nobody learns of it from a pipeline that has stopped.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "access/audit.h"
#include "core/error.h"
#include "core/metrics.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

/// Of all organisations' tokens that have an expiry and are not revoked:
///
/// - gantry_token_expires_in_seconds{token_id}, as of the last `look`; below zero for a week after
///   the token has expired. The 2,000 that expire first.
/// - an audit event `token.expiring` and a line in the log 14, 7 and 1 days before, and
///   `token.expired`: each once in the installation, however many replicas look. A change of the
///   expiry starts anew. A token that is not made for longer than 14 (7, 1) days gets no such
///   warning, and one that is found late only the most urgent.
///
/// One thread.
class TokenExpiry {
 public:
  /// All must outlive it.
  TokenExpiry(state::Db& db, AuditLog& audit, const Clock& clock, core::MetricRegistry& registry)
      : db_(db), audit_(audit), clock_(clock), registry_(registry) {}

  /// Called by a timer, every minute or so. Errors: the database's; the next call catches up.
  Result<void> look();

 private:
  struct Candidate;
  /// A token's id, its expiry, and days before it.
  using Notice = std::tuple<std::string, std::int64_t, std::int64_t>;

  Result<void> announce(TimestampMs now);
  void show(const std::map<std::string, double>& seconds_by_token);

  state::Db& db_;
  AuditLog& audit_;
  const Clock& clock_;
  core::MetricRegistry& registry_;
  std::set<Notice> announced_;   // by this process or, as it found out, by another
  std::set<std::string> shown_;  // tokens with a gauge
};

}  // namespace gantry::access
