#pragma once

// What the HTTP and gRPC surfaces are given. The server fills it; handlers keep a reference.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "access/gate.h"
#include "codec/influx.h"
#include "codec/otlp_metrics.h"
#include "codec/otlp_traces.h"
#include "codec/remote_write.h"
#include "core/metrics.h"
#include "core/time.h"
#include "promql/engine.h"
#include "traceql/engine.h"

namespace gantry::api {

/// How lines become series: `influx.*`.
struct InfluxSettings {
  codec::InfluxMapping mapping = codec::InfluxMapping::GrafanaCloud;
  std::string database_label;  ///< "": none, or `db` with the mapping of VictoriaMetrics.
  std::string source_label;    ///< "": none.
  bool partial_writes = false;
};

/// What a request to Tempo's API may ask for; 0: no limit.
struct TempoSettings {
  DurationMs search_range_max{std::int64_t{7} * 24 * 3600 * 1000};   ///< traces.search_range_max
  DurationMs metrics_range_max{std::int64_t{7} * 24 * 3600 * 1000};  ///< traces.metrics_range_max
  std::uint64_t trace_bytes_max = 50 << 20;                          ///< traces.trace_bytes_max
};

/// Limits and switches that handlers look at on each request, so that a reload reaches them.
struct Settings {
  std::uint64_t body_decompressed_bytes_max = 64 << 20;  ///< http.body_decompressed_bytes_max
  DurationMs query_timeout{120'000};                     ///< query.timeout
  DurationMs lookback{5 * 60 * 1000};                    ///< query.lookback
  std::uint32_t steps_max = 11'000;                      ///< query.steps_max
  InfluxSettings influx;
  codec::OtlpTracesOptions otlp_traces;  ///< limits.*_per_span_max and the like
  TempoSettings tempo;
  codec::RemoteWriteOptions remote_write;    ///< promql.type_and_unit_labels
  std::optional<std::uint64_t> samples_max;  ///< Of a query; absent: the engine's.
};

/// Told of every request that was let in, once it is answered.
using UseCounter =
    std::function<void(const access::Principal&, const net::Request&, const net::Response&)>;

/// What the status endpoints show of the process.
struct ProcessInformation {
  TimestampMs start_time;
  std::function<std::string()> effective_config;  ///< YAML, secrets masked.
  std::function<std::vector<std::pair<std::string, std::string>>()> flags;
  std::function<std::pair<bool, TimestampMs>()> last_reload;  ///< Success, and when.
  std::function<bool()> is_ready;
};

/// All references outlive the routers and gRPC methods made from it. Thread-safe to use.
struct Services {
  const access::Gate& gate;
  const promql::Engine& engine;
  const traceql::Engine& traceql;
  const Clock& clock;
  core::MetricRegistry& registry;
  std::function<Settings()> settings;
  std::function<codec::OtlpOptions(StackId)> otlp_options;  ///< With the stack's own delta state.
  ProcessInformation process;
  /// Before when a stack keeps nothing; absent: it keeps all. Empty: answers do not speak of it.
  std::function<std::optional<TimestampMs>(StackId)> kept_since;
  access::AuditLog* audit = nullptr;  ///< Null: nothing is recorded.
  UseCounter count_use;               ///< Empty: nobody counts.
  /// Whether Gantry's own traces may show what is asked of the stack: their readers need not be
  /// its. Empty: never.
  std::function<bool(StackId)> may_trace_content;
  std::uint64_t body_bytes_max = 16 << 20;  ///< http.body_bytes_max; fixed once routes are made.
  bool metrics_require_token = false;       ///< server.metrics_require_token
  /// Of an answer before compression; 0: none. A token's own limit goes before it.
  std::uint64_t response_bytes_max = 0;
};

}  // namespace gantry::api
