#pragma once

// What everything that reads or changes organisations, stacks, policies and tokens shares, and the
// one way to change them.
//
//   GANTRY_TRY(ControlChange change, ControlChange::begin(plane, who));
//   GANTRY_TRY(const Policy policy, create_policy(who.org, change, draft));
//   GANTRY_CHECK(change.commit());

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "access/audit.h"
#include "access/control.h"
#include "access/control_error.h"
#include "access/token.h"
#include "core/error.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

class Authenticator;

/// Rules that an operator sets.
struct ControlRules {
  bool allow_unknown_scopes = false;  ///< access.allow_unknown_scopes; such scopes grant nothing.
  bool legacy_keys = false;           ///< access.legacy_keys: new ones may be made.
  bool bearer_by_org_admin = false;   ///< access.bearer_by_org_admin
  std::uint32_t tokens_per_policy_max = 100;           ///< access.tokens_per_policy_max
  std::uint32_t policies_per_organisation_max = 1000;  ///< access.policies_per_organisation_max
  std::string zone = "local";                          ///< server.zone: always a good `region`.
};

/// All referenced parts outlive it. Thread-safe to use.
struct ControlPlane {
  state::Db& db;
  AuditLog& audit;
  Authenticator& authenticator;
  const TokenHasher& hasher;
  const Clock& clock;
  ControlRules rules;
};

/// Gantry itself: may do everything in `org`.
[[nodiscard]] ControlPrincipal system_control_principal(OrgId org);

/// One act of one principal: rows, audit events and the notice to all caches of principals commit
/// together or not at all. One thread; holds the database's write lock, so it must be short-lived.
class ControlChange {
 public:
  /// `plane` outlives it. Errors: the database's.
  [[nodiscard]] static Result<ControlChange> begin(const ControlPlane& plane, ControlPrincipal who);

  ~ControlChange();
  ControlChange(ControlChange&&) noexcept = default;
  ControlChange& operator=(ControlChange&&) = delete;
  ControlChange(const ControlChange&) = delete;
  ControlChange& operator=(const ControlChange&) = delete;

  [[nodiscard]] state::Transaction& tx() { return tx_; }

  [[nodiscard]] const ControlPrincipal& who() const { return who_; }

  [[nodiscard]] const ControlPlane& plane() const { return *plane_; }

  /// The same for all of the change.
  [[nodiscard]] TimestampMs now() const { return now_; }

  /// Adds an event to the commit; who, from where and which session are filled in here.
  void record(OrgId org, std::string event, AuditTarget target,
              std::vector<AuditChange> changes = {}, std::optional<StackId> stack = {});

  /// Undoes what is not rows; runs when the change ends without a commit.
  void on_rollback(std::function<void()> undo) { undo_.push_back(std::move(undo)); }

  /// Runs once the commit is on disk.
  void after_commit(std::function<void()> act) { acts_.push_back(std::move(act)); }

  /// On disk, and cached principals forgotten, when it returns. The change is over either way.
  [[nodiscard]] Result<void> commit();

 private:
  ControlChange(const ControlPlane& plane, ControlPrincipal who, state::Transaction tx);

  const ControlPlane* plane_;
  ControlPrincipal who_;
  state::Transaction tx_;
  TimestampMs now_;
  std::vector<AuditEvent> events_;
  std::vector<std::function<void()>> undo_;
  std::vector<std::function<void()>> acts_;
};

}  // namespace gantry::access
