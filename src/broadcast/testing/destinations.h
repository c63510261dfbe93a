#pragma once

// Destinations for tests: one of each type as it would be set up.

#include "broadcast/destination.h"

namespace gantry::broadcast::testing {

inline Destination grafana_destination() {
  Destination destination{.id = "11111111-0000-4000-8000-000000000001"};
  destination.config = {.url = "https://otlp-gateway-prod-us-west-0.grafana.net",
                        .instance_id = "123456",
                        .secret = "glc_secret"};
  return destination;
}

inline Destination collector_destination() {
  Destination destination{.id = "11111111-0000-4000-8000-000000000002",
                          .type = DestinationType::OtelCollector};
  destination.config = {.url = "https://collector.example.com:4318/v1/traces",
                        .headers = {{"Authorization", "Bearer header-secret"}}};
  return destination;
}

inline Destination grpc_destination() {
  Destination destination = collector_destination();
  destination.config.url = "https://collector.example.com:4317";
  destination.config.protocol = Protocol::Grpc;
  destination.config.encoding = Encoding::Protobuf;
  return destination;
}

inline Destination webhook_destination() {
  Destination destination{.id = "11111111-0000-4000-8000-000000000003",
                          .type = DestinationType::Webhook};
  destination.config = {.url = "https://api.example.com/traces?k=1"};
  return destination;
}

inline Destination gantry_destination() {
  Destination destination = grafana_destination();
  destination.type = DestinationType::Gantry;
  destination.config.url = "https://gantry.example.com";
  destination.config.encoding = Encoding::Protobuf;
  return destination;
}

inline Destination remote_write_destination() {
  Destination destination = grafana_destination();
  destination.type = DestinationType::PrometheusRemoteWrite;
  destination.config.url = "https://prometheus.example.com/api/prom/push";
  return destination;
}

inline Destination influx_destination() {
  Destination destination{.id = "11111111-0000-4000-8000-000000000004",
                          .type = DestinationType::Influx};
  destination.config = {.url = "https://influx.example.com/api/v2/write?bucket=b",
                        .secret = "tok_1"};
  return destination;
}

}  // namespace gantry::broadcast::testing
