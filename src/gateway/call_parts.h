#pragma once

// What every call uses.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/metrics.h"
#include "core/time.h"
#include "core/worker_pool.h"
#include "gateway/attempt_plan.h"
#include "gateway/breaker.h"
#include "gateway/budget.h"
#include "gateway/call_metrics.h"
#include "gateway/call_slots.h"
#include "gateway/endpoint_statistics.h"
#include "gateway/generation_ids.h"
#include "gateway/generation_records.h"
#include "gateway/generation_sink.h"
#include "gateway/key_rows.h"
#include "gateway/random_source.h"
#include "gateway/routing.h"
#include "gateway/sticky_sessions.h"
#include "net/streaming_client.h"

namespace gantry::gateway {

enum class AnswerDetails : bool { Hidden, Shown };

struct CallOptions {
  std::string metadata_namespace = "gantry";  ///< As TraceOptions'.
  bool always_includes_usage = false;         ///< Streams end with a usage chunk, asked for or not.
  bool requires_price = false;                ///< Of models that keys with a budget may call.
  AnswerDetails overhead = AnswerDetails::Shown;  ///< X-Gantry-Overhead-Ms
  AnswerDetails provider = AnswerDetails::Shown;  ///< X-Gantry-Provider
  DurationMs deadline{600'000};                   ///< Of a call with all its attempts.
  DurationMs queue_wait_max{5'000};               ///< For a place among calls at once.
  DurationMs keep_alive{10'000};                  ///< Of streams, see ClientStream.
  DurationMs write_timeout{60'000};               ///< For 256 KiB of an answer.
  std::size_t answer_bytes_max = 64 << 20;        ///< Of an answer in one piece.
  std::int64_t output_tokens_assumed = 4'096;     ///< Reserved if a request sets no limit.
  AttemptPlanOptions attempts;
};

class LiveCalls;

/// All of it outlives the calls. Thread-safe.
struct CallParts {
  const Clock& clock;
  const Clock& steady_clock;
  RandomSource& random;
  const GenerationIds& make_id;
  net::StreamingClient& client;
  GatewayKeyFinder& keys;
  KeyBudgets& budgets;
  GenerationRecords& records;
  CallMetrics& metrics;
  core::Histogram& queue_seconds;
  const std::vector<GenerationSink*>& sinks;
  Breakers& breakers;
  EndpointStatistics& statistics;
  StickySessions& sessions;
  const Router& router;
  LiveCalls& live;
  const std::shared_ptr<core::WorkerPool> counters;  ///< Of tokens that providers did not count.
  const std::shared_ptr<CallSlots> slots;            ///< Of all calls at once.
  const CallOptions options;
};

}  // namespace gantry::gateway
