#include "gateway/gateway_metrics.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "core/mutex.h"
#include "gateway/api_names_internal.h"
#include "gateway/error_answer.h"
#include "gateway/token_modalities_internal.h"

namespace gantry::gateway {
namespace {

using core::MetricLabels;

enum class Bounds : std::uint8_t { Tokens, Duration, PerToken, FirstToken, Overhead };

std::vector<double> bounds_of(Bounds bounds) {
  switch (bounds) {
    case Bounds::Tokens:
      return {1,     4,     16,     64,      256,     1024,     4096,
              16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};
    case Bounds::Duration:
      return {ChunkTimes::kBoundsS.begin(), ChunkTimes::kBoundsS.end()};
    case Bounds::PerToken:
      return {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5};
    case Bounds::FirstToken:
      return {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
              0.25,  0.5,   0.75, 1.0,  2.5,  5.0,  7.5,  10.0};
    case Bounds::Overhead:
      return {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1};
  }
  return {};
}

struct Family {
  std::string_view name;
  std::string_view help;
  Bounds bounds = Bounds::Duration;  ///< Histograms only.
};

constexpr Family kTokenUsage{"gen_ai_client_token_usage", "Tokens of a call.", Bounds::Tokens};
constexpr Family kOperationDuration{"gen_ai_client_operation_duration_seconds",
                                    "Time of a call to a provider."};
constexpr Family kFirstChunk{"gen_ai_client_operation_time_to_first_chunk_seconds",
                             "From the call to a provider to the first chunk of its stream."};
constexpr Family kOutputChunk{"gen_ai_client_operation_time_per_output_chunk_seconds",
                              "From one chunk of a stream's output to the next."};
constexpr Family kLatestInput{"gen_ai_client_inference_operation_input_tokens",
                              "Input tokens of a call.", Bounds::Tokens};
constexpr Family kLatestOutput{"gen_ai_client_inference_operation_output_tokens",
                               "Output tokens of a call.", Bounds::Tokens};
constexpr Family kLatestDuration{"gen_ai_client_inference_duration_seconds",
                                 "Time of a call to a provider."};
constexpr Family kLatestFirstChunk{"gen_ai_client_inference_time_to_first_chunk_seconds",
                                   "From the call to a provider to the first chunk of its stream."};
constexpr Family kLatestOutputChunk{"gen_ai_client_inference_time_per_output_chunk_seconds",
                                    "From one chunk of a stream's output to the next."};
constexpr Family kServerDuration{"gen_ai_server_request_duration_seconds",
                                 "Time of a call from its acceptance to its end."};
constexpr Family kServerPerToken{"gen_ai_server_time_per_output_token_seconds",
                                 "Time per output token after the first one.", Bounds::PerToken};
constexpr Family kServerFirstToken{"gen_ai_server_time_to_first_token_seconds",
                                   "From the acceptance of a call to its first token.",
                                   Bounds::FirstToken};
constexpr Family kOverhead{"gantry_gateway_overhead_seconds",
                           "Time of a call without the time waiting for providers.",
                           Bounds::Overhead};

constexpr std::string_view kRequests = "gantry_gateway_requests_total";
constexpr std::string_view kAttempts = "gantry_gateway_attempts_total";
constexpr std::string_view kEstimated = "gantry_gateway_estimated_usage_total";
constexpr std::string_view kCost = "gantry_gateway_cost_usd_total";
constexpr std::string_view kKeyRefusals = "gantry_gateway_provider_key_refusals_total";

/// Labels whose values clients can choose.
bool is_chosen(std::string_view label) {
  return label == "model" || label == "key" || label == "gen_ai_request_model" ||
         label == "gen_ai_response_model" || label == "gen_ai_provider_name";
}

std::string key_of(std::string_view name, const MetricLabels& labels) {
  std::string key(name);
  for (const auto& [label, value] : labels) {
    key += '\0';
    key += label;
    key += '\0';
    key += value;
  }
  return key;
}

std::optional<double> end_of(const Attempt& attempt, const Generation& generation) {
  if (attempt.failed_ms) return attempt.failed_ms;
  if (attempt.body_end_ms) return attempt.body_end_ms;
  // Cut off while it answered.
  if (&attempt == &generation.attempts.back()) return generation.end_ms;
  return attempt.headers_ms;
}

/// A 403 may also be about the prompt: that is another type of error.
bool is_key_refusal(const Attempt& attempt) {
  return (attempt.status == 401 || attempt.status == 403) &&
         attempt.error_type == error_word(ErrorType::ProviderUnavailable);
}

std::string_view model_of(const Generation& generation) {
  return generation.served_model.empty() ? generation.requested_model : generation.served_model;
}

int status_of(const Generation& generation) {
  if (generation.is_ok) return 200;
  const auto type = find_error_type(generation.error_type);
  return http_status(type.value_or(ErrorType::Unmapped));
}

}  // namespace

bool is_call_metric(std::string_view family) {
  return family.starts_with("gen_ai_") || family == kOverhead.name || family == kRequests ||
         family == kAttempts || family == kEstimated || family == kCost || family == kKeyRefusals;
}

struct GatewayMetrics::Impl {
  struct Series {
    core::Histogram* histogram = nullptr;
    core::Counter* counter = nullptr;
    std::shared_ptr<std::atomic<std::int64_t>> pico_usd;
  };

  core::Histogram& histogram(const Family& family, const MetricLabels& labels);

  void observe(const Family& family, const MetricLabels& labels, double value) {
    histogram(family, labels).observe(value);
  }

  void count(std::string_view name, std::string_view help, const MetricLabels& labels,
             std::int64_t by = 1);
  void add_cost(const MetricLabels& labels, PicoUsd cost);

  void observe_attempt(const Generation& generation, const Attempt& attempt);
  void observe_chunks(const Generation& generation, const MetricLabels& labels);
  void observe_usage(const Generation& generation, const MetricLabels& labels);
  void count_usage(const Generation& generation, const MetricLabels& labels);
  void observe_server(const Generation& generation, const MetricLabels& labels);
  void observe_own(const Generation& generation);

  [[nodiscard]] bool has_stable() const {
    return options.conventions != SemanticConventions::Latest;
  }

  [[nodiscard]] bool has_latest() const {
    return options.conventions != SemanticConventions::Stable141;
  }

  /// The series, made by `make(labels)` when there is none.
  template <class Make>
  Series& series_of(std::string_view name, MetricLabels labels, Make make) GANTRY_REQUIRES(mutex);

  core::MetricRegistry& registry;
  const Options options;
  core::Mutex mutex;
  std::unordered_map<std::string, Series> series GANTRY_GUARDED_BY(mutex);
};

template <class Make>
GatewayMetrics::Impl::Series& GatewayMetrics::Impl::series_of(std::string_view name,
                                                              MetricLabels labels, Make make) {
  const auto found = series.find(key_of(name, labels));
  if (found != series.end()) return found->second;
  if (series.size() >= options.series_max)
    for (auto& [label, value] : labels)
      if (is_chosen(label) && !value.empty()) value = "_other";
  const auto [made, is_new] = series.try_emplace(key_of(name, labels));
  if (is_new) make(made->second, std::move(labels));
  return made->second;
}

core::Histogram& GatewayMetrics::Impl::histogram(const Family& family, const MetricLabels& labels) {
  const core::Lock lock(mutex);
  return *series_of(family.name, labels, [&](Series& made, MetricLabels its_labels) {
            made.histogram = &registry.histogram(family.name, family.help, bounds_of(family.bounds),
                                                 std::move(its_labels));
          }).histogram;
}

void GatewayMetrics::Impl::count(std::string_view name, std::string_view help,
                                 const MetricLabels& labels, std::int64_t by) {
  const core::Lock lock(mutex);
  series_of(name, labels, [&](Series& made, MetricLabels its_labels) {
    made.counter = &registry.counter(name, help, std::move(its_labels));
  }).counter->add(static_cast<std::uint64_t>(by));
}

void GatewayMetrics::Impl::add_cost(const MetricLabels& labels, PicoUsd cost) {
  const core::Lock lock(mutex);
  Series& cost_series = series_of(kCost, labels, [&](Series& made, MetricLabels its_labels) {
    made.pico_usd = std::make_shared<std::atomic<std::int64_t>>(0);
    registry.callback(core::MetricType::Counter, kCost, "What calls cost.", std::move(its_labels),
                      [sum = made.pico_usd] { return PicoUsd{sum->load()}.to_double(); });
  });
  cost_series.pico_usd->fetch_add(cost.value, std::memory_order_relaxed);
}

void GatewayMetrics::Impl::observe_attempt(const Generation& generation, const Attempt& attempt) {
  MetricLabels labels = {
      {"gen_ai_operation_name", std::string(operation_name(generation.api))},
      {"gen_ai_provider_name", std::string(model_author(model_of(generation)))},
      {"gen_ai_request_model", generation.requested_model},
      {"gen_ai_response_model", attempt.is_ok ? generation.served_model : ""},
      {"server_address", attempt.server_address},
      {"server_port", attempt.server_port == 0 ? "" : std::to_string(attempt.server_port)}};
  std::erase_if(labels, [](const auto& label) { return label.second.empty(); });
  if (attempt.is_ok && generation.usage) observe_usage(generation, labels);
  if (attempt.is_ok) observe_server(generation, labels);
  if (attempt.is_ok && generation.is_stream && attempt.first_token_ms) {
    const double seconds = (*attempt.first_token_ms - attempt.sent_ms) / 1000;
    if (has_stable()) observe(kFirstChunk, labels, seconds);
    if (has_latest()) observe(kLatestFirstChunk, labels, seconds);
  }
  if (attempt.is_ok) observe_chunks(generation, labels);
  const auto end_ms = end_of(attempt, generation);
  if (!end_ms) return;
  if (!attempt.is_ok && !attempt.error_type.empty())
    labels.emplace_back("error_type", attempt.error_type);
  const double seconds = std::max(0.0, *end_ms - attempt.sent_ms) / 1000;
  if (has_stable()) observe(kOperationDuration, labels, seconds);
  if (has_latest()) observe(kLatestDuration, labels, seconds);
}

void GatewayMetrics::Impl::observe_chunks(const Generation& generation,
                                          const MetricLabels& labels) {
  const auto observe_all = [&](const Family& family) {
    core::Histogram* chunks = nullptr;
    generation.chunk_times.each([&](double seconds) {
      if (chunks == nullptr) chunks = &histogram(family, labels);
      chunks->observe(seconds);
    });
  };
  if (has_stable()) observe_all(kOutputChunk);
  if (has_latest()) observe_all(kLatestOutputChunk);
}

void GatewayMetrics::Impl::observe_usage(const Generation& generation, const MetricLabels& labels) {
  const Usage& usage = *generation.usage;
  const bool has_output = generation.api != Api::Embeddings;
  const auto observe_type = [&](std::string_view type, std::int64_t tokens) {
    MetricLabels typed = labels;
    typed.emplace_back("gen_ai_token_type", type);
    observe(kTokenUsage, typed, static_cast<double>(tokens));
  };
  if (has_stable()) {
    observe_type("input", usage.input);
    if (has_output) observe_type("output", usage.output);
  }
  if (!has_latest()) return;
  observe(kLatestInput, labels, static_cast<double>(usage.input));
  if (has_output) observe(kLatestOutput, labels, static_cast<double>(usage.output));
  count_usage(generation, labels);
}

void GatewayMetrics::Impl::count_usage(const Generation& generation, const MetricLabels& labels) {
  const auto count_tokens = [&](std::string_view kind, std::string_view modality,
                                std::int64_t tokens) {
    MetricLabels typed = labels;
    typed.emplace_back("gen_ai_token_modality", modality);
    count(fmt::format("gen_ai_client_inference_usage_{}_tokens_total", kind), "Tokens of calls.",
          typed, tokens);
  };
  const auto count_side = [&](std::string_view kind, const ModalityTokens& side) {
    for (const auto& [modality, tokens] : side.told) {
      if (tokens > 0) count_tokens(kind, modality, tokens);
    }
    if (side.rest > 0 || side.total == 0) count_tokens(kind, side.rest_modality, side.rest);
  };
  const auto count_part = [&](std::string_view kind, const ModalityTokens& side,
                              const std::optional<std::int64_t>& tokens) {
    if (tokens) count_tokens(kind, side.is_text() ? kTextModality : kUnknownModality, *tokens);
  };
  const Usage& usage = *generation.usage;
  const ModalityTokens input = input_modalities(generation);
  const ModalityTokens output = output_modalities(generation);
  count_side("input", input);
  if (generation.api != Api::Embeddings) count_side("output", output);
  count_part("cache_read_input", input, usage.cached);
  count_part("cache_write_input", input, usage.cache_write);
  count_part("reasoning_output", output, usage.reasoning);
}

void GatewayMetrics::Impl::observe_server(const Generation& generation,
                                          const MetricLabels& labels) {
  const Attempt& attempt = generation.attempts.back();
  if (!generation.is_stream || !attempt.first_token_ms) return;
  observe(kServerFirstToken, labels, *attempt.first_token_ms / 1000);
  const std::optional<Usage>& usage = generation.usage;
  if (attempt.body_end_ms && usage && !usage->is_estimated && usage->output >= 2)
    observe(kServerPerToken, labels,
            (*attempt.body_end_ms - *attempt.first_token_ms) / 1000 /
                static_cast<double>(usage->output - 1));
}

void GatewayMetrics::Impl::observe_own(const Generation& generation) {
  const std::string provider =
      generation.attempts.empty() ? "" : generation.attempts.back().provider_slug;
  const MetricLabels labels = {{"model", std::string(model_of(generation))},
                               {"provider", provider}};
  MetricLabels request = labels;
  request.emplace_back("status", std::to_string(status_of(generation)));
  request.emplace_back("error_type", generation.error_type);
  count(kRequests, "Finished calls.", request);
  double waiting_ms = 0;
  for (const Attempt& attempt : generation.attempts) {
    if (const auto end_ms = end_of(attempt, generation)) waiting_ms += *end_ms - attempt.sent_ms;
    count(kAttempts, "Tries at providers.",
          {{"provider", attempt.provider_slug},
           {"result", attempt.is_ok ? "ok" : attempt.error_type}});
    if (is_key_refusal(attempt))
      count(kKeyRefusals, "Answers of providers that refuse the gateway's key.",
            {{"provider", attempt.provider_slug}});
  }
  observe(kOverhead, {}, std::max(0.0, generation.end_ms - waiting_ms) / 1000);
  if (generation.usage && generation.usage->is_estimated)
    count(kEstimated, "Calls whose tokens the provider did not report.", labels);
  if (!generation.cost) return;
  MetricLabels cost = labels;
  cost.emplace_back("key", generation.api_key_name);
  add_cost(cost, generation.cost->total);
}

GatewayMetrics::GatewayMetrics(core::MetricRegistry& registry, Options options)
    : impl_(new Impl{.registry = registry, .options = options, .mutex = {}, .series = {}}) {}

GatewayMetrics::~GatewayMetrics() = default;

void GatewayMetrics::observe(const Generation& generation) {
  for (const Attempt& attempt : generation.attempts) impl_->observe_attempt(generation, attempt);
  MetricLabels labels = {{"gen_ai_operation_name", std::string(operation_name(generation.api))},
                         {"gen_ai_provider_name", std::string(model_author(model_of(generation)))},
                         {"gen_ai_request_model", generation.requested_model}};
  std::erase_if(labels, [](const auto& label) { return label.second.empty(); });
  if (!generation.is_ok) labels.emplace_back("error_type", generation.error_type);
  impl_->observe(kServerDuration, labels, generation.end_ms / 1000);
  impl_->observe_own(generation);
}

}  // namespace gantry::gateway
