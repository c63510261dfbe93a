#pragma once

// Settings of the operator's that decide who gets in, and which the control plane does not keep: a
// change of them shows between two starts, and is an audit event all the same.

#include <map>
#include <span>
#include <string>

#include "access/audit.h"
#include "access/token.h"
#include "core/error.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

/// Settings that are recorded, compared and reported together.
struct RecordedSettings {
  std::string name;   ///< "oidc/sso"; unique.
  std::string event;  ///< "oidc.config_changed"
  AuditTarget target;
  std::map<std::string, std::string> values;   ///< By field.
  std::map<std::string, std::string> secrets;  ///< Kept as keyed hashes, shown as set or changed.
  bool reports_first = true;                   ///< Also what was never recorded before.
};

/// Compares `current` with what the last call recorded, in whichever process; what differs, is new
/// or is gone becomes an audit event with the fields that differ, and `current` is recorded.
Result<void> record_settings(state::Db& db, AuditLog& audit, const TokenHasher& hasher,
                             std::span<const RecordedSettings> current, TimestampMs now);

}  // namespace gantry::access
