#pragma once

// The audit log: who did what, on what, from where, with which result. Rows of the state database
// that nothing changes or deletes but their age; each carries a hash over itself and the row
// before, so that a changed or missing row shows.
//
//   GANTRY_TRY(state::Transaction tx, directory.begin_write());
//   …                                               // the act
//   GANTRY_CHECK(audit.append(tx, {.event = "token.created", .actor = who.actor, …}));
//   GANTRY_CHECK(tx.commit());                      // both or neither

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/control.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/metrics.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

enum class Outcome : std::uint8_t { Ok, Denied, Error };

/// "ok", "denied", "error"
[[nodiscard]] std::string_view outcome_name(Outcome outcome);

/// What an act was done to.
struct AuditTarget {
  std::string type;  ///< "token", "accesspolicy", "stack", "org", "user", "session", …
  std::string id;
  std::string name;
};

/// Values of secrets are "set", "unset" or "changed".
struct AuditChange {
  std::string field;
  std::string before;
  std::string after;
};

struct AuditEvent {
  std::string event;  ///< "token.created"
  Outcome outcome = Outcome::Ok;
  Actor actor;
  std::optional<OrgId> org;
  std::optional<StackId> stack;
  AuditTarget target;
  ClientContext client;
  std::string session_hash;
  std::vector<AuditChange> changes;
  std::string reason;  ///< "expired", "unknown_token"; "" when there is nothing to explain.
};

struct AuditRecord {
  std::int64_t id = 0;  ///< Ascending.
  TimestampMs time;
  AuditEvent event;
  std::string hash;  ///< Hexadecimal.
};

/// Newest first. All conditions must hold; empty ones hold always.
struct AuditQuery {
  std::optional<OrgId> org;               ///< Absent: every organisation and what belongs to none.
  std::string event;                      ///< Exact, or "token." for all that begin so.
  std::string actor;                      ///< Id or name.
  std::string target;                     ///< Id or name.
  std::optional<TimestampMs> from;        ///< Inclusive.
  std::optional<TimestampMs> to;          ///< Exclusive.
  std::optional<std::int64_t> before_id;  ///< For the next page.
  std::size_t limit = 100;
};

struct AuditCheck {
  std::int64_t checked = 0;
  std::optional<std::int64_t> broken_id;  ///< The first row that does not follow from its past.
};

/// Thread-safe.
class AuditLog {
 public:
  struct Options {
    std::size_t queue_max = 10'000;            ///< Noted and not yet written.
    std::int64_t sample_interval_ms = 60'000;  ///< `note_sampled`: one per key in this time.
    std::size_t sample_keys_max = 10'000;
    DurationMs retention{std::int64_t{400} * 24 * 3600 * 1000};
  };

  /// All must outlive it.
  AuditLog(state::Db& db, const Clock& clock, core::MetricRegistry& registry, Options options);
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  /// As part of the act: on disk exactly when the act is.
  Result<void> append(state::Transaction& tx, const AuditEvent& event);

  /// For what happens on request paths (refusals, first uses): never blocks; `flush` writes it.
  /// When the queue is full the event is counted as lost (gantry_audit_lost_total).
  void note(AuditEvent event);

  /// As `note`, at most once per `key` and `interval`; absent: Options::sample_interval_ms.
  void note_sampled(std::string_view key, AuditEvent event,
                    std::optional<DurationMs> interval = std::nullopt);

  /// Writes what was noted. Called by a timer and at shutdown.
  Result<void> flush();

  [[nodiscard]] Result<std::vector<AuditRecord>> read(const AuditQuery& query) const;

  /// Walks the chain from the oldest row kept. Reads the whole log.
  [[nodiscard]] Result<AuditCheck> check() const;

  /// Removes rows older than the retention; the chain then begins at the oldest one left. Called
  /// by a timer.
  Result<void> expire();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::access
