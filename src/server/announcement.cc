#include "server/announcement.h"

#include <fmt/core.h>

namespace gantry::server {
namespace {

constexpr auto kText = R"(
Gantry runs at {url}. This is its first start on this data directory; what follows is shown once and kept
in {file} (readable by you alone).

  first login   {admin_user} / {admin_password}
  instance id   {instance_id}
  write token   {write_token}
  read token    {read_token}
  admin token   {admin_token}

Send a line:

  curl -u '{instance_id}:{write_token}' {url}/api/v1/push/influx/write \
    --data-binary 'test,bar_label=abc,source=grafana_cloud_docs metric=35.2'

Ask for it, and for the traces of Gantry's own requests:

  curl -u '{instance_id}:{read_token}' '{url}/api/v1/query?query=test_metric'
  curl -u '{instance_id}:{read_token}' {url}/tempo/api/search

Grafana data sources (save as provisioning/datasources/gantry.yaml):

  apiVersion: 1
  datasources:
    - name: Gantry
      type: prometheus
      access: proxy
      url: {url}
      basicAuth: true
      basicAuthUser: '{instance_id}'
      jsonData:
        httpMethod: POST
        prometheusType: Prometheus
      secureJsonData:
        basicAuthPassword: {read_token}
    - name: Gantry traces
      type: tempo
      access: proxy
      url: {url}/tempo
      basicAuth: true
      basicAuthUser: '{instance_id}'
      secureJsonData:
        basicAuthPassword: {read_token}

)";

}  // namespace

std::string format_announcement(const access::FirstStart& first, const std::string& file) {
  return fmt::format(
      kText, fmt::arg("url", first.url), fmt::arg("file", file),
      fmt::arg("admin_user", first.admin_user), fmt::arg("admin_password", first.admin_password),
      fmt::arg("instance_id", first.instance_id.value()),
      fmt::arg("write_token", first.write_token), fmt::arg("read_token", first.read_token),
      fmt::arg("admin_token", first.admin_token));
}

}  // namespace gantry::server
