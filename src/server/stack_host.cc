#include "server/stack_host.h"

#include <optional>
#include <system_error>
#include <utility>

#include "core/log.h"

namespace gantry::server {
namespace {

/// What the stack has for itself counts.
template <class Field, class Own>
void apply(Field& field, const std::optional<Own>& own) {
  if (own) field = *own;
}

std::string directory_name(StackId stack) {
  return std::to_string(stack.value());
}

}  // namespace

metrics::StoreOptions stack_options(metrics::StoreOptions options,
                                    const access::StackSettings& settings) {
  apply(options.retention.count, settings.retention_ms);
  apply(options.retention_bytes, settings.retention_bytes);
  apply(options.out_of_order_window.count, settings.out_of_order_window_ms);
  apply(options.limits.active_series_max, settings.active_series_max);
  apply(options.limits.new_series_per_minute_max, settings.new_series_per_minute_max);
  apply(options.limits.samples_per_request_max, settings.samples_per_request_max);
  apply(options.limits.labels_per_series_max, settings.labels_per_series_max);
  apply(options.limits.label_value_bytes_max, settings.label_value_bytes_max);
  apply(options.limits.exemplars_max, settings.exemplars_max);
  return options;
}

traces::StoreOptions stack_trace_options(traces::StoreOptions options,
                                         const access::StackSettings& settings) {
  apply(options.retention.count, settings.traces_retention_ms);
  apply(options.retention_bytes, settings.traces_retention_bytes);
  apply(options.limits.spans_per_request_max, settings.spans_per_request_max);
  apply(options.limits.span_bytes_per_second_max, settings.span_bytes_per_second_max);
  apply(options.limits.live_traces_max, settings.live_traces_max);
  apply(options.limits.bytes_per_trace_max, settings.bytes_per_trace_max);
  return options;
}

Result<void> OpenStacks::open(const access::Stack& stack) {
  const core::Lock lock(lifecycle_mutex_);
  ++change_count_;
  return open_stores(stack);
}

void OpenStacks::reconfigure(const access::Stack& stack) {
  const core::Lock lock(lifecycle_mutex_);
  ++change_count_;
  apply_settings(stack);
}

void OpenStacks::retire(StackId stack) {
  const core::Lock lock(lifecycle_mutex_);
  ++change_count_;
  close_stores(stack);
}

std::uint64_t OpenStacks::change_count() const {
  const core::Lock lock(lifecycle_mutex_);
  return change_count_;
}

Result<bool> OpenStacks::follow(std::span<const access::Stack> living,
                                std::span<const StackId> deleted, std::uint64_t as_of) {
  const core::Lock lock(lifecycle_mutex_);
  if (change_count_ != as_of) return false;
  for (const StackId stack : deleted)
    if (is_open(stack)) close_stores(stack);
  Result<void> first;
  for (const access::Stack& stack : living)
    if (auto followed = follow_one(stack); !followed && first) first = std::move(followed);
  if (!first) return std::unexpected(std::move(first).error());
  return true;
}

Result<void> OpenStacks::follow_one(const access::Stack& stack) {
  if (!is_open(stack.id)) return open_stores(stack);
  const bool is_same = [&] {
    const core::ReadLock lock(mutex_);
    return stacks_.at(stack.id).settings == stack.settings;
  }();
  if (!is_same) {
    apply_settings(stack);
    log::info("stack reconfigured", {{"stack", stack.slug}, {"instance_id", stack.id.value()}});
  }
  return {};
}

bool OpenStacks::is_open(StackId stack) const {
  const core::ReadLock lock(mutex_);
  const auto found = stacks_.find(stack);
  return found != stacks_.end() && found->second.is_open;
}

Result<access::OpenStores> OpenStacks::open_both(const access::Stack& stack) const {
  const std::filesystem::path path = environment_.data / "stacks" / directory_name(stack.id);
  GANTRY_CHECK(environment_.files.create_directories(path / "metrics"));
  GANTRY_CHECK(environment_.files.create_directories(path / "traces"));
  access::OpenStores stores;
  GANTRY_TRY(
      stores.metrics,
      metrics::Store::open(path / "metrics", stack_options(environment_.options(), stack.settings),
                           {.files = environment_.files,
                            .clock = environment_.clock,
                            .registry = environment_.registry,
                            .workers = &environment_.workers,
                            .disk_guard = &environment_.disk_guard}));
  if (environment_.attach_metrics)
    stores.metrics = environment_.attach_metrics(stack.id, std::move(stores.metrics));
  GANTRY_TRY(std::unique_ptr<traces::Store> traces,
             traces::Store::open(path / "traces",
                                 stack_trace_options(environment_.trace_options(), stack.settings),
                                 {.files = environment_.files,
                                  .clock = environment_.clock,
                                  .registry = environment_.registry,
                                  .workers = &environment_.workers,
                                  .disk_guard = &environment_.disk_guard}));
  stores.traces = environment_.derived.attach(stack.id, std::move(traces), stores.metrics,
                                              has_span_metrics(stack.settings));
  if (environment_.attach_traces)
    stores.traces = environment_.attach_traces(stack.id, std::move(stores.traces));
  if (environment_.attach_rules) return environment_.attach_rules(stack.id, std::move(stores));
  return stores;
}

bool OpenStacks::has_span_metrics(const access::StackSettings& settings) const {
  return settings.span_metrics.value_or(environment_.span_metrics());
}

Result<void> OpenStacks::open_stores(const access::Stack& stack) {
  const std::int64_t started_ns = monotonic_ns();
  GANTRY_TRY(access::OpenStores stores, open_both(stack));
  {
    const core::WriteLock lock(mutex_);
    stacks_[stack.id] = {
        .settings = stack.settings,
        .delta_state = std::make_unique<codec::DeltaToCumulative>(
            codec::DeltaToCumulative::Options{.streams_max = environment_.delta_streams_max})};
  }
  environment_.stores.add(stack.id, std::move(stores));
  log::info("stack opened", {{"stack", stack.slug},
                             {"instance_id", stack.id.value()},
                             {"took_ms", (monotonic_ns() - started_ns) / 1'000'000}});
  return {};
}

void OpenStacks::apply_settings(const access::Stack& stack) {
  {
    const core::WriteLock lock(mutex_);
    const auto found = stacks_.find(stack.id);
    if (found == stacks_.end()) return;
    found->second.settings = stack.settings;
  }
  environment_.derived.enable(stack.id, has_span_metrics(stack.settings));
  environment_.stores.reconfigure(
      stack.id, stack_options(environment_.options(), stack.settings),
      stack_trace_options(environment_.trace_options(), stack.settings));
}

void OpenStacks::reconfigure_all() {
  const core::Lock lifecycle(lifecycle_mutex_);
  std::map<StackId, access::StackSettings> settings;
  {
    const core::ReadLock lock(mutex_);
    for (const auto& [id, entry] : stacks_)
      if (entry.is_open) settings.emplace(id, entry.settings);
  }
  for (const auto& [id, own] : settings) {
    environment_.derived.enable(id, has_span_metrics(own));
    environment_.stores.reconfigure(id, stack_options(environment_.options(), own),
                                    stack_trace_options(environment_.trace_options(), own));
  }
}

void OpenStacks::close_stores(StackId stack) {
  {
    const core::WriteLock lock(mutex_);
    if (const auto found = stacks_.find(stack); found != stacks_.end())
      found->second.is_open = false;
  }
  environment_.derived.detach(stack);
  const access::OpenStores stores = environment_.stores.remove(stack);
  if (const auto closed = access::close_stores(stores); !closed)
    log::error("stack not closed cleanly",
               {{"instance_id", stack.value()}, {"error", closed.error().message}});
  move_aside(stack);
}

void OpenStacks::move_aside(StackId stack) const {
  const std::filesystem::path from = environment_.data / "stacks" / directory_name(stack);
  std::filesystem::path to = environment_.data / "deleted-stacks" / directory_name(stack);
  std::error_code error;
  if (!std::filesystem::exists(from, error)) return;
  // The id of a stack that was never committed is given again.
  if (std::filesystem::exists(to, error))
    to += "-" + std::to_string(environment_.clock.now().since_epoch);
  std::filesystem::create_directories(to.parent_path(), error);
  if (!error) std::filesystem::rename(from, to, error);
  if (error)
    log::error("data of a deleted stack not moved aside: the next start tries again",
               {{"instance_id", stack.value()}, {"error", error.message()}});
  else
    log::info("stack retired", {{"instance_id", stack.value()}, {"data", to.string()}});
}

DurationMs OpenStacks::retention(StackId stack) const {
  access::StackSettings own;
  {
    const core::ReadLock lock(mutex_);
    if (const auto found = stacks_.find(stack); found != stacks_.end())
      own = found->second.settings;
  }
  return stack_options(environment_.options(), own).retention;
}

codec::DeltaToCumulative* OpenStacks::delta_state(StackId stack) const {
  const core::ReadLock lock(mutex_);
  const auto found = stacks_.find(stack);
  return found == stacks_.end() ? nullptr : found->second.delta_state.get();
}

}  // namespace gantry::server
