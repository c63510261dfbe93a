// /federate: the newest sample of each selected series, for another Prometheus to scrape.

#include <set>
#include <utility>

#include <fmt/format.h>

#include "api/prometheus.h"
#include "api/prometheus_support.h"
#include "codec/federation.h"
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
                codec::FederationWriter& out) {
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

/// This surface speaks plain text, also in its errors.
net::Response error_text(const Error& error) {
  int status = 500;
  if (error.code == Code::Unavailable || error.code == Code::DeadlineExceeded) status = 503;
  if (error.code == Code::ResourceExhausted) status = 422;
  return net::text_response(status, error.message);
}

class FederateApi {
 public:
  explicit FederateApi(const Services& services) : services_(services) {}

  net::Response federate(net::Request& request, const access::StackView& view) const {
    const auto parameters = read_parameters(request);
    if (!parameters) return net::text_response(400, parameters.error().message);
    Selectors selectors;
    for (const std::string_view text : parameters->find_all("match[]")) {
      auto matchers = promql::parse_metric_selector(text);
      if (!matchers) return net::text_response(400, matchers.error().message);
      selectors.push_back(*std::move(matchers));
    }
    codec::FederationWriter writer(codec::negotiate_federation(request.headers.find("Accept")));
    if (const auto ok = collect(selectors, request.cancel, view, writer); !ok) {
      return error_text(ok.error());
    }
    net::Response response;
    response.headers.set("Content-Type", codec::federation_content_type(writer.choice()));
    writer.finish(response.body);
    return response;
  }

 private:
  Result<void> collect(const Selectors& selectors, const CancelToken& cancel,
                       const access::StackView& view, codec::FederationWriter& writer) const {
    const Settings settings = services_.settings();
    const std::uint64_t bytes_max = services_.engine.options().memory_bytes_max;
    const CancelToken deadline = with_timeout(cancel, settings.query_timeout);
    const std::int64_t now_ms = services_.clock.now().since_epoch;
    const std::int64_t start_ms = now_ms - settings.lookback.count;
    std::set<telemetry::Labels> seen;  // several selectors may match one series
    promql::SampleColumns samples;
    for (const auto& matchers : selectors) {
      const promql::SelectRequest select{.matchers = matchers,
                                         .start_ms = start_ms,
                                         .end_ms = now_ms,
                                         .hints = {.function = "federate"}};
      GANTRY_TRY(const auto set, view.metrics_source().select(select, deadline));
      for (std::size_t i = 0; i < set->size(); ++i) {
        telemetry::Labels labels = labels_of(*set, i);
        if (selectors.size() > 1 && !seen.insert(labels).second) continue;
        GANTRY_CHECK(deadline.check());
        GANTRY_CHECK(set->read(i, start_ms, now_ms, samples));
        add_newest(labels, samples, writer);
        if (writer.bytes() > bytes_max) {
          return fail(Code::ResourceExhausted,
                      fmt::format("the answer is larger than {} bytes (query.memory_bytes_max): "
                                  "select fewer series",
                                  bytes_max));
        }
      }
    }
    return {};
  }

  const Services& services_;
};

}  // namespace

void add_federate_route(net::Router& router, const Services& services) {
  add_prometheus_route(
      router, net::Method::Get, "/federate", {.name = "federate"}, services,
      access::Scope::MetricsRead,
      [api = FederateApi(services)](net::Request& request, const access::StackView& view)
          -> ApiResult<net::Response> { return api.federate(request, view); });
}

}  // namespace gantry::api
