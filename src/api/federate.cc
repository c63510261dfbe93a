// /federate: the newest sample of each selected series, as text for another Prometheus to scrape.

#include <set>
#include <utility>

#include "api/prometheus.h"
#include "api/prometheus_support.h"
#include "codec/exposition.h"
#include "promql/parser.h"
#include "telemetry/sample.h"

namespace gantry::api {
namespace {

telemetry::Labels labels_of(const promql::SeriesSet& set, std::size_t series) {
  telemetry::Labels labels;
  for (const promql::LabelSymbols& label : set.labels(series)) {
    labels.push_back({.name = std::string(set.symbol(label.name)),
                      .value = std::string(set.symbol(label.value))});
  }
  return labels;
}

/// Adds the newest sample inside the window, unless it is a stale marker.
void add_newest(const telemetry::Labels& labels, const promql::SampleColumns& samples,
                codec::FederateWriter& out) {
  const bool has_float = !samples.timestamps_ms.empty();
  const bool has_histogram = !samples.histograms.empty();
  if (has_histogram &&
      (!has_float || samples.histograms.back().timestamp_ms > samples.timestamps_ms.back())) {
    const auto& newest = samples.histograms.back();
    if (!telemetry::is_stale_nan(newest.histogram->sum)) {
      out.add(labels, *newest.histogram, newest.timestamp_ms);
    }
  } else if (has_float && !telemetry::is_stale_nan(samples.values.back())) {
    out.add(labels, samples.values.back(), samples.timestamps_ms.back());
  }
}

class FederateApi {
 public:
  explicit FederateApi(const Services& services) : services_(services) {}

  /// This surface speaks plain text, also in its errors.
  ApiResult<net::Response> federate(net::Request& request, const access::StackView& view) const {
    GANTRY_TRY(const net::Parameters parameters, read_parameters(request));
    const std::int64_t now_ms = services_.clock.now().since_epoch;
    const std::int64_t start_ms = now_ms - services_.settings().lookback.count;
    const auto choice = codec::negotiate_exposition(request.headers.find("Accept"));
    codec::FederateWriter writer(choice.escaping, {});
    std::set<telemetry::Labels> seen;  // several selectors may match one series
    promql::SampleColumns samples;
    for (const std::string_view text : parameters.find_all("match[]")) {
      const auto matchers = promql::parse_metric_selector(text);
      if (!matchers) return net::text_response(400, matchers.error().message);
      const promql::SelectRequest select{.matchers = *matchers,
                                         .start_ms = start_ms,
                                         .end_ms = now_ms,
                                         .hints = {.function = "federate"}};
      const auto set = view.metrics_source().select(
          select, with_timeout(request.cancel, services_.settings().query_timeout));
      if (!set) return net::text_response(net::http_status(set.error().code), set.error().message);
      for (std::size_t i = 0; i < (*set)->size(); ++i) {
        telemetry::Labels labels = labels_of(**set, i);
        if (!seen.insert(labels).second) continue;
        const auto read = (*set)->read(i, start_ms, now_ms, samples);
        if (!read) return net::text_response(500, read.error().message);
        add_newest(labels, samples, writer);
      }
    }
    net::Response response;
    response.headers.set("Content-Type",
                         codec::exposition_content_type({.format = codec::ExpositionFormat::Text,
                                                         .escaping = choice.escaping}));
    writer.finish(response.body);
    return response;
  }

 private:
  const Services& services_;
};

}  // namespace

void add_federate_route(net::Router& router, const Services& services) {
  router.add(net::Method::Get, "/federate", {.name = "federate"},
             admit_prometheus(services, access::Scope::MetricsRead,
                              [api = FederateApi(services)](net::Request& request,
                                                            const access::StackView& view) {
                                return api.federate(request, view);
                              }));
}

}  // namespace gantry::api
