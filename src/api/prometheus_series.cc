// series, labels, label/{name}/values, metadata.

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "api/escaped_label_name.h"
#include "api/prometheus.h"
#include "api/prometheus_support.h"
#include "core/json_writer.h"
#include "core/utf8.h"
#include "promql/series_source.h"
#include "telemetry/labels.h"

namespace gantry::api {
namespace {

constexpr std::string_view kTruncated = "results truncated due to limit";

promql::Annotations annotations_of(std::vector<std::string> warnings, bool is_truncated) {
  promql::Annotations annotations{.warnings = std::move(warnings), .infos = {}};
  if (is_truncated) annotations.warnings.emplace_back(kTruncated);
  return annotations;
}

void append_string_list(std::string& out, const std::vector<std::string>& texts) {
  core::JsonWriter json(out);
  json.begin_array();
  for (const std::string& text : texts) json.string(text);
  json.end_array();
}

promql::LabelPairs labels_of(const promql::SeriesSet& set, std::size_t series) {
  promql::LabelPairs labels;
  for (const promql::LabelSymbols& label : set.labels(series)) {
    labels.emplace_back(set.symbol(label.name), set.symbol(label.value));
  }
  return labels;
}

/// `limit` of the metadata endpoints: absent or negative is all.
ApiResult<std::int64_t> read_metadata_limit(const net::Parameters& parameters,
                                            std::string_view name) {
  const auto text = parameters.find(name);
  if (!text || text->empty()) return -1;
  std::int64_t limit = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
  if (error != std::errc{} || end != text->data() + text->size()) {
    return bad_data(fmt::format("{} must be a number", name));
  }
  return limit;
}

class SeriesApi {
 public:
  explicit SeriesApi(const Services& services) : services_(services) {}

  ApiResult<net::Response> series(net::Request& request, const access::StackView& view) const {
    GANTRY_TRY(const Lookup lookup, read_lookup(request, true));
    if (lookup.selectors.empty()) return bad_data("no match[] parameter provided");
    std::vector<promql::LabelPairs> found;
    std::vector<std::string> warnings;
    bool is_truncated = false;
    for (const auto& matchers : lookup.selectors) {
      const promql::SelectRequest select{
          .matchers = matchers,
          .start_ms = lookup.range.start_ms,
          .end_ms = lookup.range.end_ms,
          .hints = {.step_ms = 0, .range_ms = 0, .function = "series"},
          .series_limit = lookup.limit,
          .truncate = true};
      auto set = view.metrics_source().select(select, lookup.cancel);
      if (!set) return std::unexpected(api_error(set.error()));
      for (std::size_t i = 0; i < (*set)->size(); ++i) found.push_back(labels_of(**set, i));
      is_truncated = is_truncated || (*set)->is_truncated();
      for (std::string& warning : (*set)->warnings()) warnings.push_back(std::move(warning));
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    if (lookup.limit != 0 && found.size() > lookup.limit) {
      found.resize(lookup.limit);
      is_truncated = true;
    }
    std::string data = "[";
    for (const promql::LabelPairs& labels : found) {
      if (data.size() > 1) data.push_back(',');
      append_label_object(data, labels);
    }
    data.push_back(']');
    return success_response(data, annotations_of(std::move(warnings), is_truncated));
  }

  ApiResult<net::Response> labels(net::Request& request, const access::StackView& view) const {
    GANTRY_TRY(const Lookup lookup, read_lookup(request, false));
    return union_response(lookup, [&](std::span<const promql::Matcher> matchers) {
      return view.metrics_source().label_names(matchers, lookup.range.start_ms, lookup.range.end_ms,
                                               one_more(lookup.limit), lookup.cancel);
    });
  }

  ApiResult<net::Response> values(net::Request& request, const access::StackView& view) const {
    const std::string name = unescape_label_name(request.path_parameter("name"));
    if (name.empty() || !core::is_valid_utf8(name)) {
      std::string text = "invalid label name: ";
      telemetry::append_go_quoted(text, name);
      return bad_data(std::move(text));
    }
    GANTRY_TRY(const Lookup lookup, read_lookup(request, false));
    return union_response(lookup, [&](std::span<const promql::Matcher> matchers) {
      return view.metrics_source().label_values(name, matchers, lookup.range.start_ms,
                                                lookup.range.end_ms, one_more(lookup.limit),
                                                lookup.cancel);
    });
  }

  ApiResult<net::Response> metadata(net::Request& request, const access::StackView& view) const {
    GANTRY_TRY(const net::Parameters parameters, read_parameters(request));
    GANTRY_TRY(const std::int64_t limit, read_metadata_limit(parameters, "limit"));
    GANTRY_TRY(const std::int64_t per_metric, read_metadata_limit(parameters, "limit_per_metric"));
    const auto families =
        view.metrics_metadata(parameters.find("metric").value_or(""), services_.clock.now(),
                              with_timeout(request.cancel, services_.settings().query_timeout));
    if (!families) return std::unexpected(api_error(families.error()));
    std::string data;
    core::JsonWriter json(data);
    json.begin_object();
    std::int64_t count = 0;
    for (const auto& [family, entries] : *families) {
      if (limit >= 0 && count++ >= limit) break;
      json.key(family).begin_array();
      std::int64_t entry_count = 0;
      for (const metrics::MetadataEntry& entry : entries) {
        if (per_metric > 0 && entry_count++ >= per_metric) break;
        json.begin_object();
        json.key("type").string(entry.type);
        json.key("help").string(entry.help);
        json.key("unit").string(entry.unit);
        json.end_object();
      }
      json.end_array();
    }
    json.end_object();
    return success_response(data);
  }

 private:
  struct Lookup {
    Selectors selectors;
    TimeRange range;
    std::size_t limit = 0;
    CancelToken cancel;
  };

  [[nodiscard]] ApiResult<Lookup> read_lookup(const net::Request& request,
                                              bool prefix_errors) const {
    Lookup lookup;
    GANTRY_TRY(const net::Parameters parameters, read_parameters(request));
    GANTRY_TRY(lookup.limit, read_limit(parameters));
    GANTRY_TRY(lookup.range, read_time_range(parameters));
    GANTRY_TRY(lookup.selectors, read_selectors(parameters, prefix_errors));
    lookup.cancel = with_timeout(request.cancel, services_.settings().query_timeout);
    return lookup;
  }

  /// So that a cut can be noticed after the union of several selectors.
  static std::size_t one_more(std::size_t limit) { return limit == 0 ? 0 : limit + 1; }

  /// The union over all selectors (one empty one when there are none), sorted and cut.
  template <class LookUp>
  static ApiResult<net::Response> union_response(const Lookup& lookup, LookUp look_up) {
    std::set<std::string> all;
    std::vector<std::string> warnings;
    bool is_truncated = false;
    Selectors selectors = lookup.selectors;
    if (selectors.empty()) selectors.emplace_back();
    for (const auto& matchers : selectors) {
      auto found = look_up(matchers);
      if (!found) return std::unexpected(api_error(found.error()));
      for (std::string& value : found->values) all.insert(std::move(value));
      is_truncated = is_truncated || found->is_truncated;
      for (std::string& warning : found->warnings) warnings.push_back(std::move(warning));
    }
    std::vector<std::string> sorted(all.begin(), all.end());
    if (lookup.limit != 0 && sorted.size() > lookup.limit) {
      sorted.resize(lookup.limit);
      is_truncated = true;
    }
    std::string data;
    append_string_list(data, sorted);
    return success_response(data, annotations_of(std::move(warnings), is_truncated));
  }

  const Services& services_;
};

}  // namespace

void add_prometheus_series_routes(net::Router& router, const Services& services) {
  using Member =
      ApiResult<net::Response> (SeriesApi::*)(net::Request&, const access::StackView&) const;
  const auto add = [&](net::Method method, std::string_view path, std::string_view name,
                       Member member) {
    add_prometheus_route(
        router, method, path, {.name = std::string(name), .cors = net::Cors::Yes}, services,
        access::Scope::MetricsRead,
        [api = SeriesApi(services), member](net::Request& request, const access::StackView& view) {
          return (api.*member)(request, view);
        });
  };
  for (const net::Method method : {net::Method::Get, net::Method::Post}) {
    add(method, "/api/v1/series", "series", &SeriesApi::series);
    add(method, "/api/v1/labels", "labels", &SeriesApi::labels);
  }
  add(net::Method::Get, "/api/v1/label/{name}/values", "label_values", &SeriesApi::values);
  add(net::Method::Get, "/api/v1/metadata", "metadata", &SeriesApi::metadata);
}

}  // namespace gantry::api
