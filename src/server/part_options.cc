#include "server/part_options.h"

#include <cstdint>

namespace gantry::server {

storage::DiskGuard::Options disk_marks(const Config& config) {
  const std::uint64_t resume =
      config.disk_free_resume != 0 ? config.disk_free_resume : 2 * config.disk_free_min;
  return {.floor_bytes = config.disk_free_min, .resume_bytes = resume};
}

promql::EngineOptions engine_options(const Config& config, core::WorkerPool& workers) {
  return {.workers = &workers,
          .parser = config.promql.parser,
          .delayed_name_removal = config.promql.delayed_name_removal,
          .use_start_timestamps = config.promql.use_start_timestamps,
          .type_and_unit_labels = config.promql.type_and_unit_labels,
          .lookback_ms = config.query.lookback.count,
          .default_subquery_step_ms = config.query.default_subquery_step.count,
          .samples_max = config.query.samples_max,
          .memory_bytes_max = config.query.memory_bytes_max};
}

std::optional<net::TlsOptions> tls_options(const Config& config) {
  if (config.tls.cert_file.empty()) return std::nullopt;
  return net::TlsOptions{.certificate_file = config.tls.cert_file,
                         .private_key_file = config.tls.key_file};
}

traces::StoreOptions trace_options(const Config& config) {
  traces::StoreOptions options = config.traces.store;
  options.durability = config.storage.durability == metrics::Durability::Written
                           ? traces::Durability::Written
                           : traces::Durability::Synced;
  return options;
}

}  // namespace gantry::server
