// status/*, rules, alerts, targets and what else a Prometheus client asks of a server.

#include <algorithm>
#include <array>
#include <charconv>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "api/features_json.h"
#include "api/prometheus.h"
#include "api/prometheus_support.h"
#include "core/json_writer.h"
#include "core/rfc3339.h"
#include "core/version.h"

namespace gantry::api {
namespace {

constexpr std::size_t kCardinalityLimitDefault = 10;
constexpr std::size_t kCardinalityLimitMax = 10'000;

void append_entries(core::JsonWriter& json, std::string_view key,
                    const std::vector<metrics::CardinalityEntry>& entries) {
  json.key(key).begin_array();
  for (const metrics::CardinalityEntry& entry : entries) {
    json.begin_object();
    json.key("name").string(entry.name);
    json.key("value").integer(entry.value);
    json.end_object();
  }
  json.end_array();
}

ApiResult<std::size_t> read_cardinality_limit(const net::Parameters& parameters) {
  const auto text = parameters.find("limit");
  if (!text || text->empty()) return kCardinalityLimitDefault;
  std::size_t limit = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
  if (error != std::errc{} || end != text->data() + text->size() || limit == 0) {
    return bad_data("limit must be a positive number");
  }
  if (limit > kCardinalityLimitMax) {
    return bad_data(fmt::format("limit must not exceed {}", kCardinalityLimitMax));
  }
  return limit;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

std::string working_directory() {
  std::array<char, 4096> path{};
  return getcwd(path.data(), path.size()) == nullptr ? std::string() : std::string(path.data());
}

class StatusApi {
 public:
  explicit StatusApi(const Services& services) : services_(services) {}

  ApiResult<net::Response> build_information(net::Request&, const access::StackView&) const {
    std::string data;
    core::JsonWriter json(data);
    json.begin_object();
    json.key("version").string(core::prometheus_compatible_version());
    json.key("revision").string(core::revision());
    json.key("branch").string("main");
    json.key("buildUser").string("");
    json.key("buildDate").string("");
    json.key("goVersion").string("");
    json.end_object();
    return success_response(data);
  }

  ApiResult<net::Response> runtime_information(net::Request&, const access::StackView&) const {
    const auto [is_reloaded, reload_time] = services_.process.last_reload();
    std::string data;
    core::JsonWriter json(data);
    json.begin_object();
    json.key("startTime").string(core::format_rfc3339(services_.process.start_time));
    json.key("CWD").string(working_directory());
    json.key("hostname").string(host_name());
    json.key("serverTime").string(core::format_rfc3339(services_.clock.now()));
    json.key("reloadConfigSuccess").boolean(is_reloaded);
    json.key("lastConfigTime").string(core::format_rfc3339(reload_time));
    json.key("corruptionCount").integer(0);
    json.key("goroutineCount").integer(0);
    json.key("GOMAXPROCS").integer(std::thread::hardware_concurrency());
    json.key("GOMEMLIMIT").integer(0);
    json.key("GOGC").string("");
    json.key("GODEBUG").string("");
    json.key("storageRetention").string(flag("storage.retention"));
    json.end_object();
    return success_response(data);
  }

  ApiResult<net::Response> flags(net::Request&, const access::StackView&) const {
    std::string data;
    core::JsonWriter json(data);
    json.begin_object();
    for (const auto& [name, value] : services_.process.flags()) json.key(name).string(value);
    json.end_object();
    return success_response(data);
  }

  ApiResult<net::Response> config(net::Request&, const access::StackView&) const {
    std::string data;
    core::JsonWriter json(data);
    json.begin_object();
    json.key("yaml").string(services_.process.effective_config());
    json.end_object();
    return success_response(data);
  }

  ApiResult<net::Response> cardinality(net::Request& request, const access::StackView& view) const {
    GANTRY_TRY(const net::Parameters parameters, read_parameters(request));
    GANTRY_TRY(const std::size_t limit, read_cardinality_limit(parameters));
    const auto counted = view.metrics_cardinality(limit);
    if (!counted) return std::unexpected(api_error(counted.error()));
    const metrics::CardinalityStatistics& statistics = *counted;
    std::string data;
    core::JsonWriter json(data);
    json.begin_object();
    json.key("headStats").begin_object();
    json.key("numSeries").integer(statistics.series_count);
    json.key("numLabelPairs").integer(statistics.label_pair_count);
    json.key("chunkCount").integer(statistics.chunk_count);
    json.key("minTime").integer(statistics.time_ms_min);
    json.key("maxTime").integer(statistics.time_ms_max);
    json.end_object();
    append_entries(json, "seriesCountByMetricName", statistics.series_by_metric);
    append_entries(json, "labelValueCountByLabelName", statistics.values_by_label);
    append_entries(json, "memoryInBytesByLabelName", statistics.bytes_by_label);
    append_entries(json, "seriesCountByLabelValuePair", statistics.series_by_label_pair);
    json.end_object();
    return success_response(data);
  }

  ApiResult<net::Response> blocks(net::Request&, const access::StackView& view) const {
    const auto parts = view.metrics_parts();
    if (!parts) return std::unexpected(api_error(parts.error()));
    std::string data;
    core::JsonWriter json(data);
    json.begin_object();
    json.key("blocks").begin_array();
    for (const metrics::PartStatistics& part : *parts) {
      json.begin_object();
      json.key("ulid").string(part.name);
      json.key("minTime").integer(part.time_ms_min);
      json.key("maxTime").integer(part.time_ms_max);
      json.key("stats").begin_object();
      json.key("numSamples").integer(part.sample_count);
      json.key("numSeries").integer(part.series_count);
      json.key("numChunks").integer(part.block_count);
      json.key("numBytes").integer(part.bytes);
      json.end_object();
      json.key("compaction").begin_object();
      json.key("level").integer(part.level);
      json.key("sources").begin_array().string(part.name).end_array();
      json.end_object();
      json.key("version").integer(1);
      json.end_object();
    }
    json.end_array();
    json.end_object();
    return success_response(data);
  }

  ApiResult<net::Response> features(net::Request&, const access::StackView&) const {
    return success_response(features_json(services_.engine.options()));
  }

 private:
  [[nodiscard]] std::string flag(std::string_view wanted) const {
    for (const auto& [name, value] : services_.process.flags()) {
      if (name == wanted) return value;
    }
    return {};
  }

  const Services& services_;
};

/// Whom an endpoint answers. Hosts, settings and counts of the whole stack or process are not for
/// those who may read a part of it, even where there is nothing to show yet.
enum class Audience : std::uint8_t { Everybody, Unrestricted };

/// Answers that never differ: there are no rules and no scrape targets here.
struct Constant {
  std::string_view path;
  std::string_view name;
  std::string_view data;
  Audience audience = Audience::Unrestricted;
};

constexpr std::array<Constant, 5> kConstants = {{
    {"/api/v1/alerts", "alerts", R"({"alerts":[]})", Audience::Everybody},
    {"/api/v1/alertmanagers", "alertmanagers",
     R"({"activeAlertmanagers":[],"droppedAlertmanagers":[]})"},
    {"/api/v1/scrape_pools", "scrape_pools", R"({"scrapePools":[]})"},
    {"/api/v1/targets/metadata", "targets_metadata", "[]"},
    {"/api/v1/notifications", "notifications", "[]"},
}};

/// The counts are null unless dropped targets are asked for.
ApiResult<net::Response> targets(net::Request& request, const access::StackView&) {
  GANTRY_TRY(const net::Parameters parameters, read_parameters(request));
  const std::string_view state = parameters.find("state").value_or("");
  const bool has_dropped = state.empty() || state == "any" || state == "dropped";
  return success_response(
      fmt::format(R"({{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}})",
                  has_dropped ? "{}" : "null"));
}

ApiResult<net::Response> rules(net::Request& request, const access::StackView&) {
  GANTRY_TRY(const net::Parameters parameters, read_parameters(request));
  const std::string_view type = parameters.find("type").value_or("");
  if (!type.empty() && type != "alert" && type != "record") {
    return bad_parameter("type", fmt::format("not supported value \"{}\"", type));
  }
  GANTRY_CHECK(read_selectors(parameters, false));
  return success_response(R"({"groups":[]})");
}

}  // namespace

void add_prometheus_status_routes(net::Router& router, const Services& services) {
  using Member =
      ApiResult<net::Response> (StatusApi::*)(net::Request&, const access::StackView&) const;
  const auto add = [&](std::string_view path, std::string_view name, Audience audience,
                       StackHandler handler) {
    StackHandler checked = [audience, handler = std::move(handler)](
                               net::Request& request,
                               const access::StackView& view) -> ApiResult<net::Response> {
      if (audience == Audience::Unrestricted && !view.sees_server()) return not_for_restricted();
      return handler(request, view);
    };
    add_prometheus_route(router, net::Method::Get, path,
                         {.name = std::string(name), .cors = net::Cors::Yes}, services,
                         access::Scope::MetricsRead, std::move(checked));
  };
  const auto add_member = [&](std::string_view path, std::string_view name, Member member,
                              Audience audience = Audience::Unrestricted) {
    add(path, name, audience,
        [api = StatusApi(services), member](net::Request& request, const access::StackView& view) {
          return (api.*member)(request, view);
        });
  };
  add_member("/api/v1/status/buildinfo", "status_buildinfo", &StatusApi::build_information,
             Audience::Everybody);
  add_member("/api/v1/status/runtimeinfo", "status_runtimeinfo", &StatusApi::runtime_information);
  add_member("/api/v1/status/flags", "status_flags", &StatusApi::flags);
  add_member("/api/v1/status/config", "status_config", &StatusApi::config);
  add_member("/api/v1/status/tsdb", "status_tsdb", &StatusApi::cardinality);
  add_member("/api/v1/status/tsdb/blocks", "status_tsdb_blocks", &StatusApi::blocks);
  add_member("/api/v1/features", "features", &StatusApi::features);
  add("/api/v1/rules", "rules", Audience::Everybody, rules);
  add("/api/v1/targets", "targets", Audience::Unrestricted, targets);
  for (const Constant& constant : kConstants) {
    add(constant.path, constant.name, constant.audience,
        [data = constant.data](net::Request&, const access::StackView&)
            -> ApiResult<net::Response> { return success_response(data); });
  }
}

}  // namespace gantry::api
