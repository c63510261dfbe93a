#include "server/stack_aggregations.h"

#include <algorithm>
#include <iterator>
#include <stop_token>

#include <pthread.h>

#include "collect/rounds.h"

namespace gantry::server {
namespace {

constexpr DurationMs kRoundInterval{1'000};  // the shortest interval that a rule can have

}  // namespace

StackAggregations::StackAggregations(const Clock& clock, core::MetricRegistry& registry,
                                     Append append)
    : clock_(clock), registry_(registry), append_(std::move(append)) {}

StackAggregations::~StackAggregations() {
  stop();
}

Result<std::shared_ptr<pipeline::StreamAggregation>> StackAggregations::run(
    StackId stack, const std::string& json) {
  const core::Lock lock(mutex_);
  const auto found = running_.find(stack);
  if (found != running_.end() && found->second.json == json) return found->second.aggregation;
  std::shared_ptr<pipeline::StreamAggregation> next;
  if (!json.empty()) {
    GANTRY_TRY(next, pipeline::StreamAggregation::parse(
                         json, {.registry = registry_,
                                .labels = {{"stack", std::to_string(stack.value())}},
                                .started_at = clock_.now()}));
  }
  if (found != running_.end()) {
    retired_.emplace_back(stack, std::move(found->second.aggregation));
    running_.erase(found);
  }
  if (next) running_.emplace(stack, Running{.json = json, .aggregation = next});
  return next;
}

void StackAggregations::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    collect::run_rounds(stop, clock_, kRoundInterval,
                        [this](TimestampMs at) { collect_round(at); });
  });
  pthread_setname_np(thread_.native_handle(), "aggregate");
}

void StackAggregations::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  const TimestampMs now = clock_.now();
  Retired all;
  {
    const core::Lock lock(mutex_);
    all = std::exchange(retired_, {});
    for (auto& [stack, running] : running_) all.emplace_back(stack, std::move(running.aggregation));
    running_.clear();
  }
  const core::Lock collecting(collecting_);
  for (const auto& [stack, aggregation] : all) append(stack, aggregation->flush(now));
}

void StackAggregations::collect_round(TimestampMs now) {
  const core::Lock collecting(collecting_);
  Retired current;
  {
    const core::Lock lock(mutex_);
    for (const auto& [stack, running] : running_) current.emplace_back(stack, running.aggregation);
  }
  for (const auto& [stack, aggregation] : take_unused()) append(stack, aggregation->flush(now));
  for (const auto& [stack, aggregation] : current) append(stack, aggregation->collect(now));
}

/// Requests that began before the rules changed may still feed what is retired; nobody gets it
/// anew.
StackAggregations::Retired StackAggregations::take_unused() {
  const core::Lock lock(mutex_);
  const auto [unused, end] = std::ranges::partition(
      retired_, [](const auto& retired) { return retired.second.use_count() > 1; });
  Retired taken(std::make_move_iterator(unused), std::make_move_iterator(end));
  retired_.erase(unused, end);
  return taken;
}

void StackAggregations::append(StackId stack,
                               const std::unique_ptr<const pipeline::FinishedWindows>& finished) {
  if (!finished) return;
  const auto appended = append_(stack, finished->batch());
  Result<void> done;
  if (!appended) {
    done = std::unexpected(appended.error());
  } else if (appended->samples_rejected != 0) {
    done = fail(Code::ResourceExhausted, appended->rejections.empty()
                                             ? "samples refused"
                                             : appended->rejections.front().message);
  }
  failures_.note(std::to_string(stack.value()), done);
}

}  // namespace gantry::server
