// GET /api/search.

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "api/prometheus_support.h"
#include "api/tempo_json.h"
#include "api/tempo_protobuf.h"
#include "api/tempo_support.h"
#include "api/tempo_tag_query.h"
#include "core/own_span.h"
#include "traceql/parser.h"

namespace gantry::api {
namespace {

constexpr std::int64_t kLimitMax = 262'144;
constexpr std::int64_t kSpansPerSpansetMax = 100;
constexpr std::uint32_t kDefaultLimit = 20;
constexpr std::uint32_t kDefaultSpansPerSpanset = 3;

class SearchApi {
 public:
  explicit SearchApi(const Services& services) : services_(services) {}

  TempoResult<net::Response> search(net::Request& request, const access::StackView& view) const {
    const auto parameters = TempoParameters::read(request);
    if (!parameters) return std::unexpected(parameters.error());
    const auto text = read_query(*parameters);
    if (!text) return std::unexpected(text.error());
    const auto query = traceql::parse(*text);
    if (!query) return tempo_bad_request("invalid TraceQL query: " + query.error().message);
    if (query->is_metrics())
      return tempo_bad_request(
          "invalid TraceQL query: a metrics query, which /api/metrics/query_range answers");

    const Settings settings = settings_for(services_, view);
    auto search = read_request(*parameters, settings.tempo);
    if (!search) return std::unexpected(search.error());
    search->query = &*query;

    const core::OwnSpanScope span("traceql.search");
    describe_query(services_, view, *query);
    const auto answer = services_.traceql.search(
        *search, view.traces_source(), with_timeout(request.cancel, settings.query_timeout));
    describe_answer(answer);
    if (!answer) return std::unexpected(tempo_error(answer.error()));
    const traceql::SearchStatistics statistics = shown_statistics(answer->statistics, view);
    return tempo_response(request, [&](TempoFormat format) {
      return format == TempoFormat::Protobuf ? search_protobuf(*answer, statistics)
                                             : search_json(*answer, statistics);
    });
  }

 private:
  /// TraceQL, or tags as such; `{ }` when neither is given.
  static TempoResult<std::string> read_query(const TempoParameters& parameters) {
    const auto query = read_query_text(parameters, "q");
    if (!query) return std::unexpected(query.error());
    const std::string_view tags_text = parameters.text("tags");
    if (!query->empty() && !tags_text.empty())
      return tempo_bad_request("invalid request: can't specify tags and q in the same query");
    if (!query->empty()) return std::string(*query);
    if (tags_text.empty()) return tags_as_traceql(other_parameters(parameters));
    const auto tags = parse_tempo_tags(tags_text);
    if (!tags) return tempo_bad_request("invalid tags: " + tags.error());
    return tags_as_traceql(*tags);
  }

  /// Before there was `tags`, each parameter was one.
  static TempoTags other_parameters(const TempoParameters& parameters) {
    static constexpr auto kKnown = std::to_array<std::string_view>(
        {"q", "tags", "minDuration", "maxDuration", "limit", "spss", "start", "end"});
    TempoTags tags;
    if (parameters.has("start") || parameters.has("end")) return tags;
    for (const auto& [name, value] : parameters.all().items())
      if (!value.empty() && !name.empty() && std::ranges::find(kKnown, name) == kKnown.end())
        tags.emplace_back(name, value);
    return tags;
  }

  static TempoResult<traceql::SearchRequest> read_request(const TempoParameters& parameters,
                                                          const TempoSettings& settings) {
    traceql::SearchRequest request;
    const auto range = read_seconds(parameters);
    if (!range) return std::unexpected(range.error());
    const std::int64_t range_max_s = settings.search_range_max.count / 1000;
    if (range_max_s != 0 && range->start_s != 0 && range->end_s != 0 &&
        range->end_s - range->start_s > range_max_s)
      return tempo_bad_request(fmt::format(
          "range specified by start and end exceeds {}. received start={} end={}",
          traceql::format_go_duration(range_max_s * 1'000'000'000), range->start_s, range->end_s));
    request.start_ns = range->start_ns();
    request.end_ns = range->end_ns();
    if (auto done = read_limits(parameters, request); !done) return std::unexpected(done.error());
    if (auto done = read_durations(parameters, request); !done)
      return std::unexpected(done.error());
    return request;
  }

  static TempoResult<void> read_limits(const TempoParameters& parameters,
                                       traceql::SearchRequest& request) {
    const auto limit = parameters.integer("limit");
    if (!limit) return std::unexpected(limit.error());
    if (*limit && **limit <= 0)
      return tempo_bad_request("invalid limit: must be a positive number");
    if (*limit && **limit > kLimitMax)
      return tempo_bad_request(fmt::format("limit {} exceeds max limit {}", **limit, kLimitMax));
    request.limit = static_cast<std::uint32_t>(limit->value_or(kDefaultLimit));

    const auto spans = parameters.integer("spss");
    if (!spans) return std::unexpected(spans.error());
    if (*spans && **spans < 0) return tempo_bad_request("invalid spss: must be a positive number");
    if (*spans && **spans > kSpansPerSpansetMax)
      return tempo_bad_request(
          fmt::format("spans per span set exceeds {}. received {}", kSpansPerSpansetMax, **spans));
    const auto given = static_cast<std::uint32_t>(spans->value_or(0));
    request.spans_per_spanset = given == 0 ? kDefaultSpansPerSpanset : given;
    return {};
  }

  static TempoResult<void> read_durations(const TempoParameters& parameters,
                                          traceql::SearchRequest& request) {
    const auto read = [&](std::string_view name, std::int64_t& out) -> TempoResult<void> {
      const std::string_view text = parameters.text(name);
      if (text.empty()) return {};
      const auto duration = parse_go_duration(text);
      if (!duration)
        return tempo_bad_request(
            fmt::format("invalid {}: time: invalid duration \"{}\"", name, text));
      out = *duration;
      return {};
    };
    if (auto done = read("minDuration", request.trace_duration_ns_min); !done) return done;
    if (auto done = read("maxDuration", request.trace_duration_ns_max); !done) return done;
    if (request.trace_duration_ns_max != 0 &&
        request.trace_duration_ns_max <= request.trace_duration_ns_min)
      return tempo_bad_request("invalid maxDuration: must be greater than minDuration");
    return {};
  }

  const Services& services_;
};

}  // namespace

void add_tempo_search_route(net::Router& router, const Services& services, TempoRefusals refusals) {
  add_tempo_route(
      router, net::Method::Get, "/api/search", "tempo_search", services, access::Scope::TracesRead,
      refusals, [api = SearchApi(services)](net::Request& request, const access::StackView& view) {
        return api.search(request, view);
      });
}

}  // namespace gantry::api
