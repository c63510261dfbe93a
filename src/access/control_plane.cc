#include "access/control_plane.h"

#include <utility>

#include "access/authenticator.h"
#include "state/auth_epoch.h"

namespace gantry::access {

ControlPrincipal system_control_principal(OrgId org) {
  ControlPrincipal principal;
  principal.actor = {.type = Actor::Type::System, .id = {}, .name = "gantry"};
  principal.org = org;
  principal.scopes = role_scopes(Role::Admin);
  principal.realms = {{.type = Realm::Type::Org, .identifier = org.value(), .label_policies = {}}};
  return principal;
}

Result<ControlChange> ControlChange::begin(const ControlPlane& plane, ControlPrincipal who) {
  GANTRY_TRY(state::Transaction tx, plane.db.begin_write());
  return ControlChange(plane, std::move(who), std::move(tx));
}

ControlChange::ControlChange(const ControlPlane& plane, ControlPrincipal who, state::Transaction tx)
    : plane_(&plane), who_(std::move(who)), tx_(std::move(tx)), now_(plane.clock.now()) {}

ControlChange::~ControlChange() {
  for (const auto& undo : undo_) undo();
}

void ControlChange::record(OrgId org, std::string event, AuditTarget target,
                           std::vector<AuditChange> changes, std::optional<StackId> stack) {
  events_.push_back({.event = std::move(event),
                     .outcome = Outcome::Ok,
                     .actor = who_.actor,
                     .org = org,
                     .stack = stack,
                     .target = std::move(target),
                     .client = who_.client,
                     .session_hash = who_.session_hash,
                     .changes = std::move(changes),
                     .reason = {}});
}

Result<void> ControlChange::commit() {
  for (const AuditEvent& event : events_) GANTRY_CHECK(plane_->audit.append(tx_, event));
  GANTRY_CHECK(state::bump_auth_epoch(tx_, now_));
  GANTRY_CHECK(tx_.commit());
  undo_.clear();
  // Here as well as by the epoch's listener: whoever made the change sees it with the next request.
  plane_->authenticator.forget_all();
  for (const auto& act : acts_) act();
  return {};
}

}  // namespace gantry::access
