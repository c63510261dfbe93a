// Masks of secrets, and destinations at random: what is shown, kept and read again.

#include "broadcast/destination_config.h"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "broadcast/destination_json.h"
#include "broadcast/testing/shown_destination.h"

namespace gantry::broadcast {
namespace {

using testing::show;
using testing::show_config;

struct MaskCase {
  std::string_view secret;
  std::string_view mask;
};

TEST(SecretMask, ShowsTheBeginningAndTheLastFour) {
  for (const MaskCase& c : std::initializer_list<MaskCase>{
           {"", ""},
           {"a", "****"},
           {"glc_01234Ab", "****"},
           {"glc_01234AbC", "glc_...4AbC"},
           {"pk-lf-0123456789EfGh", "pk-l...EfGh"},
           {"sk-lf-0123456789AbCd", "sk-l...AbCd"},
           {"arize_0123456789AbCd", "arize_...AbCd"},
           {"phoenix_0123456789AbCd", "phoe...AbCd"},
           {"_0123456789AbCd", "_...AbCd"},
       }) {
    EXPECT_EQ(mask_secret(c.secret), c.mask);
    EXPECT_EQ(is_mask(c.mask), !c.mask.empty()) << c.mask;
    EXPECT_FALSE(is_mask(c.secret)) << c.secret;
  }
  for (const std::string_view text : {"abc...AbCd", "glc_x...AbCd", "abcde...AbCd", "glc_..AbCd",
                                      "...AbCd", "a_b_...AbCd", "***", "phoenix_...AbCd"})
    EXPECT_FALSE(is_mask(text)) << text;
}

RC_GTEST_PROP(SecretMask, IsRecognised, ()) {
  const auto secret = *rc::gen::nonEmpty(rc::gen::container<std::string>(
      rc::gen::oneOf(rc::gen::just('_'), rc::gen::just('.'), rc::gen::inRange('!', '~'))));
  RC_ASSERT(is_mask(mask_secret(secret)));
}

/// Printable text, without masks.
rc::Gen<std::string> any_secret() {
  return rc::gen::suchThat(
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange('!', '\x7f'))),
      [](const std::string& text) { return !is_mask(text); });
}

Destination any_destination() {
  Destination destination;
  destination.type = static_cast<DestinationType>(*rc::gen::inRange(0, 6));
  destination.name = *any_secret();
  destination.is_enabled = *rc::gen::arbitrary<bool>();
  destination.sampling_rate = static_cast<double>(*rc::gen::inRange(1, 10'001)) / 10'000;
  if (*rc::gen::arbitrary<bool>()) destination.api_key_hashes = {{*any_secret(), "b"}};
  if (*rc::gen::arbitrary<bool>()) destination.filter_rules_json = R"({"groups":[]})";
  if (*rc::gen::arbitrary<bool>()) destination.attribute_rules_json = "[]";
  if (*rc::gen::arbitrary<bool>()) destination.metric_relabel_json = "[]";
  if (*rc::gen::arbitrary<bool>()) destination.stream_aggregation_json = "[]";
  DestinationConfig& config = destination.config;
  config = default_config(destination.type);
  config.url = "https://h.example.com/" + std::to_string(*rc::gen::inRange(0, 100));
  const bool is_metrics = only_signal(destination.type) == Signal::Metrics;
  if (!only_signal(destination.type)) {
    config.signals.metrics = *rc::gen::arbitrary<bool>();
    config.signals.traces = !config.signals.metrics || *rc::gen::arbitrary<bool>();
    if (destination.type == DestinationType::OtelCollector) config.metrics_url = config.url + "m";
  }
  if (!config_field_names(destination.type).secret.empty() &&
      (!is_metrics || *rc::gen::arbitrary<bool>())) {
    config.instance_id = std::to_string(*rc::gen::inRange(0, 1'000'000));
    config.secret = *any_secret();
  }
  if (destination.type == DestinationType::PrometheusRemoteWrite)
    config.remote_write_version = *rc::gen::inRange(1, 3);
  else
    config.compression = *rc::gen::element(Compression::None, Compression::Gzip);
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i)
    config.headers.emplace(fmt::format("X-{}", i), *any_secret());
  return destination;
}

// What was read can be written back: secrets are their masks, and nothing changes.
RC_GTEST_PROP(DestinationJson, WhatIsShownChangesNothing, ()) {
  const Destination before = any_destination();
  const auto body = DestinationBody::parse(show(before));
  RC_ASSERT(body.has_value());
  const auto after = body->change(before);
  RC_ASSERT(after.has_value());
  RC_ASSERT(after->config == before.config);
  RC_ASSERT(show(*after) == show(before));
}

RC_GTEST_PROP(DestinationConfig, IsKeptWithoutItsSecrets, ()) {
  const Destination destination = any_destination();
  const auto masked = parse_masked_config(destination.type, show_config(destination));
  RC_ASSERT(masked.has_value());
  MaskedConfig expected{.config = destination.config, .masks = masks_of(destination.config)};
  expected.config.secret.clear();
  expected.config.headers.clear();
  RC_ASSERT(*masked == expected);
}

RC_GTEST_PROP(DestinationConfig, HeadersRoundTrip, ()) {
  const auto headers = any_destination().config.headers;
  const auto again = parse_headers(format_headers(headers));
  RC_ASSERT(again.has_value());
  RC_ASSERT(*again == headers);
}

TEST(DestinationConfig, DamageIsSaid) {
  for (const std::string_view json :
       {"", "[]", R"({"url":1})", R"({"nothing":"x"})", R"({"headers":{"a":1}})"})
    EXPECT_EQ(parse_masked_config(DestinationType::Webhook, json).error().code, Code::DataLoss)
        << json;
  EXPECT_EQ(
      parse_masked_config(DestinationType::PrometheusRemoteWrite, R"({"version":7})").error().code,
      Code::DataLoss);
  EXPECT_EQ(parse_headers("[1]").error().code, Code::DataLoss);
}

}  // namespace
}  // namespace gantry::broadcast
