#pragma once

// What the configuration says to parts that know nothing of it.

#include <optional>

#include "core/worker_pool.h"
#include "net/server.h"
#include "promql/engine.h"
#include "server/config.h"
#include "storage/disk_guard.h"
#include "traces/store.h"

namespace gantry::server {

[[nodiscard]] storage::DiskGuard::Options disk_marks(const Config& config);

/// `workers` outlives the engine.
[[nodiscard]] promql::EngineOptions engine_options(const Config& config, core::WorkerPool& workers);

/// Absent: listeners speak plain text.
[[nodiscard]] std::optional<net::TlsOptions> tls_options(const Config& config);

/// One setting decides for samples and spans when a write is acknowledged.
[[nodiscard]] traces::StoreOptions trace_options(const Config& config);

}  // namespace gantry::server
