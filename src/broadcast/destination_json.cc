#include "broadcast/destination_json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>

#include "broadcast/config_change_internal.h"
#include "broadcast/json_fields_internal.h"
#include "core/rfc3339.h"
#include "pipeline/relabel_json.h"
#include "pipeline/rules_member.h"
#include "pipeline/stream_aggregation.h"

namespace gantry::broadcast {
namespace {

namespace dom = simdjson::dom;
using access::ControlResult;
using access::FieldProblem;

constexpr std::array<std::string_view, 19> kNames = {"id",
                                                     "type",
                                                     "name",
                                                     "enabled",
                                                     "privacy_mode",
                                                     "sampling_rate",
                                                     "api_key_hashes",
                                                     "excluded_api_key_hashes",
                                                     "filter_rules",
                                                     "attribute_rules",
                                                     "metric_relabel_configs",
                                                     "stream_aggregation",
                                                     "broadcast_generation_cost",
                                                     "broadcast_generation_identity",
                                                     "broadcast_generation_request_context",
                                                     "workspace_id",
                                                     "config",
                                                     "created_at",
                                                     "updated_at"};

constexpr double kSamplingSteps = 1e9;

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7f'; });
}

/// Reads one body into one destination.
class Reader {
 public:
  Reader(JsonFields fields, std::vector<FieldProblem>& problems)
      : fields_(std::move(fields)), problems_(problems) {}

  void require(std::string_view name) {
    if (fields_.find(name) == nullptr || fields_.is_null(name))
      fields_.complain(name, "is required");
  }

  void read_settings(Destination& out) {
    read_name(out);
    read_switch("enabled", out.is_enabled);
    read_switch("privacy_mode", out.is_private);
    read_sampling_rate(out);
    read_keys(out);
    read_rules("filter_rules", out.filter_rules_json, out.filter_rules, &FilterRules::parse);
    read_rules("attribute_rules", out.attribute_rules_json, out.attribute_rules,
               &AttributeRules::parse);
    read_rules("metric_relabel_configs", out.metric_relabel_json, out.metric_relabel,
               &pipeline::parse_relabel_rules);
    read_rules("stream_aggregation", out.stream_aggregation_json,
               &pipeline::check_stream_aggregation);
    read_switch("broadcast_generation_cost", out.extras.cost);
    read_switch("broadcast_generation_identity", out.extras.identity);
    read_switch("broadcast_generation_request_context", out.extras.request_context);
  }

  /// False after a problem: then the config means nothing.
  [[nodiscard]] bool read_type(Destination& out) {
    const auto name = fields_.text("type");
    if (!name) return fields_.find("type") == nullptr;
    const auto type = parse_destination_type(*name);
    if (!type) {
      fields_.complain("type", fmt::format("{} is not a type of destination; the types are {}",
                                           quoted(*name), type_names()));
      return false;
    }
    out.type = *type;
    return true;
  }

  /// `before`: what the config begins with.
  void read_config(Destination& out, const DestinationConfig& before) {
    if (const dom::element* const config = fields_.find("config"); config != nullptr)
      out.config = change_config(*config, out.type, before, problems_);
  }

 private:
  static std::string type_names() {
    std::string names;
    for (const DestinationType type :
         {DestinationType::Grafana, DestinationType::OtelCollector, DestinationType::Webhook,
          DestinationType::Gantry, DestinationType::PrometheusRemoteWrite, DestinationType::Influx})
      names += fmt::format("{}{}", names.empty() ? "" : ", ", destination_type_name(type));
    return names;
  }

  void read_switch(std::string_view name, bool& out) { out = fields_.boolean(name).value_or(out); }

  void read_name(Destination& out) {
    if (fields_.is_null("name")) {
      out.name.clear();
      return;
    }
    const auto name = fields_.text("name");
    if (!name) return;
    out.name = *name;
    if (name->empty())
      fields_.complain("name", "is empty");
    else if (name->size() > kDestinationNameBytesMax)
      fields_.complain("name", fmt::format("is longer than {} bytes", kDestinationNameBytesMax));
    else if (has_control_character(*name))
      fields_.complain("name", "has a control character");
  }

  void read_sampling_rate(Destination& out) {
    const auto rate = fields_.number("sampling_rate");
    if (!rate) return;
    // What is kept, and what is shown, has nine decimals.
    out.sampling_rate = std::round(*rate * kSamplingSteps) / kSamplingSteps;
    if (!(*rate >= kSamplingRateMin && *rate <= 1))
      fields_.complain("sampling_rate", fmt::format("must be from {} to 1", kSamplingRateMin));
  }

  void read_keys(Destination& out) {
    if (fields_.is_null("api_key_hashes")) {
      out.api_key_hashes.reset();
    } else if (auto hashes = read_hashes("api_key_hashes")) {
      if (hashes->empty())
        fields_.complain("api_key_hashes", "must have at least one item; null means all keys");
      out.api_key_hashes = std::move(hashes);
    }
    if (fields_.is_null("excluded_api_key_hashes"))
      out.excluded_api_key_hashes.clear();
    else if (auto hashes = read_hashes("excluded_api_key_hashes"))
      out.excluded_api_key_hashes = *std::move(hashes);
  }

  std::optional<std::vector<std::string>> read_hashes(std::string_view name) {
    const dom::element* const value = fields_.find(name);
    if (value == nullptr) return std::nullopt;
    std::vector<std::string> hashes;
    dom::array array;
    if (value->get(array) != simdjson::SUCCESS) {
      fields_.complain(name, "must be an array of strings");
      return std::nullopt;
    }
    for (const dom::element item : array) {
      std::string_view hash;
      if (hashes.size() == kApiKeyHashesMax) {
        fields_.complain(name, fmt::format("has more than {} items", kApiKeyHashesMax));
        return std::nullopt;
      }
      if (item.get(hash) != simdjson::SUCCESS || hash.empty() ||
          hash.size() > kApiKeyHashBytesMax || has_control_character(hash)) {
        fields_.complain(fmt::format("{}[{}]", name, hashes.size()),
                         fmt::format("must be a string of 1 to {} bytes", kApiKeyHashBytesMax));
        return std::nullopt;
      }
      hashes.emplace_back(hash);
    }
    return hashes;
  }

  template <class... Into>
  void read_rules(std::string_view name, Into&&... into) {
    const dom::element* const value = fields_.find(name);
    if (value == nullptr) return;
    if (auto problem = pipeline::read_rules(simdjson::minify(*value), std::forward<Into>(into)...))
      problems_.push_back(*std::move(problem));
  }

  JsonFields fields_;
  std::vector<FieldProblem>& problems_;
};

void write_hashes(core::JsonWriter& json, const std::vector<std::string>& hashes) {
  json.begin_array();
  for (const std::string& hash : hashes) json.string(hash);
  json.end_array();
}

}  // namespace

struct DestinationBody::Impl {
  dom::parser parser;
  simdjson::padded_string text;
  dom::element root;

  [[nodiscard]] const dom::element* find(std::string_view name, dom::element& out) const {
    return root[name].get(out) == simdjson::SUCCESS ? &out : nullptr;
  }

  [[nodiscard]] Reader reader(std::vector<FieldProblem>& problems) const {
    return {JsonFields(root, "", kNames, problems), problems};
  }
};

DestinationBody::DestinationBody(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

DestinationBody::DestinationBody(DestinationBody&& other) noexcept = default;
DestinationBody& DestinationBody::operator=(DestinationBody&& other) noexcept = default;
DestinationBody::~DestinationBody() = default;

ControlResult<DestinationBody> DestinationBody::parse(std::string_view json) {
  if (json.size() > kDestinationBodyBytesMax)
    return access::refuse(Code::TooLarge, fmt::format("the body is {} bytes, the limit is {}",
                                                      json.size(), kDestinationBodyBytesMax));
  auto impl = std::make_unique<Impl>();
  impl->text = simdjson::padded_string(json);
  if (const auto error = impl->parser.parse(impl->text).get(impl->root); error != simdjson::SUCCESS)
    return access::refuse(Code::InvalidArgument, fmt::format("the body is not valid JSON: {}",
                                                             simdjson::error_message(error)));
  if (!impl->root.is_object())
    return access::refuse(Code::InvalidArgument, "the body must be a JSON object");
  std::vector<FieldProblem> problems;
  JsonFields fields(impl->root, "", kNames, problems);
  if (!fields.is_null("workspace_id")) static_cast<void>(fields.text("workspace_id"));
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  return DestinationBody(std::move(impl));
}

std::optional<std::string> DestinationBody::workspace_id() const {
  dom::element value;
  std::string_view text;
  if (impl_->find("workspace_id", value) == nullptr || value.get(text) != simdjson::SUCCESS)
    return std::nullopt;
  return std::string(text);
}

bool DestinationBody::changes_connection() const {
  dom::element value;
  return impl_->find("type", value) != nullptr || impl_->find("config", value) != nullptr;
}

ControlResult<Destination> DestinationBody::create() const {
  std::vector<FieldProblem> problems;
  Reader reader = impl_->reader(problems);
  Destination created;
  for (const std::string_view name : {"type", "name", "config"}) reader.require(name);
  if (problems.empty()) {
    reader.read_settings(created);
    if (reader.read_type(created)) reader.read_config(created, default_config(created.type));
  }
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  return created;
}

ControlResult<Destination> DestinationBody::connection() const {
  std::vector<FieldProblem> problems;
  Reader reader = impl_->reader(problems);
  Destination unsaved;
  for (const std::string_view name : {"type", "config"}) reader.require(name);
  if (problems.empty() && reader.read_type(unsaved))
    reader.read_config(unsaved, default_config(unsaved.type));
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  return unsaved;
}

ControlResult<Destination> DestinationBody::change(const Destination& before) const {
  std::vector<FieldProblem> problems;
  Reader reader = impl_->reader(problems);
  Destination after = before;
  reader.read_settings(after);
  if (reader.read_type(after)) {
    const bool is_new_type = after.type != before.type;
    // Nothing of one type's config means the same to another.
    if (is_new_type) reader.require("config");
    if (problems.empty() || !is_new_type)
      reader.read_config(after, is_new_type ? default_config(after.type) : before.config);
  }
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  return after;
}

void write_destination(core::JsonWriter& json, const Destination& destination,
                       const SecretMasks& masks) {
  json.begin_object();
  json.key("id").string(destination.id);
  json.key("type").string(destination_type_name(destination.type));
  json.key("name");
  if (destination.name.empty())
    json.null();
  else
    json.string(destination.name);
  json.key("enabled").boolean(destination.is_enabled);
  json.key("privacy_mode").boolean(destination.is_private);
  json.key("sampling_rate").number(destination.sampling_rate);
  json.key("api_key_hashes");
  if (destination.api_key_hashes)
    write_hashes(json, *destination.api_key_hashes);
  else
    json.null();
  json.key("excluded_api_key_hashes");
  write_hashes(json, destination.excluded_api_key_hashes);
  pipeline::write_rules(json, "filter_rules", destination.filter_rules_json);
  pipeline::write_rules(json, "attribute_rules", destination.attribute_rules_json);
  pipeline::write_rules(json, "metric_relabel_configs", destination.metric_relabel_json);
  pipeline::write_rules(json, "stream_aggregation", destination.stream_aggregation_json);
  json.key("broadcast_generation_cost").boolean(destination.extras.cost);
  json.key("broadcast_generation_identity").boolean(destination.extras.identity);
  json.key("broadcast_generation_request_context").boolean(destination.extras.request_context);
  json.key("workspace_id").string(std::to_string(destination.stack));
  json.key("config");
  write_config(json, destination.type, destination.config, masks);
  json.key("created_at").string(core::format_rfc3339(destination.created_at));
  json.key("updated_at").string(core::format_rfc3339(destination.updated_at));
  json.end_object();
}

}  // namespace gantry::broadcast
