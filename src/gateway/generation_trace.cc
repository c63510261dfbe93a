#include "gateway/generation_trace.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "codec/otlp_values.h"
#include "gateway/api_names_internal.h"
#include "gateway/attribute_list_internal.h"
#include "gateway/trace_ids.h"

namespace gantry::gateway {
namespace {

using telemetry::BatchSpan;
using telemetry::SpanBatch;
using telemetry::SpanId;
using telemetry::SpanKind;
using telemetry::SpanStatus;

class TraceBuilder {
 public:
  TraceBuilder(const Generation& generation, const TraceOptions& options,
               const GenerationExtras& extras, SpanBatch& out)
      : generation_(generation),
        context_(generation.context),
        options_(options),
        extras_(extras),
        last_attempt_(generation.attempts.empty() ? nullptr : &generation.attempts.back()),
        out_(out) {}

  void build();

 private:
  void add_resource();
  void add_outer_span(std::string_view name, std::string_view suffix, std::string_view span_type);
  void add_generation_span();
  void add_attempt(const Attempt& attempt, std::size_t index);
  void add_body_phase(const Attempt& attempt);

  // Groups of the generation span's attributes.
  void add_belonging(AttributeList& list) const;
  void add_metadata(AttributeList& list);
  void add_request(AttributeList& list) const;
  void add_response(AttributeList& list);
  void add_usage(AttributeList& list);
  void add_cost(AttributeList& list);
  void add_content(AttributeList& list) const;
  void add_origin(AttributeList& list);
  void add_timing(AttributeList& list);
  void add_extras(AttributeList& list);

  /// Of the call, at its end.
  void add_exception(BatchSpan& span);

  /// A span of the trace with the times and status of the call, under `parent`.
  BatchSpan& add_span(std::string_view name, SpanKind kind, SpanId id, SpanId parent);
  void set_status(BatchSpan& span, bool is_ok, std::string_view message);

  [[nodiscard]] std::uint64_t time_ns(double offset_ms) const {
    return static_cast<std::uint64_t>(generation_.start_unix_ns + std::llround(offset_ms * 1e6));
  }

  /// "trace.metadata.<namespace>.<name>".
  [[nodiscard]] std::string_view own_key(std::string_view name) {
    return out_.arena.copy(fmt::format("trace.metadata.{}.{}", options_.metadata_namespace, name));
  }

  [[nodiscard]] std::string_view extra_key(std::string_view name) {
    return out_.arena.copy(
        fmt::format("span.metadata.{}_generation.{}", options_.metadata_namespace, name));
  }

  [[nodiscard]] std::string_view text(std::string_view text) {
    codec::ValueState state{};
    return codec::valid_text(text, out_.arena, state);
  }

  const Generation& generation_;
  const TraceContext& context_;
  const TraceOptions& options_;
  const GenerationExtras& extras_;
  const Attempt* last_attempt_;  ///< The one that served, or the last that was tried.
  SpanBatch& out_;
  telemetry::TraceId trace_id_;
  SpanId parent_id_ = 0;
};

void TraceBuilder::build() {
  out_.clear();
  add_resource();
  trace_id_ = derive_trace_id(context_.trace_id, generation_.id);
  parent_id_ = derive_parent_id(context_.parent_span_id);
  if (!context_.trace_name.empty() && parent_id_ == 0) {
    add_outer_span(context_.trace_name, ":trace", "trace");
  }
  if (!context_.span_name.empty()) add_outer_span(context_.span_name, ":span", "span");
  add_generation_span();
  for (std::size_t i = 0; i < generation_.attempts.size(); ++i) {
    add_attempt(generation_.attempts[i], i);
  }
  if (last_attempt_ != nullptr && last_attempt_->is_ok && last_attempt_->headers_ms) {
    add_body_phase(*last_attempt_);
  }
}

void TraceBuilder::add_resource() {
  AttributeList list(out_);
  list.add_string("service.name", options_.service_name);
  list.add_string("service.version", options_.service_version);
  list.add_string(options_.trace_id_resource_key, generation_.id);
  out_.resources.push_back({.attributes = list.slice()});
  out_.scopes.push_back({.name = options_.service_name});
}

BatchSpan& TraceBuilder::add_span(std::string_view name, SpanKind kind, SpanId id, SpanId parent) {
  BatchSpan& span = out_.spans.emplace_back();
  span.trace_id = trace_id_;
  span.span_id = id;
  span.parent_id = parent;
  span.start_ns = time_ns(0);
  span.end_ns = time_ns(generation_.end_ms);
  span.kind = kind;
  span.name = text(name);
  set_status(span, generation_.is_ok, generation_.error_message);
  return span;
}

void TraceBuilder::set_status(BatchSpan& span, bool is_ok, std::string_view message) {
  span.status = is_ok ? SpanStatus::Ok : SpanStatus::Error;
  span.status_message = is_ok ? std::string_view() : text(message);
}

void TraceBuilder::add_outer_span(std::string_view name, std::string_view suffix,
                                  std::string_view span_type) {
  const SpanId id = derive_span_id(generation_.id, suffix);
  BatchSpan& span = add_span(name, SpanKind::Internal, id, parent_id_);
  AttributeList list(out_);
  list.add_string("span.type", span_type);
  list.add_string_if("session.id", context_.session_id);
  list.add_string_if("user.id", context_.user_id);
  span.attributes = list.slice();
  parent_id_ = id;
}

void TraceBuilder::add_generation_span() {
  const std::string_view name = context_.generation_name.empty()
                                    ? std::string_view(options_.default_generation_name)
                                    : context_.generation_name;
  const SpanId id = derive_span_id(generation_.id, "");
  BatchSpan& span = add_span(name, SpanKind::Client, id, parent_id_);
  AttributeList list(out_);
  add_belonging(list);
  add_metadata(list);
  add_request(list);
  add_response(list);
  if (generation_.usage) add_usage(list);
  if (generation_.usage && generation_.cost) add_cost(list);
  add_content(list);
  add_origin(list);
  add_timing(list);
  add_extras(list);
  span.attributes = list.slice();
  if (!generation_.is_ok) add_exception(span);
  parent_id_ = id;
}

void TraceBuilder::add_belonging(AttributeList& list) const {
  list.add_string("trace.name", context_.trace_name.empty()
                                    ? std::string_view(options_.default_trace_name)
                                    : context_.trace_name);
  list.add_string_if("user.id", context_.user_id);
  list.add_string_if("session.id", context_.session_id);
  list.add_string_if("gen_ai.conversation.id", context_.session_id);
  list.add_string("span.type", "generation");
  list.add_string("span.level", generation_.is_ok ? "DEFAULT" : "ERROR");
  if (!generation_.is_ok) {
    list.add_string_if("span.status_message", generation_.error_message);
    list.add_string_if("error.type", generation_.error_type);
  }
}

void TraceBuilder::add_metadata(AttributeList& list) {
  for (const Metadata& entry : context_.metadata) {
    const std::string_view key = out_.arena.copy("trace.metadata." + entry.key);
    switch (entry.kind) {
      case Metadata::Kind::String:
        list.add_string(key, entry.text);
        break;
      case Metadata::Kind::Bool:
        list.add_bool(key, entry.boolean);
        break;
      case Metadata::Kind::Int:
        list.add_int(key, entry.integer);
        break;
      case Metadata::Kind::Double:
        list.add_double(key, entry.number);
        break;
    }
  }
  if (!context_.ignored_keys.empty()) {
    list.add_strings(own_key("ignored_keys"), context_.ignored_keys);
  }
}

void TraceBuilder::add_request(AttributeList& list) const {
  const std::string_view model =
      generation_.served_model.empty() ? generation_.requested_model : generation_.served_model;
  const std::string_view author = model_author(model);
  list.add_string("gen_ai.operation.name", operation_name(generation_.api));
  list.add_string_if("gen_ai.system", author);
  list.add_string_if("gen_ai.provider.name", author);
  list.add_string_if("gen_ai.request.model", generation_.requested_model);
  if (generation_.api != Api::Embeddings) {
    list.add_bool("gen_ai.request.stream", generation_.is_stream);
  }

  list.add_string_if("gen_ai.output.type", generation_.output_type);

  const SamplingParameters& parameters = generation_.parameters;
  list.add_double_if("gen_ai.request.temperature", parameters.temperature);
  list.add_double_if("gen_ai.request.top_p", parameters.top_p);
  list.add_int_if("gen_ai.request.top_k", parameters.top_k);
  list.add_int_if("gen_ai.request.max_tokens", parameters.max_tokens);
  list.add_double_if("gen_ai.request.frequency_penalty", parameters.frequency_penalty);
  list.add_double_if("gen_ai.request.presence_penalty", parameters.presence_penalty);
  list.add_int_if("gen_ai.request.seed", parameters.seed);
  if (!parameters.stop.empty()) {
    list.add_strings("gen_ai.request.stop_sequences", parameters.stop);
  }
  // The semantic conventions want it only where it is not 1.
  if (parameters.choice_count != 1) {
    list.add_int_if("gen_ai.request.choice.count", parameters.choice_count);
  }
}

void TraceBuilder::add_response(AttributeList& list) {
  list.add_string_if("gen_ai.response.model", generation_.served_model);
  list.add_string("gen_ai.response.id", generation_.id);
  list.add_string_if("gen_ai.response.finish_reason", generation_.finish_reason);
  if (!generation_.finish_reasons.empty()) {
    list.add_strings("gen_ai.response.finish_reasons", generation_.finish_reasons);
  }
  list.add_string_if(own_key("finish_reason"), generation_.native_finish_reason);
  if (generation_.tools_count > 0) list.add_int(own_key("tools_count"), generation_.tools_count);
  if (generation_.tool_calls_count > 0) {
    list.add_int(own_key("tool_calls_count"), generation_.tool_calls_count);
  }
}

void TraceBuilder::add_usage(AttributeList& list) {
  const Usage& usage = *generation_.usage;
  list.add_int("gen_ai.usage.input_tokens", usage.input);
  if (generation_.api != Api::Embeddings) {
    list.add_int("gen_ai.usage.output_tokens", usage.output);
  }
  list.add_int("gen_ai.usage.total_tokens", usage.total);
  list.add_int_if("gen_ai.usage.input_tokens.cached", usage.cached);
  list.add_int_if("gen_ai.usage.cache_read.input_tokens", usage.cached);
  list.add_int_if("gen_ai.usage.input_tokens.cache_write", usage.cache_write);
  list.add_int_if("gen_ai.usage.cache_creation.input_tokens", usage.cache_write);
  list.add_int_if("gen_ai.usage.input_tokens.cache_write_5m", usage.cache_write_5m);
  list.add_int_if("gen_ai.usage.input_tokens.cache_write_1h", usage.cache_write_1h);
  list.add_int_if("gen_ai.usage.output_tokens.reasoning", usage.reasoning);
  list.add_int_if("gen_ai.usage.reasoning.output_tokens", usage.reasoning);
  if (usage.is_estimated) list.add_bool(own_key("usage_estimated"), true);

  if (const std::optional<Prices>& prices = generation_.pricing.prices) {
    list.add_double(own_key("input_unit_price"), prices->input.to_double());
    if (generation_.api != Api::Embeddings) {
      list.add_double(own_key("output_unit_price"), prices->output.to_double());
    }
  }
}

void TraceBuilder::add_cost(AttributeList& list) {
  const Cost& cost = *generation_.cost;
  if (cost.input) list.add_double("gen_ai.usage.input_cost", cost.input->to_double());
  if (cost.output && generation_.api != Api::Embeddings) {
    list.add_double("gen_ai.usage.output_cost", cost.output->to_double());
  }
  list.add_double("gen_ai.usage.total_cost", cost.total.to_double());
}

void TraceBuilder::add_content(AttributeList& list) const {
  list.add_string_if("gen_ai.prompt", generation_.prompt.json);
  if (generation_.prompt.is_cut) list.add_bool("gen_ai.prompt.truncated", true);
  list.add_string_if("gen_ai.completion", generation_.completion.json);
  if (generation_.completion.is_cut) list.add_bool("gen_ai.completion.truncated", true);
}

void TraceBuilder::add_origin(AttributeList& list) {
  list.add_string(own_key("source"), "gantry");
  list.add_string_if(own_key("api_key_name"), generation_.api_key_name);
  if (last_attempt_ == nullptr) return;
  list.add_string_if(own_key("provider_name"), last_attempt_->provider_name);
  list.add_string_if(own_key("provider_slug"), last_attempt_->provider_slug);
  list.add_string_if("server.address", last_attempt_->server_address);
  if (last_attempt_->server_port != 0) list.add_int("server.port", last_attempt_->server_port);
}

void TraceBuilder::add_timing(AttributeList& list) {
  if (last_attempt_ == nullptr) return;
  const Attempt& last = *last_attempt_;
  list.add_double(own_key("router_latency_ms"), generation_.attempts.front().sent_ms);
  list.add_double(own_key("provider_request_ms"), last.sent_ms);
  list.add_double_if(own_key("provider_headers_ms"), last.headers_ms);
  if (generation_.is_stream && last.first_token_ms) {
    list.add_double(own_key("first_token_ms"), *last.first_token_ms);
    list.add_double(own_key("provider_time_to_first_token_ms"),
                    *last.first_token_ms - last.sent_ms);
    list.add_double("gen_ai.response.time_to_first_chunk", *last.first_token_ms / 1000);
  }
  if (!generation_.is_ok || !last.body_end_ms) return;
  list.add_double(own_key("provider_body_end_ms"), *last.body_end_ms);
  // An estimate of the tokens would be sold as a measurement of the time between them.
  if (generation_.is_stream && last.first_token_ms && generation_.usage &&
      !generation_.usage->is_estimated && generation_.usage->output >= 2) {
    list.add_double(own_key("inter_token_latency_ms"),
                    (*last.body_end_ms - *last.first_token_ms) /
                        static_cast<double>(generation_.usage->output - 1));
  }
}

void TraceBuilder::add_extras(AttributeList& list) {
  if (extras_.cost && generation_.usage) {
    if (const auto& cost = generation_.cost) {
      list.add_double(extra_key("usage"), cost->total.to_double());
      if (cost->upstream) {
        list.add_double(extra_key("usage_upstream"), cost->upstream->to_double());
      }
      if (cost->cache_discount) {
        list.add_double(extra_key("usage_cache"), cost->cache_discount->to_double());
      }
    }
    list.add_int(extra_key("tokens_prompt"), generation_.usage->input);
    if (generation_.api != Api::Embeddings) {
      list.add_int(extra_key("tokens_completion"), generation_.usage->output);
    }
  }
  if (extras_.identity) {
    list.add_string_if(extra_key("external_user"), context_.user_id);
    list.add_string_if(extra_key("creator_user_id"), generation_.creator_user_id);
    list.add_string_if(extra_key("workspace_id"), generation_.workspace_id);
  }
  if (extras_.request_context) {
    list.add_string_if(extra_key("user_agent"), generation_.user_agent);
    list.add_string_if(extra_key("http_referer"), generation_.http_referer);
    list.add_string_if(extra_key("origin"), generation_.origin);
    list.add_string(extra_key("api_type"), api_type(generation_.api));
    list.add_bool(extra_key("streamed"), generation_.is_stream);
    list.add_bool(extra_key("cancelled"), generation_.is_cancelled);
  }
}

void TraceBuilder::add_exception(BatchSpan& span) {
  AttributeList list(out_);
  list.add_string("exception.type", generation_.error_type);
  list.add_string("exception.message", generation_.error_message);
  span.events = {.begin = static_cast<std::uint32_t>(out_.events.size()), .count = 1};
  out_.events.push_back({.time_ns = span.end_ns, .name = "exception", .attributes = list.slice()});
}

void TraceBuilder::add_attempt(const Attempt& attempt, std::size_t index) {
  const std::string suffix = fmt::format(":attempt-{}", index);
  BatchSpan& span = add_span(
      out_.arena.copy(fmt::format("provider attempt {}: {}", index + 1, attempt.provider_name)),
      SpanKind::Client, derive_span_id(generation_.id, suffix), parent_id_);
  const double end_ms = attempt.headers_ms.value_or(attempt.failed_ms.value_or(generation_.end_ms));
  span.start_ns = time_ns(attempt.sent_ms);
  span.end_ns = time_ns(std::max(end_ms, attempt.sent_ms));
  set_status(span, attempt.is_ok, attempt.message);

  AttributeList list(out_);
  list.add_string("span.type", "span");
  list.add_string("span.level", attempt.is_ok ? "DEFAULT" : "ERROR");
  list.add_int("span.metadata.attempt_index", static_cast<std::int64_t>(index));
  if (attempt.status) list.add_int("span.metadata.status_code", *attempt.status);
  list.add_string("gen_ai.operation.name", operation_name(generation_.api));
  list.add_string_if("span.metadata.upstream_model", attempt.upstream_model);
  list.add_string("gen_ai.response.id", out_.arena.copy(generation_.id + suffix));
  list.add_string_if(own_key("provider_name"), attempt.provider_name);
  list.add_string_if("server.address", attempt.server_address);
  if (attempt.server_port != 0) list.add_int("server.port", attempt.server_port);
  if (!attempt.is_ok) list.add_string_if("error.type", attempt.error_type);
  span.attributes = list.slice();
}

void TraceBuilder::add_body_phase(const Attempt& attempt) {
  constexpr std::string_view kSuffix = ":generation";
  BatchSpan& span = add_span("generation", SpanKind::Internal,
                             derive_span_id(generation_.id, kSuffix), parent_id_);
  span.start_ns = time_ns(*attempt.headers_ms);
  span.end_ns =
      time_ns(std::max(attempt.body_end_ms.value_or(generation_.end_ms), *attempt.headers_ms));

  AttributeList list(out_);
  list.add_string("span.type", "span");
  list.add_string("span.level", generation_.is_ok ? "DEFAULT" : "ERROR");
  list.add_string("gen_ai.operation.name", operation_name(generation_.api));
  list.add_string("gen_ai.response.id",
                  out_.arena.copy(fmt::format("{}{}", generation_.id, kSuffix)));
  span.attributes = list.slice();
}

}  // namespace

void build_trace(const Generation& generation, const TraceOptions& options,
                 const GenerationExtras& extras, SpanBatch& out) {
  TraceBuilder(generation, options, extras, out).build();
}

}  // namespace gantry::gateway
