#pragma once

// Changes of destinations as events of the audit log. No event holds a secret or the query of a
// URL.

#include <vector>

#include "access/audit.h"
#include "access/control_plane.h"
#include "broadcast/destination.h"

namespace gantry::broadcast {

/// `secrets`: changes that StoredSecrets has told of.
void record_created(access::OrgId org, access::ControlChange& change, const Destination& made,
                    std::vector<access::AuditChange> secrets, bool is_verified);

/// False, and no event, when nothing differs. Secrets, privacy mode and sampling have events of
/// their own. The secrets in both configs are not looked at.
[[nodiscard]] bool record_updated(access::OrgId org, access::ControlChange& change,
                                  const Destination& before, const Destination& after,
                                  std::vector<access::AuditChange> secrets, bool is_verified);

void record_deleted(access::OrgId org, access::ControlChange& change,
                    const Destination& destination);

}  // namespace gantry::broadcast
