#include "gateway/gateway_setting_list.h"

#include <array>
#include <utility>

#include "core/byte_size.h"
#include "core/duration.h"
#include "core/rfc3339.h"

namespace gantry::gateway {
namespace {

std::string text(bool value) {
  return value ? "true" : "false";
}

std::string text(AnswerDetails details) {
  return text(details == AnswerDetails::Shown);
}

std::string text(SemanticConventions conventions) {
  switch (conventions) {
    case SemanticConventions::Stable141:
      return "stable-1.41";
    case SemanticConventions::Latest:
      return "latest";
    case SemanticConventions::Both:
      return "both";
  }
  std::unreachable();
}

std::string day(const std::optional<TimestampMs>& time) {
  constexpr std::size_t kDayBytes = 10;
  return time ? core::format_rfc3339(*time).substr(0, kDayBytes) : "";
}

constexpr std::string_view kText = "text";
constexpr std::string_view kSwitch = "true or false";
constexpr std::string_view kCount = "whole number";
constexpr std::string_view kSize = "size (bytes)";
constexpr std::string_view kDuration = "duration";

using Settings = GatewaySettings;

constexpr std::array kList = {
    GatewaySetting{"enabled", kSwitch, "Whether there is a gateway at all.",
                   [](const Settings& s) { return text(s.is_enabled); }},
    GatewaySetting{"service_name", kText, "`service.name` of the traces of calls.",
                   [](const Settings& s) { return s.trace.service_name; }},
    GatewaySetting{"trace_id_resource_key", kText,
                   "The resource attribute that has the generation's id.",
                   [](const Settings& s) { return s.trace.trace_id_resource_key; }},
    GatewaySetting{"metadata_namespace", kText,
                   "The word below `trace.metadata` under which attributes are the gateway's own.",
                   [](const Settings& s) { return s.options.calls.metadata_namespace; }},
    GatewaySetting{"default_trace_name", kText, "`trace.name` of calls that give none.",
                   [](const Settings& s) { return s.trace.default_trace_name; }},
    GatewaySetting{"default_generation_name", kText,
                   "Name of the generation span of calls that give none.",
                   [](const Settings& s) { return s.trace.default_generation_name; }},
    GatewaySetting{"io_logging", kSwitch,
                   "Prompts and completions are kept in the stack's own traces.",
                   [](const Settings& s) { return text(s.keeps_content); }},
    GatewaySetting{"semconv", "`stable-1.41`, `latest`, `both`",
                   "Whose names of the GenAI semantic conventions metrics have.",
                   [](const Settings& s) { return text(s.conventions); }},
    GatewaySetting{"max_concurrent", kCount, "Calls at once; more wait.",
                   [](const Settings& s) { return std::to_string(s.options.calls_max); }},
    GatewaySetting{"max_queue", kCount, "Calls that may wait for a place; more get 503.",
                   [](const Settings& s) { return std::to_string(s.options.queue_max); }},
    GatewaySetting{
        "queue_wait_max", kDuration, "How long a call waits for a place; then 503.",
        [](const Settings& s) { return core::format_duration(s.options.calls.queue_wait_max); }},
    GatewaySetting{
        "deadline", kDuration, "The longest that a call may take, with all attempts.",
        [](const Settings& s) { return core::format_duration(s.options.calls.deadline); }},
    GatewaySetting{
        "max_retries", kCount, "How often the last candidate is tried again.",
        [](const Settings& s) { return std::to_string(s.options.calls.attempts.max_retries); }},
    GatewaySetting{
        "keep_alive", kDuration, "Silence of a stream before it gets a comment line.",
        [](const Settings& s) { return core::format_duration(s.options.calls.keep_alive); }},
    GatewaySetting{
        "write_timeout", kDuration, "A client that takes nothing for so long is disconnected.",
        [](const Settings& s) { return core::format_duration(s.options.calls.write_timeout); }},
    GatewaySetting{
        "body_bytes_max", kSize, "Largest request; more is 413.",
        [](const Settings& s) { return core::format_byte_size(s.options.body_bytes_max); }},
    GatewaySetting{
        "answer_bytes_max", kSize, "Largest answer in one piece.",
        [](const Settings& s) { return core::format_byte_size(s.options.calls.answer_bytes_max); }},
    GatewaySetting{"always_include_usage", kSwitch,
                   "Streams end with a usage chunk though the client did not ask for it.",
                   [](const Settings& s) { return text(s.options.calls.always_includes_usage); }},
    GatewaySetting{"overhead_header", kSwitch, "Answers have `X-Gantry-Overhead-Ms`.",
                   [](const Settings& s) { return text(s.options.calls.overhead); }},
    GatewaySetting{"provider_header", kSwitch, "Answers have `X-Gantry-Provider`.",
                   [](const Settings& s) { return text(s.options.calls.provider); }},
    GatewaySetting{"require_price", kSwitch, "Keys with a limit may call models with a price only.",
                   [](const Settings& s) { return text(s.options.calls.requires_price); }},
    GatewaySetting{"allow_unlisted", kSwitch,
                   "`<provider>/<anything>` goes to that provider, unpriced.",
                   [](const Settings& s) { return text(s.catalogue.allows_unlisted); }},
    GatewaySetting{"forward_trace_context", kSwitch,
                   "Providers get the `traceparent` and `tracestate` of clients.",
                   [](const Settings& s) { return text(s.catalogue.forwards_trace_context); }},
    GatewaySetting{"prices_as_of", "day (`2026-01-31`)",
                   "When the prices below were entered: `gantry prices check` shows their age.",
                   [](const Settings& s) { return day(s.catalogue.prices_as_of); }},
};

}  // namespace

std::span<const GatewaySetting> gateway_setting_list() {
  return kList;
}

}  // namespace gantry::gateway
