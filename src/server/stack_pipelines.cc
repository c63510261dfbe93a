#include "server/stack_pipelines.h"

#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

#include "core/mutex.h"
#include "pipeline/relabelled_batch.h"
#include "pipeline/stack_rule_rows.h"
#include "pipeline/stream_aggregation.h"
#include "pipeline/trace_sessions.h"
#include "server/failure_log.h"
#include "server/forwarding_metrics_store.h"
#include "server/forwarding_trace_store.h"
#include "server/stack_aggregations.h"

namespace gantry::server {
namespace {

using pipeline::StackRules;
using pipeline::TraceFate;

constexpr auto kRetryInterval = std::chrono::seconds(2);
constexpr std::string_view kDropped = "gantry_pipeline_dropped_total";
constexpr std::string_view kDroppedHelp =
    "Spans and samples that the rules of a stack left out, by the field of the rules.";

/// What rules have dropped, of all stacks.
struct Dropped {
  explicit Dropped(core::MetricRegistry& registry)
      : filtered(registry.counter(kDropped, kDroppedHelp,
                                  {{"stage", "filter"}, {"reason", "filter_rules"}})),
        sampled_out(registry.counter(kDropped, kDroppedHelp,
                                     {{"stage", "sampling"}, {"reason", "sampling_rate"}})),
        relabelled(registry.counter(kDropped, kDroppedHelp,
                                    {{"stage", "relabel"}, {"reason", "metric_relabel_configs"}})),
        aggregated(registry.counter(kDropped, kDroppedHelp,
                                    {{"stage", "aggregation"}, {"reason", "stream_aggregation"}})) {
  }

  core::Counter& filtered;
  core::Counter& sampled_out;
  core::Counter& relabelled;
  core::Counter& aggregated;  ///< Only the aggregates are kept.
};

/// One version of a stack's rules.
struct ActiveRules {
  ActiveRules(const pipeline::StoredRules& stored,
              std::shared_ptr<pipeline::StreamAggregation> running)
      : version(stored.version),
        rules(stored.rules),
        relabeller(stored.rules.metric_relabel),
        aggregation(std::move(running)) {}

  const std::int64_t version;
  const StackRules rules;
  mutable pipeline::Relabeller relabeller;
  const std::shared_ptr<pipeline::StreamAggregation> aggregation;  ///< Null: none.
};

/// A stack, whether it has rules or not.
class RuledStack {
 public:
  explicit RuledStack(StackId stack) : id(stack) {}

  /// Null: no rules.
  [[nodiscard]] std::shared_ptr<const ActiveRules> active() const {
    // Hot: per request. Whoever set the rules waits for them to be published before it says so.
    if (!has_rules_.load(std::memory_order_acquire)) return nullptr;
    const core::Lock lock(mutex_);
    return active_;
  }

  void publish(std::shared_ptr<const ActiveRules> active) {
    const bool has_rules =
        active && !(active->rules.spares_spans() && active->rules.spares_samples());
    const core::Lock lock(mutex_);
    active_ = std::move(active);
    has_rules_.store(has_rules, std::memory_order_release);
  }

  /// -1: there are none.
  [[nodiscard]] std::int64_t version() const {
    const core::Lock lock(mutex_);
    return active_ ? active_->version : -1;
  }

  const StackId id;
  pipeline::TraceSessions sessions;

 private:
  std::atomic<bool> has_rules_ = false;
  mutable core::Mutex mutex_;
  std::shared_ptr<const ActiveRules> active_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace

struct StackPipelines::Impl {
  explicit Impl(Environment the_environment)
      : environment(std::move(the_environment)),
        dropped(environment.registry),
        aggregations(environment.clock, environment.registry,
                     [this](StackId stack, const telemetry::MetricBatch& batch) {
                       const auto store = store_behind(stack);
                       // Else it was deleted, and its last windows with it.
                       return store ? store->append(batch, {}) : telemetry::AppendResult();
                     }) {}

  class RuledTraces;
  class RuledMetrics;

  Environment environment;
  Dropped dropped;
  StackAggregations aggregations;

  core::Mutex reading;  // held while the database is read: the later reading is published later
  FailureLog failures GANTRY_GUARDED_BY(reading){"rules of stacks not read",
                                                 "rules of stacks read again"};
  mutable core::Mutex mutex;
  core::ConditionVariable wake;
  bool is_due GANTRY_GUARDED_BY(mutex) = false;
  std::map<StackId, std::shared_ptr<RuledStack>> stacks GANTRY_GUARDED_BY(mutex);
  /// What is behind the rules.
  std::map<StackId, std::weak_ptr<metrics::Store>> stores GANTRY_GUARDED_BY(mutex);
  std::jthread follower;

  std::shared_ptr<RuledStack> stack_of(StackId id) {
    const core::Lock lock(mutex);
    std::shared_ptr<RuledStack>& stack = stacks[id];
    if (!stack) stack = std::make_shared<RuledStack>(id);
    return stack;
  }

  [[nodiscard]] std::shared_ptr<RuledStack> find(StackId id) const {
    const core::Lock lock(mutex);
    const auto found = stacks.find(id);
    return found == stacks.end() ? nullptr : found->second;
  }

  /// Null: the stack is not open.
  [[nodiscard]] std::shared_ptr<metrics::Store> store_behind(StackId id) const {
    const core::Lock lock(mutex);
    const auto found = stores.find(id);
    return found == stores.end() ? nullptr : found->second.lock();
  }

  Result<void> read() GANTRY_REQUIRES(reading) {
    std::vector<pipeline::StoredRules> all;
    {
      GANTRY_TRY(state::Transaction tx, environment.db.begin_read());
      GANTRY_TRY(all, pipeline::list_all_stack_rules(tx));
    }
    std::set<StackId> ruled;
    for (const pipeline::StoredRules& stored : all) {
      ruled.insert(stored.stack);
      const std::shared_ptr<RuledStack> stack = stack_of(stored.stack);
      if (stack->version() == stored.version) continue;
      GANTRY_TRY(auto aggregation,
                 aggregations.run(stored.stack, stored.rules.stream_aggregation_json));
      stack->publish(std::make_shared<const ActiveRules>(stored, std::move(aggregation)));
    }
    std::vector<std::shared_ptr<RuledStack>> others;
    {
      const core::Lock lock(mutex);
      for (const auto& [id, stack] : stacks)
        if (!ruled.contains(id)) others.push_back(stack);
    }
    for (const std::shared_ptr<RuledStack>& stack : others) {
      stack->publish(nullptr);
      GANTRY_CHECK(aggregations.run(stack->id, {}));
    }
    return {};
  }

  Result<void> refresh() {
    const core::Lock lock(reading);
    Result<void> done = read();
    failures.note("rules", done);
    return done;
  }

  void run(const std::stop_token& stopping) {
    bool is_failing = false;
    while (!stopping.stop_requested()) {
      {
        core::Lock lock(mutex);
        const auto due = [this]() GANTRY_REQUIRES(mutex) { return is_due; };
        if (is_failing)
          wake.wait_for(lock, stopping, kRetryInterval, due);
        else
          wake.wait(lock, stopping, due);
        is_due = false;
      }
      if (!stopping.stop_requested()) is_failing = !refresh();
    }
  }
};

/// Spans of a stack on their way to its store.
class StackPipelines::Impl::RuledTraces final : public ForwardingTraceStore {
 public:
  RuledTraces(Impl& owner, std::shared_ptr<RuledStack> stack, std::shared_ptr<traces::Store> store)
      : ForwardingTraceStore(std::move(store)), owner_(owner), stack_(std::move(stack)) {}

  Result<telemetry::SpanAppendResult> append(const telemetry::SpanBatch& batch) override {
    const auto active = stack_->active();
    if (!active || active->rules.spares_spans()) return ForwardingTraceStore::append(batch);
    const pipeline::RuledSpans ruled(active->rules, stack_->id, stack_->sessions, batch);
    telemetry::SpanAppendResult appended;
    if (!ruled.kept().spans.empty()) {
      GANTRY_TRY(appended, ForwardingTraceStore::append(ruled.kept()));
    }
    // The sender comes again with all of it.
    if (appended.retry_after.count != 0) return appended;
    const std::uint64_t sampled_out = ruled.sampled_out().spans.size();
    if (sampled_out != 0 && owner_.environment.observe)
      owner_.environment.observe(stack_->id, ruled.sampled_out());
    owner_.dropped.filtered.add(ruled.filtered_count());
    owner_.dropped.sampled_out.add(sampled_out);
    appended.spans_written += ruled.filtered_count() + sampled_out;
    return appended;
  }

 private:
  Impl& owner_;
  const std::shared_ptr<RuledStack> stack_;
};

/// The same for samples.
class StackPipelines::Impl::RuledMetrics final : public ForwardingMetricsStore {
 public:
  RuledMetrics(Impl& owner, std::shared_ptr<RuledStack> stack,
               std::shared_ptr<metrics::Store> store)
      : ForwardingMetricsStore(std::move(store)), owner_(owner), stack_(std::move(stack)) {}

  Result<telemetry::AppendResult> append(const telemetry::MetricBatch& batch,
                                         const metrics::AppendOptions& options) override {
    const auto active = stack_->active();
    if (!active || active->rules.spares_samples())
      return ForwardingMetricsStore::append(batch, options);
    std::optional<pipeline::RelabelledBatch> relabelled;
    if (!active->rules.metric_relabel_json.empty()) relabelled.emplace(active->relabeller, batch);
    const telemetry::MetricBatch& left = relabelled ? relabelled->batch() : batch;
    // What is imported is of a time whose windows have ended.
    if (!active->aggregation || options.is_import) {
      GANTRY_TRY(telemetry::AppendResult appended, ForwardingMetricsStore::append(left, options));
      return accounted(relabelled, std::move(appended));
    }
    const pipeline::PartialBatch rest =
        active->aggregation->observe(left, owner_.environment.clock.now());
    GANTRY_TRY(telemetry::AppendResult appended,
               ForwardingMetricsStore::append(rest.batch(), options));
    if (appended.retry_after.count == 0) owner_.dropped.aggregated.add(rest.dropped_count());
    return accounted(relabelled, rest.of_input(std::move(appended)));
  }

 private:
  telemetry::AppendResult accounted(const std::optional<pipeline::RelabelledBatch>& relabelled,
                                    telemetry::AppendResult appended) {
    if (!relabelled) return appended;
    if (appended.retry_after.count == 0) owner_.dropped.relabelled.add(relabelled->dropped_count());
    return relabelled->of_input(std::move(appended));
  }

  Impl& owner_;
  const std::shared_ptr<RuledStack> stack_;
};

StackPipelines::StackPipelines(Environment environment)
    : impl_(std::make_unique<Impl>(std::move(environment))) {}

StackPipelines::~StackPipelines() {
  stop();
}

Result<void> StackPipelines::start() {
  GANTRY_CHECK(impl_->refresh());
  impl_->aggregations.start();
  impl_->follower =
      std::jthread([raw = impl_.get()](const std::stop_token& stopping) { raw->run(stopping); });
  pthread_setname_np(impl_->follower.native_handle(), "pipelines");
  return {};
}

void StackPipelines::notify() {
  {
    const core::Lock lock(impl_->mutex);
    impl_->is_due = true;
  }
  impl_->wake.notify_all();
}

Result<void> StackPipelines::refresh() {
  Result<void> done = impl_->refresh();
  if (!done) notify();
  return done;
}

void StackPipelines::stop() {
  impl_->follower.request_stop();
  if (impl_->follower.joinable()) impl_->follower.join();
  impl_->aggregations.stop();
}

std::shared_ptr<traces::Store> StackPipelines::attach(StackId stack,
                                                      std::shared_ptr<traces::Store> traces) {
  return std::make_shared<Impl::RuledTraces>(*impl_, impl_->stack_of(stack), std::move(traces));
}

std::shared_ptr<metrics::Store> StackPipelines::attach(StackId stack,
                                                       std::shared_ptr<metrics::Store> metrics) {
  {
    const core::Lock lock(impl_->mutex);
    impl_->stores[stack] = metrics;
  }
  return std::make_shared<Impl::RuledMetrics>(*impl_, impl_->stack_of(stack), std::move(metrics));
}

Result<telemetry::AppendResult> StackPipelines::append_own(StackId stack,
                                                           const telemetry::MetricBatch& batch) {
  const std::shared_ptr<metrics::Store> store = impl_->store_behind(stack);
  if (!store) return fail(Code::Unavailable, "the stack is not open");
  return store->append(batch, {});
}

std::shared_ptr<const StackRules> StackPipelines::span_rules(StackId stack) const {
  const std::shared_ptr<RuledStack> found = impl_->find(stack);
  if (!found) return nullptr;
  const auto active = found->active();
  if (!active || active->rules.spares_spans()) return nullptr;
  return {active, &active->rules};
}

TraceFate StackPipelines::decide(const StackRules& rules, StackId stack,
                                 const telemetry::TraceId& trace, std::string_view session,
                                 const pipeline::EventFields& fields) {
  const std::string key = impl_->stack_of(stack)->sessions.key_of(stack, trace, session);
  const TraceFate fate = pipeline::decide(rules, stack, key, fields);
  if (fate == TraceFate::Filtered) impl_->dropped.filtered.add(1);
  if (fate == TraceFate::SampledOut) impl_->dropped.sampled_out.add(1);
  return fate;
}

void StackPipelines::observe(StackId stack, const telemetry::SpanBatch& sampled_out) {
  if (impl_->environment.observe) impl_->environment.observe(stack, sampled_out);
}

}  // namespace gantry::server
