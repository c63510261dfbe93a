#include "gateway/gateway_setting_list.h"

#include <set>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

SettingNode section_of(std::string_view key, std::string value) {
  SettingNode section{.kind = SettingNode::Kind::Map};
  section.items.push_back({.kind = SettingNode::Kind::Scalar,
                           .text = std::move(value),
                           .items = {},
                           .key = std::string(key),
                           .place = {}});
  return section;
}

/// A value that is not the default.
std::string other_value(const GatewaySetting& setting) {
  const std::string given = setting.format({});
  if (setting.type == "true or false") return given == "true" ? "false" : "true";
  if (setting.type == "whole number") return "17";
  if (setting.type == "size (bytes)") return "5MiB";
  if (setting.type == "duration") return "17s";
  if (setting.key == "semconv") return "latest";
  return setting.key == "prices_as_of" ? "2026-09-30" : "other";
}

TEST(GatewaySettingList, IsWhatTheReaderReads) {
  std::set<std::string_view> keys;
  for (const GatewaySetting& setting : gateway_setting_list()) {
    EXPECT_TRUE(keys.insert(setting.key).second) << setting.key;
    for (const std::string& value : {setting.format({}), other_value(setting)}) {
      if (value.empty()) continue;
      const auto read = read_gateway_settings(section_of(setting.key, value));
      ASSERT_TRUE(read) << setting.key << ": " << read.error().message;
      EXPECT_EQ(setting.format(*read), value) << setting.key;
    }
    EXPECT_NE(setting.format({}), other_value(setting)) << setting.key;
  }
}

TEST(GatewaySettingList, TheReaderKnowsNoOthers) {
  const auto unknown = read_gateway_settings(section_of("max_queues", "1"));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message, "gateway.max_queues: unknown key");
}

}  // namespace
}  // namespace gantry::gateway
