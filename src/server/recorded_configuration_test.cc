#include "server/recorded_configuration.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "server/oidc_settings.h"

namespace gantry::server {
namespace {

Config with_providers() {
  Config config;
  config.server.public_url = "https://gantry.example";
  config.oidc.issuer = "https://idp.example";
  config.oidc.client_id = "gantry";
  config.oidc.client_secret = "hunter2";
  config.oidc.group_rules = {"a=main:viewer", "b=main:admin"};
  config.oidc_providers = {config.oidc};
  config.oidc_providers[0].name = "partners";
  config.oidc_providers[0].client_secret = "other";
  config.egress.allow = {"10.0.0.0/8"};
  return config;
}

std::vector<access::RecordedSettings> record(const Config& config) {
  const auto oidc = make_oidc_settings(config);
  EXPECT_TRUE(oidc) << (oidc ? "" : oidc.error().message);
  return recorded_configuration(config, *oidc, 7);
}

const access::RecordedSettings& find(const std::vector<access::RecordedSettings>& all,
                                     std::string_view name) {
  const auto found = std::ranges::find(all, name, &access::RecordedSettings::name);
  EXPECT_NE(found, all.end()) << name;
  return *found;
}

TEST(RecordedConfigurationTest, EachProviderHasItsConnectionAndItsRules) {
  const auto all = record(with_providers());
  EXPECT_EQ(all.size(), 6U);
  const auto& connection = find(all, "oidc/sso");
  EXPECT_EQ(connection.event, "oidc.config_changed");
  EXPECT_EQ(connection.values.at("issuer"), "https://idp.example");
  EXPECT_FALSE(connection.values.contains("group_rules"));
  EXPECT_EQ(connection.secrets.at("client_secret"), "hunter2");
  const auto& rules = find(all, "role_mapping/partners");
  EXPECT_EQ(rules.event, "role_mapping.changed");
  EXPECT_EQ(rules.values.at("group_rules"), "a=main:viewer,b=main:admin");
  EXPECT_TRUE(rules.secrets.empty());
  EXPECT_EQ(find(all, "egress").values.at("allow"), "10.0.0.0/8");
  EXPECT_EQ(find(all, "keyring").values.at("pepper"), "7");
}

TEST(RecordedConfigurationTest, NoValueIsASecret) {
  for (const access::RecordedSettings& settings : record(with_providers()))
    for (const auto& [field, value] : settings.values)
      EXPECT_EQ(value.find("hunter2"), std::string::npos) << field;
}

TEST(RecordedConfigurationTest, WithoutProvidersThereIsTheRest) {
  EXPECT_EQ(record(Config{}).size(), 2U);
}

}  // namespace
}  // namespace gantry::server
