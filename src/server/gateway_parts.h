#pragma once

// The LLM gateway wired together: what it knows of keys, budgets and records, who serves its calls,
// and where they go when they are over.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>

#include "access/gate.h"
#include "api/cloud.h"
#include "core/error.h"
#include "core/metrics.h"
#include "core/time.h"
#include "gateway/gateway.h"
#include "gateway/gateway_settings.h"
#include "gateway/generation_broadcast.h"
#include "gateway/generation_queue.h"
#include "gateway/provider_secrets.h"
#include "gateway/setting_node.h"
#include "net/io_threads.h"
#include "net/router.h"
#include "net/streaming_client.h"
#include "server/access_parts.h"
#include "server/broadcast_parts.h"
#include "server/call_metrics_feed.h"
#include "server/failure_log.h"
#include "server/generation_traces.h"
#include "server/stack_pipelines.h"

namespace gantry::server {

/// Thread-safe, but for start and stop.
class GatewayParts {
 public:
  /// All must outlive it, and `steady_clock` also `registry`.
  struct Environment {
    const AccessParts& access;
    const Clock& clock;
    const Clock& steady_clock;  ///< Never steps.
    core::MetricRegistry& registry;
    api::RequestRate& rate;  ///< Of requests to the API of keys.
    std::string holder;      ///< Names this process among those that share the state database.
    std::string ca_file;     ///< egress.ca_file
    std::shared_ptr<net::IoThreads> io_threads;  ///< The server's; null: some of its own.
    BroadcastParts* broadcast = nullptr;         ///< Null: calls go to no destination.
    StackPipelines* pipelines = nullptr;         ///< Null: stacks have no rules. Needs `broadcast`.
    DurationMs collect_interval{15'000};
  };

  /// `section`: that of the configuration. Null when it is not there or says `enabled: false`.
  /// Errors: those of reading it and the secrets of providers.
  static Result<std::unique_ptr<GatewayParts>> make(const gateway::SettingNode& section,
                                                    Environment environment);

  /// stop()
  ~GatewayParts();
  GatewayParts(const GatewayParts&) = delete;
  GatewayParts& operator=(const GatewayParts&) = delete;

  /// Below /api/v1 and /v1, and the API of keys. The routes must not be used after this is gone.
  void add_routes(net::Router& router);

  /// Writes every second what calls have spent, and their records; and now and then the metrics of
  /// each stack's calls into the stack.
  void start();

  /// Providers, models and secrets as of now; calls under way keep those they began with. What else
  /// is in the section, and whether it is there, counts at the next start. Errors: as `make`;
  /// everything stays as it was then.
  Result<void> reload(const gateway::SettingNode& section);

  /// Some keys have changed.
  void forget_keys() { keys_.forget_all(); }

  /// Ends all calls and writes what they left. The server whose answers they are must live, and the
  /// stacks' stores be open. Later calls do nothing.
  void stop();

 private:
  GatewayParts(gateway::GatewaySettings settings, Environment environment,
               std::unique_ptr<net::StreamingClient> client);

  void keep(std::span<const gateway::FinishedCall> calls);
  [[nodiscard]] bool is_kept(const gateway::FinishedCall& call) const;
  void keep_house(int round);

  // Each uses only those above it.
  const AccessParts& access_;
  api::RequestRate& rate_;
  const gateway::ProviderSecrets secrets_;
  const std::unique_ptr<net::StreamingClient> client_;
  gateway::GatewayKeyFinder keys_;
  gateway::KeyBudgets budgets_;
  gateway::GenerationRecords records_;
  gateway::CallMetrics metrics_;
  CallMetricsFeed feed_;
  BroadcastParts* const broadcast_;
  StackPipelines* const pipelines_;
  const std::optional<gateway::GenerationBroadcast> destinations_;
  GenerationTraces traces_;
  std::unique_ptr<gateway::GenerationQueue> queue_;  // null once stopped
  gateway::Gateway gateway_;
  FailureLog failures_{"what LLM calls left not written", "what LLM calls left written again"};
  std::jthread housekeeper_;
};

}  // namespace gantry::server
