#pragma once

// The LLM gateway as one object: what the server holds and whose routes it mounts.
//
//   Gateway gateway(parts, options);
//   GANTRY_CHECK(gateway.serve(catalogue));   // again with a new one: calls under way keep theirs
//   gateway.add_routes(router);               // below /api/v1 and /v1
//   …
//   gateway.stop();                           // before the parts go

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/error.h"
#include "core/metrics.h"
#include "core/time.h"
#include "gateway/breaker.h"
#include "gateway/budget.h"
#include "gateway/call_metrics.h"
#include "gateway/call_parts.h"
#include "gateway/catalogue.h"
#include "gateway/generation_ids.h"
#include "gateway/generation_records.h"
#include "gateway/generation_sink.h"
#include "gateway/key_rows.h"
#include "gateway/served_catalogue.h"
#include "net/http.h"
#include "net/router.h"
#include "net/streaming_client.h"

namespace gantry::gateway {

struct GatewayOptions {
  CallOptions calls;
  BreakerOptions breaker;
  std::size_t calls_max = 5'000;  ///< At once; more wait, as do those of a provider that is full.
  std::size_t queue_max = 1'000;  ///< Who may wait.
  /// Finished calls that wait for their tokens to be counted. Of more, bytes are counted.
  std::size_t uncounted_max = 256;
  std::uint64_t body_bytes_max = 32 << 20;  ///< Of a request.
};

/// Thread-safe, but for `add_routes`.
class Gateway {
 public:
  /// All that is referred to outlives the gateway, and `steady_clock` also `registry`.
  struct Parts {
    const Clock& clock;
    const Clock& steady_clock;  ///< Never steps.
    net::StreamingClient& client;
    GatewayKeyFinder& keys;
    KeyBudgets& budgets;
    GenerationRecords& records;
    CallMetrics& metrics;
    /// For gantry_gateway_inflight, _waiting, _queue_seconds and _breaker_state.
    core::MetricRegistry& registry;
    std::vector<GenerationSink*> sinks;
    SecretReader read_secret = gateway::read_secret;
    GenerationIds make_id = make_generation_id;
    std::uint64_t random_seed = 0;  ///< 0: the system's.
  };

  Gateway(Parts parts, GatewayOptions options);

  /// stop()
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  /// Requests from now on are served by it; before the first one there are no models. What was
  /// learnt of endpoints that stay is kept. Blocks on files of secrets and vocabularies. Errors:
  /// those of reading them; the catalogue before stays then.
  Result<void> serve(std::shared_ptr<const Catalogue> catalogue);

  /// POST /chat/completions, /completions, /embeddings, /responses and /messages; GET /models,
  /// /models/count, /models/{author}/{slug}/endpoints, /generation and /key.
  void add_routes(net::Router& router);

  /// Lets no call begin, cuts the answers of those that live, and returns when all are over. Their
  /// records are made. Not from a callback; `client` and the server whose answers they are must
  /// live.
  void stop();

  [[nodiscard]] std::size_t live_call_count() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::gateway
