#pragma once

// What the commands work on that use the state database themselves, beside a running server.

#include <memory>

#include "access/audit.h"
#include "access/secrets/keyring_source.h"
#include "core/error.h"
#include "core/metrics.h"
#include "core/time.h"
#include "server/config.h"
#include "state/db.h"

namespace gantry::cli {

/// Parts refer to those above them.
struct Workplace {
  access::KeyringSource source;
  SystemClock clock;
  core::MetricRegistry registry;
  std::unique_ptr<state::Db> db;  ///< Null: there is no database yet.
  std::unique_ptr<access::AuditLog> audit;
};

/// Errors: InvalidArgument (no data directory), FailedPrecondition (the database has another schema
/// than this program's), the database's.
[[nodiscard]] Result<std::unique_ptr<Workplace>> open_workplace(const server::Config& config);

/// Errors: NotFound.
[[nodiscard]] Result<void> require_database(const Workplace& place);

}  // namespace gantry::cli
