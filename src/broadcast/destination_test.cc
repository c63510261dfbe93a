#include "broadcast/destination.h"

#include <gtest/gtest.h>

namespace gantry::broadcast {
namespace {

constexpr DestinationType kAll[] = {
    DestinationType::Grafana, DestinationType::OtelCollector,         DestinationType::Webhook,
    DestinationType::Gantry,  DestinationType::PrometheusRemoteWrite, DestinationType::Influx};

TEST(Destination, TypesHaveNames) {
  std::string names;
  for (const DestinationType type : kAll) {
    names += std::string(destination_type_name(type)) + " ";
    EXPECT_EQ(parse_destination_type(destination_type_name(type)), type);
    EXPECT_NE(config_field_names(type).url, "");
  }
  EXPECT_EQ(names, "grafana otel-collector webhook gantry prometheus-remote-write influx ");
  for (const std::string_view unknown : {"", "Grafana", "grafana ", "s3"})
    EXPECT_FALSE(parse_destination_type(unknown)) << unknown;
}

TEST(Destination, FieldsAreCalledAsTheConfigCallsThem) {
  const auto names = [](DestinationType type) {
    const ConfigFieldNames fields = config_field_names(type);
    return std::string(fields.url) + " " + std::string(fields.instance_id) + " " +
           std::string(fields.secret);
  };
  EXPECT_EQ(names(DestinationType::Grafana), "baseUrl instanceId apiKey");
  EXPECT_EQ(names(DestinationType::OtelCollector), "endpoint  ");
  EXPECT_EQ(names(DestinationType::Webhook), "url  ");
  EXPECT_EQ(names(DestinationType::Gantry), "baseUrl instanceId token");
  EXPECT_EQ(names(DestinationType::PrometheusRemoteWrite), "url username token");
  EXPECT_EQ(names(DestinationType::Influx), "url username token");
}

TEST(Destination, TypesThatSpeakOtlpMayTakeBothSignals) {
  for (const DestinationType type : kAll) {
    const bool is_metric =
        type == DestinationType::PrometheusRemoteWrite || type == DestinationType::Influx;
    Destination destination{.type = type};
    EXPECT_EQ(takes(destination, Signal::Spans), !is_metric);
    EXPECT_EQ(takes(destination, Signal::Metrics), is_metric);
    destination.config.signals = {.traces = false, .metrics = true};
    const bool has_choice = !only_signal(type);
    EXPECT_EQ(has_choice, type == DestinationType::Grafana || type == DestinationType::Gantry ||
                              type == DestinationType::OtelCollector);
    EXPECT_EQ(takes(destination, Signal::Metrics), is_metric || has_choice);
  }
}

TEST(Destination, NarrowedItHasTheUrlOfItsSignal) {
  Destination destination{.type = DestinationType::OtelCollector};
  destination.config.url = "https://c:4318/a/v1/traces";
  destination.config.signals.metrics = true;
  EXPECT_EQ(signal_of(destination), Signal::Spans);
  const Destination metrics = narrowed_to(destination, Signal::Metrics);
  EXPECT_EQ(signal_of(metrics), Signal::Metrics);
  EXPECT_FALSE(takes(metrics, Signal::Spans));
  EXPECT_EQ(metrics.config.url, "https://c:4318/a/v1/metrics");
  EXPECT_EQ(narrowed_to(metrics, Signal::Metrics).config.url, metrics.config.url);
  EXPECT_EQ(narrowed_to(destination, Signal::Spans).config.url, destination.config.url);
  destination.config.metrics_url = "https://d/in";
  EXPECT_EQ(narrowed_to(destination, Signal::Metrics).config.url, "https://d/in");
}

TEST(Destination, TakesKeys) {
  Destination all;
  EXPECT_TRUE(takes_key(all, ""));
  EXPECT_TRUE(takes_key(all, "a"));
  Destination some{.api_key_hashes = {{"a", "b"}}};
  EXPECT_TRUE(takes_key(some, "a"));
  EXPECT_FALSE(takes_key(some, "c"));
  EXPECT_FALSE(takes_key(some, ""));
  some.excluded_api_key_hashes = {"a"};
  EXPECT_FALSE(takes_key(some, "a"));
  EXPECT_TRUE(takes_key(some, "b"));
  all.excluded_api_key_hashes = {"a", ""};
  EXPECT_FALSE(takes_key(all, "a"));
  EXPECT_TRUE(takes_key(all, "b"));
  EXPECT_TRUE(takes_key(all, ""));
}

}  // namespace
}  // namespace gantry::broadcast
