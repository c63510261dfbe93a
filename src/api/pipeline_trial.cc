#include <utility>
#include <vector>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "api/cloud_internal.h"
#include "api/pipeline_trial_internal.h"
#include "codec/compression.h"
#include "codec/otlp_traces.h"
#include "codec/otlp_traces_json_encoder.h"
#include "core/json_writer.h"
#include "pipeline/ruled_spans.h"
#include "telemetry/labels.h"

namespace gantry::api {
namespace {

using access::ControlResult;
using access::FieldProblem;
using pipeline::StackRules;

constexpr std::size_t kSamplesMax = 1000;

ControlResult<void> check_names(const Json& body) {
  std::vector<FieldProblem> problems;
  for (const auto& [name, value] : body.items())
    if (name != "rules" && name != "spans" && name != "samples")
      problems.push_back({.path = name, .reason = "is unknown"});
  if (!body.contains("spans") && !body.contains("samples"))
    problems.push_back({.path = "spans", .reason = "or samples are required"});
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  return {};
}

ControlResult<StackRules> rules_to_try(const StackRules& stored, const Json& body) {
  if (!body.contains("rules")) return stored;
  GANTRY_TRY(const auto rules, pipeline::StackRulesBody::parse(body["rules"].dump()));
  return rules.apply(stored);
}

ControlResult<void> try_spans(const pipeline::StoredRules& stored, const StackRules& rules,
                              const Json& request, core::JsonWriter& json) {
  std::string text = request.dump();
  const std::size_t size = text.size();
  text.append(codec::kBodyPaddingBytes, '\0');
  codec::OtlpTracesDecoder decoder;
  const auto decoded = decoder.decode_json(std::string_view(text).substr(0, size), {});
  if (!decoded) return access::refuse_field("spans", decoded.error().message);
  pipeline::TraceSessions sessions;
  const pipeline::RuledSpans ruled(rules, stored.stack, sessions, decoder.batch());
  std::string kept;
  codec::append_otlp_traces_json(ruled.kept(), kept);
  json.key("spans").begin_object();
  json.key("kept").raw(kept);
  json.key("filtered").integer(ruled.filtered_count());
  json.key("sampled_out").integer(ruled.sampled_out().spans.size());
  json.end_object();
  return {};
}

ControlResult<telemetry::Labels> read_labels(const Json& sample, const std::string& path) {
  if (!sample.is_object() || !sample.contains("labels") || !sample["labels"].is_object())
    return access::refuse_field(path, "must be an object with labels");
  std::vector<telemetry::Label> labels;
  for (const auto& [name, value] : sample["labels"].items()) {
    if (!value.is_string())
      return access::refuse_field(fmt::format("{}.labels.{}", path, name), "must be a string");
    labels.push_back({.name = name, .value = value.get<std::string>()});
  }
  return telemetry::make_labels(std::move(labels));
}

ControlResult<void> try_samples(const StackRules& rules, const Json& samples,
                                core::JsonWriter& json) {
  if (!samples.is_array() || samples.size() > kSamplesMax)
    return access::refuse_field("samples",
                                fmt::format("must be an array of at most {}", kSamplesMax));
  json.key("samples").begin_array();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    GANTRY_TRY(telemetry::Labels labels, read_labels(samples[i], fmt::format("samples[{}]", i)));
    const bool is_kept = rules.metric_relabel.apply(labels);
    json.begin_object().key("labels");
    if (is_kept) {
      json.begin_object();
      for (const telemetry::Label& label : labels) json.key(label.name).string(label.value);
      json.end_object();
    } else {
      json.null();
    }
    json.end_object();
  }
  json.end_array();
  return {};
}

}  // namespace

ControlResult<std::string> try_rules(const pipeline::StoredRules& stored, std::string_view body) {
  GANTRY_TRY(const Json parsed, parse_cloud_body(body));
  GANTRY_CHECK(check_names(parsed));
  GANTRY_TRY(const StackRules rules, rules_to_try(stored.rules, parsed));
  std::string shown;
  core::JsonWriter json(shown);
  json.begin_object().key("data").begin_object();
  if (parsed.contains("spans")) GANTRY_CHECK(try_spans(stored, rules, parsed["spans"], json));
  if (parsed.contains("samples")) GANTRY_CHECK(try_samples(rules, parsed["samples"], json));
  json.end_object().end_object();
  return shown;
}

}  // namespace gantry::api
