#pragma once

// Requests between services, derived from pairs of spans: the series of Tempo's metrics-generator
// (grafana/tempo, modules/generator/processor/servicegraphs), under its names and with its
// defaults.
//
//   traces_service_graph_request_total
//   traces_service_graph_request_failed_total                          either side has an error
//   traces_service_graph_request_server_seconds{_bucket,_sum,_count}   the server's duration
//   traces_service_graph_request_client_seconds{_bucket,_sum,_count}   the client's duration
//   traces_service_graph_unpaired_spans_total                          spans that found no partner
//
// with the labels client, server and connection_type: none for a call, messaging_system between a
// producer and a consumer, database for a client span that names one, virtual_node where one side
// sends no spans.

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/metrics.h"
#include "core/time.h"
#include "pipeline/metric_table.h"
#include "telemetry/metric_batch.h"
#include "telemetry/span_batch.h"

namespace gantry::pipeline {

struct ServiceGraphOptions {
  DurationMs wait{10'000};           ///< For the other span of a pair.
  std::size_t waiting_max = 10'000;  ///< Spans that wait; more are refused and counted.
  /// Seconds: 0.1, doubling, 8 of them.
  std::vector<double> bounds = {0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8};
  /// Of a client span that nobody answers: the first that it has names the server.
  std::vector<std::string> peer_attributes = {"peer.service", "db.name", "db.namespace",
                                              "db.system.name", "db.system"};
  std::uint64_t series_max = 50'000;
  DurationMs stale_after{15 * 60'000};
  DurationMs interval{15'000};  ///< Between collections.
};

/// `observe` is thread-safe; it takes one lock per batch. `collect` is for one thread.
class ServiceGraph {
 public:
  /// The registry and the clock must outlive it. What finds no room is counted as
  /// gantry_pipeline_refused_total{processor="service_graph", reason="waiting_limit"}.
  ServiceGraph(ServiceGraphOptions options, core::MetricRegistry& registry, const Clock& clock);
  ~ServiceGraph();
  ServiceGraph(const ServiceGraph&) = delete;
  ServiceGraph& operator=(const ServiceGraph&) = delete;

  /// Spans of resources without service.name are left out.
  void observe(const telemetry::SpanBatch& batch);

  /// Replaces `batch` by the samples as of `now`, which must grow from call to call; spans that
  /// have waited long enough by then are settled first. Views in it live until the next call.
  void collect(TimestampMs now, telemetry::MetricBatch& batch);

  [[nodiscard]] std::size_t waiting_count() const;
  [[nodiscard]] std::uint64_t active_series() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::pipeline
