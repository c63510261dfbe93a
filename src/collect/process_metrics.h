#pragma once

#include <string>

#include "core/metrics.h"

namespace gantry::collect {

/// Registers what every Prometheus client library says of its process: process_cpu_seconds_total,
/// process_resident_memory_bytes, process_virtual_memory_bytes, process_open_fds, process_max_fds,
/// process_start_time_seconds; and gantry_build_info. Read from `proc_path` at each collection.
void register_process_metrics(core::MetricRegistry& registry, std::string proc_path = "/proc");

}  // namespace gantry::collect
