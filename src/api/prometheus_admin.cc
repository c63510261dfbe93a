// admin/tsdb/delete_series and admin/tsdb/clean_tombstones.

#include "api/prometheus.h"
#include "api/prometheus_support.h"

namespace gantry::api {
namespace {

ApiResult<net::Response> delete_series(net::Request& request, const access::StackView& view) {
  GANTRY_TRY(const net::Parameters parameters, read_parameters(request));
  GANTRY_TRY(const TimeRange range, read_time_range(parameters));
  GANTRY_TRY(const Selectors selectors, read_selectors(parameters, true));
  if (selectors.empty()) return bad_data("no match[] parameter provided");
  if (range.end_ms < range.start_ms) {
    return bad_parameter("end", "end timestamp must not be before start time");
  }
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
                         delete_series);
    add_prometheus_route(router, method, "/api/v1/admin/tsdb/clean_tombstones",
                         {.name = "clean_tombstones"}, services, access::Scope::MetricsDelete,
                         clean_tombstones);
  }
}

}  // namespace gantry::api
