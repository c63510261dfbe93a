// admin/tsdb/delete_series and admin/tsdb/clean_tombstones.

#include "api/prometheus.h"
#include "api/prometheus_support.h"

namespace gantry::api {
namespace {

/// The selectors as they were given, and the range unless it is all time.
void record_deletion(const Services& services, const access::StackView& view,
                     const net::Request& request, const net::Parameters& parameters) {
  if (services.audit == nullptr) return;
  auto event = stack_event("series.deleted", view.principal(), request);
  for (const std::string_view name : {"match[]", "start", "end"})
    for (const std::string_view value : parameters.find_all(name))
      event.changes.push_back(
          {.field = std::string(name), .before = std::string(value), .after = {}});
  services.audit->note(std::move(event));
}

ApiResult<net::Response> delete_series(const Services& services, net::Request& request,
                                       const access::StackView& view) {
  GANTRY_TRY(const net::Parameters parameters, read_parameters(request));
  GANTRY_TRY(const TimeRange range, read_time_range(parameters));
  GANTRY_TRY(const Selectors selectors, read_selectors(parameters, true));
  if (selectors.empty()) return bad_data("no match[] parameter provided");
  if (range.end_ms < range.start_ms) {
    return bad_parameter("end", "end timestamp must not be before start time");
  }
  // Before the first: some may be gone when one fails.
  record_deletion(services, view, request, parameters);
  for (const auto& matchers : selectors) {
    if (const auto ok = view.delete_series(matchers, range.start_ms, range.end_ms); !ok) {
      return std::unexpected(api_error(ok.error()));
    }
  }
  return net::Response{.status = 204};
}

ApiResult<net::Response> clean_tombstones(net::Request&, const access::StackView& view) {
  if (const auto ok = view.clean_tombstones(); !ok) return std::unexpected(api_error(ok.error()));
  return net::Response{.status = 204};
}

}  // namespace

void add_prometheus_admin_routes(net::Router& router, const Services& services) {
  for (const net::Method method : {net::Method::Post, net::Method::Put}) {
    add_prometheus_route(router, method, "/api/v1/admin/tsdb/delete_series",
                         {.name = "delete_series"}, services, access::Scope::MetricsDelete,
                         [&services](net::Request& request, const access::StackView& view) {
                           return delete_series(services, request, view);
                         });
    add_prometheus_route(router, method, "/api/v1/admin/tsdb/clean_tombstones",
                         {.name = "clean_tombstones"}, services, access::Scope::MetricsDelete,
                         clean_tombstones);
  }
}

}  // namespace gantry::api
