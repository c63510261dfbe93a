#include "broadcast/broadcaster.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

#include "broadcast/broadcast_plan_internal.h"
#include "broadcast/broadcaster_metrics_internal.h"
#include "core/log.h"
#include "core/mutex.h"

namespace gantry::broadcast {
namespace {

constexpr std::int64_t kNanosecondsPerMs = 1'000'000;
constexpr std::uint64_t kLettersRounds = 60;  ///< Letters live for days.

/// One destination as it is being served. Of the thread that follows destinations, but for what
/// health() looks at under the lock.
struct Served {
  std::int64_t version = 0;  ///< Of the row that is served; 0: none so far.
  std::shared_ptr<DestinationMetrics> metrics;
  /// Of the signals that it takes; none: disabled, or see `problem`.
  std::map<Signal, std::shared_ptr<Delivery>> deliveries;
  std::string problem;  ///< Why there is none although it is enabled.
};

/// What is worse.
DeliveryState worse(DeliveryState a, DeliveryState b) {
  const auto rank = [](DeliveryState state) {
    return state == DeliveryState::Stopped ? -1 : static_cast<int>(state);
  };
  return rank(a) < rank(b) ? b : a;
}

/// Of a destination's deliveries together. What was sent stays apart, by signal.
void merge_into(DeliveryStatistics& all, const DeliveryStatistics& one) {
  all.state = worse(all.state, one.state);
  all.sent_events += one.sent_events;
  all.dead_events += one.dead_events;
  all.dropped_events += one.dropped_events;
  for (std::size_t i = 0; i < kFailureKindCount; ++i) all.retries.at(i) += one.retries.at(i);
  all.failures_in_row = std::max(all.failures_in_row, one.failures_in_row);
  all.batches_in_flight += one.batches_in_flight;
  all.last_success = std::max(all.last_success, one.last_success);
  if (one.last_error && (!all.last_error || all.last_error->at < one.last_error->at))
    all.last_error = one.last_error;
}

class RunningBroadcaster final : public Broadcaster {
 public:
  RunningBroadcaster(Environment environment, Options options, std::unique_ptr<Queue> queue,
                     std::unique_ptr<DeadLetters> letters)
      : environment_(std::move(environment)),
        options_(options),
        queue_(std::move(queue)),
        letters_(std::move(letters)),
        offers_(*queue_, environment_.clock, options.item_bytes_max) {}

  ~RunningBroadcaster() override { stop({0}); }

  RunningBroadcaster(const RunningBroadcaster&) = delete;
  RunningBroadcaster& operator=(const RunningBroadcaster&) = delete;

  Result<void> start() override {
    GANTRY_TRY(const std::vector<KnownDestination> all, environment_.destinations.list());
    follow(all);
    follower_ = std::jthread([this](const std::stop_token& stopping) { run(stopping); });
    pthread_setname_np(follower_.native_handle(), "broadcast");
    return {};
  }

  void notify() override {
    {
      const core::Lock lock(mutex_);
      is_due_ = true;
    }
    wake_.notify_all();
  }

  void offer(const CallEvent& event) override { offers_.offer(event); }

  void offer(StackId stack, const telemetry::SpanBatch& batch) override {
    offers_.offer(stack, batch);
  }

  void offer(StackId stack, const telemetry::MetricBatch& batch,
             const telemetry::AppendResult& stored) override {
    offers_.offer(stack, batch, stored);
  }

  Intake intake(StackId stack, const DestinationId& id, Signal signal) const override {
    const std::shared_ptr<const Target> target = signal == Signal::Spans
                                                     ? offers_.find_trace_target(stack, id)
                                                     : offers_.find_metric_target(stack, id);
    const DestinationId lane = lane_of(id, signal);
    // What is appended for one that the queue does not know is nowhere.
    if (!target || !std::ranges::binary_search(queue_->destinations(), lane))
      return Intake::Unknown;
    if (!target->destination.is_enabled) return Intake::Disabled;
    return queue_->depth(lane).bytes < replay_bytes_max() ? Intake::Open : Intake::Full;
  }

  std::size_t batch_bytes_max() const override {
    return static_cast<std::size_t>(replay_bytes_max() / 4);
  }

  Result<Requeued> requeue(StackId stack, const DestinationId& id,
                           const telemetry::SpanBatch& batch) override {
    if (intake(stack, id, Signal::Spans) == Intake::Unknown)
      return fail(Code::FailedPrecondition, "the destination is not there");
    return offers_.requeue(stack, id, batch);
  }

  Result<std::uint64_t> requeue(StackId stack, const DestinationId& id,
                                const telemetry::MetricBatch& batch) override {
    if (intake(stack, id, Signal::Metrics) == Intake::Unknown)
      return fail(Code::FailedPrecondition, "the destination is not there");
    return offers_.requeue(stack, id, batch);
  }

  void stop(DurationMs drain) override {
    if (follower_.joinable()) {
      follower_.request_stop();
      follower_.join();
      offers_.flush_aggregates();
    }
    std::vector<std::shared_ptr<Delivery>> deliveries;
    {
      const core::Lock lock(mutex_);
      for (auto& [id, served] : served_)
        for (auto& [signal, delivery] : served.deliveries) deliveries.push_back(delivery);
    }
    {
      // Beside each other: one that hangs must not use up the others' time.
      std::vector<std::jthread> stoppers;
      stoppers.reserve(deliveries.size());
      for (const auto& delivery : deliveries)
        stoppers.emplace_back([&delivery, drain] { delivery->stop(drain); });
    }
    if (!deliveries.empty()) update_metrics();
  }

  DestinationHealth health(const DestinationId& id) const override {
    DestinationHealth health;
    health.statistics.state = DeliveryState::Stopped;
    std::map<Signal, std::shared_ptr<Delivery>> deliveries;
    {
      const core::Lock lock(mutex_);
      const auto found = served_.find(id);
      if (found == served_.end()) return health;
      deliveries = found->second.deliveries;
      health.problem = found->second.problem;
    }
    for (const auto& [signal, delivery] : deliveries) {
      const DeliveryStatistics statistics = delivery->statistics();
      merge_into(health.statistics, statistics);
      health.sent[signal] = {.items = statistics.sent_items, .rejected = statistics.rejected_items};
    }
    health.queue = depth_of(*queue_, id);
    health.dead_letters = letters_->count(id);
    return health;
  }

  Result<DeadLetterPage> dead_letters(const DestinationId& id, std::optional<std::uint64_t> before,
                                      std::size_t limit) override {
    return letters_->list(id, before, limit);
  }

  Result<std::uint64_t> replay(const DestinationId& id, std::uint64_t letters_max) override {
    return letters_->replay(id, *queue_, letters_max);
  }

  Result<std::uint64_t> clear(const DestinationId& id) override { return letters_->clear(id); }

 private:
  /// Beyond half of what may wait, new spans would be dropped.
  [[nodiscard]] std::uint64_t replay_bytes_max() const {
    return std::min(options_.replay_queue_bytes_max, options_.queue.bytes_max / 2);
  }

  /// Destinations are read when they may have changed, and again after something failed; the
  /// housekeeping is done in every round.
  void run(const std::stop_token& stopping) {
    std::optional<std::int64_t> retry_ns =
        has_problem() ? std::optional(retry_time()) : std::nullopt;
    while (true) {
      bool is_due = false;
      {
        core::Lock lock(mutex_);
        wake_.wait_for(lock, stopping, std::chrono::milliseconds(options_.maintain_interval.count),
                       [this]() GANTRY_REQUIRES(mutex_) { return is_due_; });
        is_due = std::exchange(is_due_, false);
      }
      if (stopping.stop_requested()) return;
      if (is_due || (retry_ns && monotonic_ns() >= *retry_ns))
        retry_ns = look_again() ? std::nullopt : std::optional(retry_time());
      maintain();
    }
  }

  [[nodiscard]] std::int64_t retry_time() const {
    return monotonic_ns() + options_.retry_interval.count * kNanosecondsPerMs;
  }

  /// False: to be tried again.
  bool look_again() {
    const auto all = environment_.destinations.list();
    note(cannot_list_, "broadcast destinations not read", "broadcast destinations read again", all);
    if (!all) return false;
    follow(*all);
    return !has_problem();
  }

  void maintain() {
    note(cannot_maintain_, "broadcast queue not maintained", "broadcast queue maintained again",
         queue_->maintain());
    offers_.collect_aggregates();
    if (++rounds_ % kLettersRounds == 0)
      note(cannot_expire_, "broadcast dead letters not maintained",
           "broadcast dead letters maintained again", letters_->maintain());
    update_metrics();
  }

  /// Logs when something begins to fail and when that is over.
  template <class Outcome>
  static void note(bool& is_failing, std::string_view failing, std::string_view recovered,
                   const Outcome& outcome) {
    if (outcome.has_value() != is_failing) return;
    is_failing = !outcome.has_value();
    if (is_failing)
      log::error(failing, {{"error", outcome.error().message}});
    else
      log::info(recovered);
  }

  void update_metrics() {
    std::vector<Served> all;
    {
      const core::Lock lock(mutex_);
      for (const auto& [id, served] : served_) all.push_back(served);
    }
    for (const Served& served : all) {
      served.metrics->update(*queue_, *letters_, environment_.clock.now());
      for (const auto& [signal, delivery] : served.deliveries)
        served.metrics->update(signal, delivery->statistics());
    }
  }

  [[nodiscard]] bool has_problem() const {
    const core::Lock lock(mutex_);
    return std::ranges::any_of(served_,
                               [](const auto& entry) { return !entry.second.problem.empty(); });
  }

  /// Makes what is served what `all` says: first what is queued for whom, then who sends.
  void follow(const std::vector<KnownDestination>& all) {
    for (const KnownDestination& known : all) take_in(known);
    publish(all);
    discard_all_but(all);
    for (const KnownDestination& known : all) serve(known);
  }

  /// Sees to it that the queue keeps what is appended for it.
  void take_in(const KnownDestination& known) {
    const Destination& destination = known.stored.destination;
    const auto added = add_lanes(destination);
    {
      const core::Lock lock(mutex_);
      const auto [place, is_new] = served_.try_emplace(destination.id);
      if (is_new)
        place->second.metrics =
            std::make_shared<DestinationMetrics>(environment_.registry, destination.id);
    }
    if (!added) set_problem(destination.id, added.error());
  }

  Result<void> add_lanes(const Destination& destination) {
    for (const Signal signal : kSignals)
      if (takes(destination, signal))
        GANTRY_CHECK(queue_->add_destination(lane_of(destination.id, signal)));
    return {};
  }

  void set_problem(const DestinationId& id, const Error& error) {
    {
      const core::Lock lock(mutex_);
      std::string& problem = served_.at(id).problem;
      if (problem == error.message) return;
      problem = error.message;
    }
    log::error("broadcast destination not served", {{"destination", id}, {"error", error.message}});
  }

  void publish(const std::vector<KnownDestination>& all) {
    auto plan = std::make_shared<BroadcastPlan>();
    std::vector<std::shared_ptr<const Target>> changed;
    {
      const core::Lock lock(mutex_);
      for (const KnownDestination& known : all) {
        const Destination& destination = known.stored.destination;
        const auto served = served_.find(destination.id);
        if (served == served_.end()) continue;
        StackTargets& targets = (*plan)[StackId(destination.stack)];
        Target target{.destination = destination, .metrics = served->second.metrics};
        if (takes(destination, Signal::Spans)) targets.traces.push_back(target);
        target.metric_rules = rules_for(destination, changed);
        if (takes(destination, Signal::Metrics)) targets.metrics.push_back(target);
      }
    }
    offers_.publish(std::move(plan));
    for (const auto& target : changed) offers_.flush_aggregates(*target);
  }

  /// Those that are in use unless they have changed. `changed`: a target with rules that are in use
  /// no more.
  std::shared_ptr<MetricRules> rules_for(const Destination& destination,
                                         std::vector<std::shared_ptr<const Target>>& changed) {
    const auto before = offers_.find_metric_target(StackId(destination.stack), destination.id);
    const bool is_used = destination.is_enabled && takes(destination, Signal::Metrics);
    const bool had_rules = before != nullptr && before->metric_rules != nullptr;
    if (had_rules && is_used && before->metric_rules->are_of(destination))
      return before->metric_rules;
    if (had_rules) changed.push_back(before);
    if (!is_used) return nullptr;
    return MetricRules::make(destination, environment_.registry, environment_.clock.now());
  }

  /// Those that are gone, also while this was not running, and the lanes of signals that a
  /// destination takes no more.
  void discard_all_but(const std::vector<KnownDestination>& all) {
    std::set<DestinationId> kept;
    std::set<DestinationId> kept_lanes;
    for (const KnownDestination& known : all) {
      const Destination& destination = known.stored.destination;
      kept.insert(destination.id);
      for (const Signal signal : kSignals)
        if (takes(destination, signal)) kept_lanes.insert(lane_of(destination.id, signal));
    }
    std::set<DestinationId> gone;
    {
      const core::Lock lock(mutex_);
      for (const auto& [id, served] : served_)
        if (!kept.contains(id)) gone.insert(id);
    }
    for (const DestinationId& lane : queue_->destinations()) {
      if (kept_lanes.contains(lane)) continue;
      const DestinationId id = destination_of(lane);
      if (!kept.contains(id)) gone.insert(id);
      end_deliveries(id);
      log_failure("broadcast queue of a deleted destination not removed", id,
                  queue_->remove_destination(lane));
    }
    for (const DestinationId& id : gone) {
      end_deliveries(id);
      log_failure("dead letters of a deleted destination not removed", id, letters_->clear(id));
      const std::shared_ptr<DestinationMetrics> metrics = forget(id);
      if (metrics) metrics->update(*queue_, *letters_, environment_.clock.now());
      log::info("broadcast destination removed", {{"destination", id}});
    }
  }

  template <class Outcome>
  static void log_failure(std::string_view event, const DestinationId& id, const Outcome& outcome) {
    if (!outcome) log::error(event, {{"destination", id}, {"error", outcome.error().message}});
  }

  std::shared_ptr<DestinationMetrics> forget(const DestinationId& id) {
    const core::Lock lock(mutex_);
    const auto found = served_.find(id);
    if (found == served_.end()) return nullptr;
    std::shared_ptr<DestinationMetrics> metrics = found->second.metrics;
    served_.erase(found);
    return metrics;
  }

  /// What they have in hand goes back into the queue.
  void end_deliveries(const DestinationId& id) {
    std::map<Signal, std::shared_ptr<Delivery>> deliveries;
    std::shared_ptr<DestinationMetrics> metrics;
    {
      const core::Lock lock(mutex_);
      const auto found = served_.find(id);
      if (found == served_.end()) return;
      deliveries = std::exchange(found->second.deliveries, {});
      metrics = found->second.metrics;
    }
    for (const auto& [signal, delivery] : deliveries) {
      delivery->stop({0});
      metrics->update(signal, delivery->statistics());
    }
  }

  /// Starts, restarts or ends the deliveries of one that is new, has changed or could not be
  /// served.
  void serve(const KnownDestination& known) {
    const Destination& destination = known.stored.destination;
    std::shared_ptr<DestinationMetrics> metrics;
    {
      const core::Lock lock(mutex_);
      const auto found = served_.find(destination.id);
      if (found == served_.end()) return;
      const Served& served = found->second;
      if (served.version == known.stored.version && served.problem.empty()) return;
      metrics = served.metrics;
    }
    end_deliveries(destination.id);
    Result<std::map<Signal, std::shared_ptr<Delivery>>> started;
    if (destination.is_enabled) started = start_deliveries(known, *metrics);
    if (!started) return set_problem(destination.id, started.error());
    {
      const core::Lock lock(mutex_);
      Served& served = served_.at(destination.id);
      served.version = known.stored.version;
      served.problem.clear();
      served.deliveries = *std::move(started);
    }
    log::info(destination.is_enabled ? "broadcast destination started"
                                     : "broadcast destination is disabled",
              {{"destination", destination.id},
               {"type", destination_type_name(destination.type)},
               {"instance_id", destination.stack}});
  }

  Result<std::map<Signal, std::shared_ptr<Delivery>>> start_deliveries(
      const KnownDestination& known, DestinationMetrics& metrics) {
    GANTRY_CHECK(add_lanes(known.stored.destination));
    GANTRY_TRY(const Destination opened, environment_.destinations.open(known));
    std::map<Signal, std::shared_ptr<Delivery>> deliveries;
    for (const Signal signal : kSignals) {
      if (!takes(opened, signal)) continue;
      metrics.begin_delivery(signal);
      GANTRY_TRY(deliveries[signal], Delivery::start(narrowed_to(opened, signal),
                                                     {.queue = *queue_,
                                                      .dead_letters = *letters_,
                                                      .transport = environment_.transport,
                                                      .clock = environment_.clock,
                                                      .pace = environment_.pace,
                                                      .send_seconds = &metrics.send_seconds()},
                                                     options_.delivery));
    }
    return deliveries;
  }

  const Environment environment_;
  const Options options_;
  const std::unique_ptr<Queue> queue_;
  const std::unique_ptr<DeadLetters> letters_;
  Offers offers_;

  mutable core::Mutex mutex_;
  core::ConditionVariable wake_;
  bool is_due_ GANTRY_GUARDED_BY(mutex_) = false;
  std::map<DestinationId, Served> served_ GANTRY_GUARDED_BY(mutex_);

  // Of the thread.
  bool cannot_list_ = false;
  bool cannot_maintain_ = false;
  bool cannot_expire_ = false;
  std::uint64_t rounds_ = 0;
  std::jthread follower_;
};

}  // namespace

Result<std::unique_ptr<Broadcaster>> Broadcaster::open(Environment environment,
                                                       const Options& options) {
  GANTRY_TRY(auto queue, Queue::open(environment.files, environment.directory, environment.clock,
                                     options.queue));
  GANTRY_TRY(auto letters,
             DeadLetters::open(environment.files, environment.directory / "dead-letters",
                               environment.clock, options.dead_letters));
  return std::make_unique<RunningBroadcaster>(std::move(environment), options, std::move(queue),
                                              std::move(letters));
}

}  // namespace gantry::broadcast
