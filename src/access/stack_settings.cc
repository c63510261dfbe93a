// What of the server's settings a stack may have for itself, as JSON.

#include <array>
#include <limits>
#include <string>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "access/stacks.h"
#include "core/duration.h"
#include "core/json_writer.h"

namespace gantry::access {
namespace {

using Json = nlohmann::json;

/// One number of StackSettings: where it is and what it is called.
struct Member {
  std::string_view key;
  bool is_limit = false;  ///< In the object "limits".
  bool is_duration = false;
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  std::optional<std::int64_t> (*read)(const StackSettings&);
  void (*write)(StackSettings&, std::int64_t);
};

template <auto kField>
constexpr Member member(std::string_view key, bool is_limit, bool is_duration) {
  using Value = std::remove_reference_t<decltype(*(std::declval<StackSettings&>().*kField))>;
  constexpr auto kMost =
      std::cmp_less(std::numeric_limits<Value>::max(), std::numeric_limits<std::int64_t>::max())
          ? static_cast<std::int64_t>(std::numeric_limits<Value>::max())
          : std::numeric_limits<std::int64_t>::max();
  return {.key = key,
          .is_limit = is_limit,
          .is_duration = is_duration,
          .least = 0,
          .most = kMost,
          .read = [](const StackSettings& settings) -> std::optional<std::int64_t> {
            if (!(settings.*kField)) return std::nullopt;
            return static_cast<std::int64_t>(*(settings.*kField));
          },
          .write = [](StackSettings& settings,
                      std::int64_t value) { settings.*kField = static_cast<Value>(value); }};
}

constexpr std::array kMembers = {
    member<&StackSettings::retention_ms>("retention", false, true),
    member<&StackSettings::retention_bytes>("retentionBytes", false, false),
    member<&StackSettings::out_of_order_window_ms>("outOfOrderWindow", false, true),
    member<&StackSettings::active_series_max>("activeSeriesMax", true, false),
    member<&StackSettings::new_series_per_minute_max>("newSeriesPerMinuteMax", true, false),
    member<&StackSettings::samples_per_request_max>("samplesPerRequestMax", true, false),
    member<&StackSettings::labels_per_series_max>("labelsPerSeriesMax", true, false),
    member<&StackSettings::label_value_bytes_max>("labelValueBytesMax", true, false),
    member<&StackSettings::exemplars_max>("exemplarsMax", true, false),
    member<&StackSettings::traces_retention_ms>("tracesRetention", false, true),
    member<&StackSettings::traces_retention_bytes>("tracesRetentionBytes", false, false),
    member<&StackSettings::spans_per_request_max>("spansPerRequestMax", true, false),
    member<&StackSettings::span_bytes_per_second_max>("spanBytesPerSecondMax", true, false),
    member<&StackSettings::live_traces_max>("liveTracesMax", true, false),
    member<&StackSettings::bytes_per_trace_max>("bytesPerTraceMax", true, false),
};

/// The only setting that is no number.
constexpr std::string_view kSpanMetrics = "spanMetrics";

/// The value, or why there is none.
Result<std::int64_t> read_value(const Member& member, const Json& value) {
  if (member.is_duration) {
    if (!value.is_string())
      return fail(Code::InvalidArgument, "must be a duration such as \"30d\"");
    GANTRY_TRY(const DurationMs duration, core::parse_duration(value.get<std::string>()));
    return duration.count;
  }
  const bool is_in_range =
      value.is_number_unsigned() && std::cmp_less_equal(value.get<std::uint64_t>(), member.most);
  if (!is_in_range)
    return fail(Code::InvalidArgument,
                fmt::format("must be a whole number from {} to {}", member.least, member.most));
  return static_cast<std::int64_t>(value.get<std::uint64_t>());
}

void read_members(const Json& object, bool is_limit, const std::string& path,
                  StackSettings& settings, std::vector<FieldProblem>& problems) {
  if (!object.is_object()) {
    problems.push_back({.path = path, .reason = "must be an object"});
    return;
  }
  for (const auto& [key, value] : object.items()) {
    const std::string where = fmt::format("{}.{}", path, key);
    if (!is_limit && key == "limits") {
      read_members(value, true, where, settings, problems);
      continue;
    }
    if (!is_limit && key == kSpanMetrics) {
      if (value.is_boolean())
        settings.span_metrics = value.get<bool>();
      else if (!value.is_null())
        problems.push_back({.path = where, .reason = "must be true or false"});
      continue;
    }
    const Member* found = nullptr;
    for (const Member& each : kMembers)
      if (each.is_limit == is_limit && each.key == key) found = &each;
    if (found == nullptr) {
      problems.push_back({.path = where, .reason = "no such setting of a stack"});
      continue;
    }
    if (value.is_null()) continue;  // as the server's
    if (const auto number = read_value(*found, value))
      found->write(settings, *number);
    else
      problems.push_back({.path = where, .reason = number.error().message});
  }
}

void write_members(core::JsonWriter& json, const StackSettings& settings, bool is_limit) {
  for (const Member& each : kMembers) {
    const auto value = each.is_limit == is_limit ? each.read(settings) : std::nullopt;
    if (!value) continue;
    json.key(each.key);
    if (each.is_duration)
      json.string(core::format_duration({*value}));
    else
      json.integer(*value);
  }
}

}  // namespace

ControlResult<StackSettings> parse_stack_settings(std::string_view json, std::string_view path) {
  const Json parsed = Json::parse(json, nullptr, false);
  StackSettings settings;
  std::vector<FieldProblem> problems;
  read_members(parsed, false, std::string(path), settings, problems);
  if (!problems.empty()) return refuse_fields(std::move(problems));
  return settings;
}

std::string format_stack_settings(const StackSettings& settings) {
  std::string text;
  core::JsonWriter json(text);
  json.begin_object();
  write_members(json, settings, false);
  if (settings.span_metrics) json.key(kSpanMetrics).boolean(*settings.span_metrics);
  std::string limits;
  core::JsonWriter limits_json(limits);
  limits_json.begin_object();
  write_members(limits_json, settings, true);
  limits_json.end_object();
  if (limits != "{}") json.key("limits").raw(limits);
  json.end_object();
  return text;
}

}  // namespace gantry::access
