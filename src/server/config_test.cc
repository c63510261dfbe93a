#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include "gateway/gateway_settings.h"
#include "server/config_load.h"
#include "server/config_print.h"
#include "server/oidc_settings.h"
#include "server/settings.h"

namespace gantry::server {
namespace {

/// The error's message, or the effective YAML's line for `key`.
std::string yaml_error(std::string_view text) {
  Config config;
  const auto applied = apply_yaml(config, text, "gantry.yaml");
  return applied ? "" : applied.error().message;
}

TEST(SettingsTest, KeysAndVariablesAreDistinct) {
  std::set<std::string> variables;
  std::set<std::string_view> keys;
  for (const Setting& setting : settings()) {
    EXPECT_TRUE(keys.insert(setting.key).second) << setting.key;
    EXPECT_TRUE(variables.insert(environment_name(setting)).second) << setting.key;
    EXPECT_FALSE(setting.help.empty()) << setting.key;
    EXPECT_TRUE(setting.help.ends_with('.')) << setting.key;
  }
  EXPECT_EQ(environment_name(*find_setting("limits.active_series_max")),
            "GANTRY_LIMITS_ACTIVE_SERIES_MAX");
}

TEST(SettingsTest, SectionsStayTogether) {
  std::set<std::string_view> finished;
  std::string_view current;
  for (const Setting& setting : settings()) {
    const std::string_view section = setting.key.substr(0, setting.key.find('.'));
    if (section == current) continue;
    EXPECT_TRUE(finished.insert(current).second) << section;
    current = section;
  }
  EXPECT_FALSE(finished.contains(current));
}

TEST(SettingsTest, EachFieldBelongsToOneSetting) {
  Config config;
  std::set<const void*> slots;
  for (const Setting& setting : settings())
    EXPECT_TRUE(slots
                    .insert(std::visit([](const auto* slot) -> const void* { return slot; },
                                       setting.slot(config)))
                    .second)
        << setting.key;
}

TEST(SettingsTest, EveryDefaultIsAllowedAndReadsBack) {
  const Config defaults;
  for (const Setting& setting : settings()) {
    Config config;
    const std::string text = format_value(defaults, setting);
    const auto assigned = assign(config, setting, text);
    EXPECT_TRUE(assigned) << setting.key << ": " << (assigned ? "" : assigned.error().message);
    EXPECT_EQ(format_value(config, setting), text) << setting.key;
  }
  EXPECT_TRUE(validate(defaults));
}

TEST(ConfigYamlTest, SetsWhatItNames) {
  Config config;
  const auto applied = apply_yaml(config, R"(
data: /var/lib/gantry
server:
  listen: 127.0.0.1:1
limits:
  active_series_max: 5
  label_value_bytes_max: 8KiB
storage: {retention: 30d, durability: written}
log: {level: debug, format: json}
collect: {host: true}
influx: {mapping: victoriametrics, database_label: bucket, partial_writes: true}
otlp:
  promote_resource_attributes: [a.b, c]
  translation_strategy: NoTranslation
)",
                                  "gantry.yaml");
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_EQ(config.data, "/var/lib/gantry");
  EXPECT_EQ(config.server.listen, "127.0.0.1:1");
  EXPECT_EQ(config.storage.limits.active_series_max, 5U);
  EXPECT_EQ(config.storage.limits.label_value_bytes_max, 8192U);
  EXPECT_EQ(config.storage.retention.count, 30LL * 24 * 3600 * 1000);
  EXPECT_EQ(config.storage.durability, metrics::Durability::Written);
  EXPECT_EQ(config.log.level, log::Level::Debug);
  EXPECT_EQ(config.log.format, log::Format::Json);
  EXPECT_TRUE(config.collect.host);
  EXPECT_EQ(config.influx.mapping, codec::InfluxMapping::VictoriaMetrics);
  EXPECT_EQ(config.influx.database_label, "bucket");
  EXPECT_TRUE(config.influx.partial_writes);
  EXPECT_EQ(config.otlp.translation.promotion.attributes, (std::vector<std::string>{"a.b", "c"}));
  EXPECT_EQ(config.otlp.translation.strategy, codec::TranslationStrategy::NoTranslation);
}

TEST(ConfigYamlTest, AnEmptyFileIsTheDefaults) {
  for (const std::string_view text : {"", "\n", "# nothing\n", "---\n"})
    EXPECT_EQ(yaml_error(text), "") << text;
}

struct YamlCase {
  std::string_view name, text, error;
};

class ConfigYamlErrorTest : public testing::TestWithParam<YamlCase> {};

TEST_P(ConfigYamlErrorTest, SaysWhereAndWhat) {
  EXPECT_EQ(yaml_error(GetParam().text), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ConfigYamlErrorTest,
    testing::Values(
        YamlCase{
            "misspelt_key", "storage:\n  retentoin: 1d\n",
            "gantry.yaml:2:3: storage: unknown key \"retentoin\", did you mean \"retention\"?"},
        YamlCase{"misspelt_section", "storrage:\n  retention: 1d\n",
                 "gantry.yaml:1:1: unknown key \"storrage\", did you mean \"storage\"?"},
        YamlCase{"nothing_near", "colours: red\n", "gantry.yaml:1:1: unknown key \"colours\""},
        YamlCase{"setting_as_section", "data:\n  x: 1\n",
                 "gantry.yaml:2:3: data: must be a single value"},
        YamlCase{"section_as_setting", "storage: 5\n",
                 "gantry.yaml:1:10: storage: must be a map of settings"},
        YamlCase{"not_a_count", "limits:\n  active_series_max: many\n",
                 "gantry.yaml:2:22: limits.active_series_max: \"many\" is not a whole number"},
        YamlCase{"negative_count", "limits:\n  active_series_max: -1\n",
                 "gantry.yaml:2:22: limits.active_series_max: \"-1\" is not a whole number"},
        YamlCase{"count_with_unit", "query:\n  steps_max: 5s\n",
                 "gantry.yaml:2:14: query.steps_max: \"5s\" is not a whole number"},
        YamlCase{"too_large_for_its_field", "query:\n  steps_max: 4294967296\n",
                 "gantry.yaml:2:14: query.steps_max: 4294967296 is too large, the most is "
                 "4294967295"},
        YamlCase{"too_small", "server:\n  io_threads: 0\n",
                 "gantry.yaml:2:15: server.io_threads: 0 is too small, the least is 1"},
        YamlCase{"not_a_duration", "query:\n  timeout: 5\n",
                 "gantry.yaml:2:12: query.timeout: \"5\" is not a duration such as 30s or 1h30m"},
        YamlCase{"not_a_size", "http:\n  body_bytes_max: 1 meg\n",
                 "gantry.yaml:2:19: http.body_bytes_max: \"1 meg\" is not a size such as 64MiB"},
        YamlCase{"not_a_switch", "collect:\n  host: yes\n",
                 "gantry.yaml:2:9: collect.host: \"yes\" is not true or false"},
        YamlCase{"not_a_choice", "log:\n  level: loud\n",
                 "gantry.yaml:2:10: log.level: \"loud\" is not one of debug, info, warn, error"},
        YamlCase{"not_a_list", "otlp:\n  promote_resource_attributes: a\n",
                 "gantry.yaml:2:32: otlp.promote_resource_attributes: must be a list"},
        YamlCase{"no_value", "collect:\n  host:\n", "gantry.yaml:2:3: collect.host: has no value"},
        YamlCase{"twice", "data: a\ndata: b\n", "gantry.yaml:2:1: key \"data\" is there twice"},
        YamlCase{"not_a_map", "- a\n", "gantry.yaml:1:1: the file must be a map of sections"},
        YamlCase{"two_documents", "data: a\n---\ndata: b\n",
                 "gantry.yaml: must be one YAML document"},
        YamlCase{"comma", ",", "gantry.yaml: must be one YAML document"},
        YamlCase{"not_yaml", "data: [a\n", "gantry.yaml:2:1: end of sequence flow not found"}),
    [](const auto& c) { return std::string(c.param.name); });

RC_GTEST_PROP(ConfigYamlProperty, AnyTextIsAnsweredWithoutCrashing, (const std::string& text)) {
  static_cast<void>(yaml_error(text));
}

TEST(ConfigLoadTest, LaterSourcesWin) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("gantry-config-" + std::to_string(getpid()));
  std::ofstream(path) << "query: {timeout: 1s, concurrency: 2, steps_max: 3}\n";
  const auto loaded =
      load_config({.file = path,
                   .environment = {{"GANTRY_QUERY_CONCURRENCY", "20"},
                                   {"GANTRY_QUERY_STEPS_MAX", "30"},
                                   {"HOME", "/"}},
                   .flags = {{.flag = "--set", .key = "query.steps_max", .value = "300"}}});
  std::filesystem::remove(path);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.query.timeout.count, 1000);
  EXPECT_EQ(loaded->config.query.concurrency, 20U);
  EXPECT_EQ(loaded->config.query.steps_max, 300U);
  EXPECT_TRUE(loaded->warnings.empty());
}

TEST(ConfigLoadTest, AMissingFileIsNamed) {
  const auto loaded = load_config({.file = "/nowhere/gantry.yaml", .environment = {}, .flags = {}});
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("/nowhere/gantry.yaml"), std::string::npos);
}

TEST(ConfigLoadTest, AMisspeltVariableIsAnErrorAndAForeignOneAWarning) {
  const auto misspelt =
      load_config({.file = {}, .environment = {{"GANTRY_QUERY_TIMEOUTS", "1s"}}, .flags = {}});
  ASSERT_FALSE(misspelt);
  EXPECT_EQ(misspelt.error().message,
            "GANTRY_QUERY_TIMEOUTS: unknown setting, did you mean \"GANTRY_QUERY_TIMEOUT\"?");
  const auto foreign = load_config({.file = {},
                                    .environment = {{"GANTRY_PORT_9490_TCP_ADDR", "10.0.0.1"},
                                                    {"GANTRY_SERVICE_HOST", "x"},
                                                    {"GANTRY_URL", "x"}},
                                    .flags = {}});
  ASSERT_TRUE(foreign) << foreign.error().message;
  EXPECT_EQ(foreign->warnings,
            (std::vector<std::string>{"GANTRY_PORT_9490_TCP_ADDR is not a setting, it was ignored",
                                      "GANTRY_SERVICE_HOST is not a setting, it was ignored",
                                      "GANTRY_URL is not a setting, it was ignored"}));
  const auto ill_typed =
      load_config({.file = {}, .environment = {{"GANTRY_QUERY_TIMEOUT", "soon"}}, .flags = {}});
  ASSERT_FALSE(ill_typed);
  EXPECT_EQ(ill_typed.error().message,
            "GANTRY_QUERY_TIMEOUT: \"soon\" is not a duration such as 30s or 1h30m");
}

TEST(ConfigLoadTest, AnUnknownFlagKeyNamesTheNearest) {
  const auto loaded =
      load_config({.file = {},
                   .environment = {},
                   .flags = {{.flag = "--set", .key = "query.timeuot", .value = "1s"}}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message,
            "--set: unknown key \"query.timeuot\", did you mean \"query.timeout\"?");
}

struct ValidationCase {
  std::string_view name, key, value, error;
};

class ConfigValidationTest : public testing::TestWithParam<ValidationCase> {};

TEST_P(ConfigValidationTest, NamesTheKey) {
  Config config;
  ASSERT_TRUE(assign(config, *find_setting(GetParam().key), GetParam().value));
  const auto valid = validate(config);
  ASSERT_FALSE(valid);
  EXPECT_TRUE(valid.error().message.starts_with(GetParam().error)) << valid.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ConfigValidationTest,
    testing::Values(
        ValidationCase{"listen_without_port", "server.listen", "localhost", "server.listen: "},
        ValidationCase{"listen_empty", "server.listen", "", "server.listen: "},
        ValidationCase{"otlp_address", "otlp.http_listen", "x:y:z", "otlp.http_listen: "},
        ValidationCase{"half_a_certificate", "tls.cert_file", "a.pem",
                       "tls.cert_file and tls.key_file: "},
        ValidationCase{"url_scheme", "server.public_url", "gantry.example", "server.public_url: "},
        ValidationCase{"url_slash", "server.public_url", "https://x/", "server.public_url: "},
        ValidationCase{"zone", "server.zone", "Local", "server.zone: "},
        ValidationCase{"disk_marks", "storage.disk_free_resume", "1MiB",
                       "storage.disk_free_resume: "},
        ValidationCase{"influx_database_label", "influx.database_label", "a-b",
                       "influx.database_label: "},
        ValidationCase{"influx_source_label", "influx.source_label", "__name__",
                       "influx.source_label: "},
        ValidationCase{"state_url", "state.url", "mysql://host/db",
                       "state.url is not a PostgreSQL"},
        ValidationCase{"bodies", "http.body_decompressed_bytes_max", "1MiB",
                       "http.body_decompressed_bytes_max: "}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(ConfigPrintTest, ThePrintedYamlReadsBack) {
  Config config;
  config.data = "/a \"b\"\\\t/c";
  config.otlp.translation.promotion.attributes = {"x.y", "z"};
  config.storage.retention = {0};
  config.collect.host = true;
  Config again;
  const auto applied = apply_yaml(again, format_config_yaml(config), "printed");
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_EQ(list_config(again), list_config(config));
}

TEST(ConfigPrintTest, CredentialsInAUrlAreMasked) {
  Config config;
  config.server.public_url = "https://user:hunter2@host/path";
  EXPECT_EQ(format_config_yaml(config).find("hunter2"), std::string::npos);
  EXPECT_NE(format_config_yaml(config).find("https://****@host/path"), std::string::npos);
  for (const auto& [key, value] : list_config(config))
    EXPECT_EQ(value.find("hunter2"), std::string::npos);
}

TEST(ConfigPrintTest, SecretsAreMaskedWhole) {
  Config config;
  EXPECT_NE(format_config_yaml(config).find("  url: \"\"\n"), std::string::npos);
  config.state.url = "postgres:///state?user=gantry&password=hunter2";
  EXPECT_EQ(format_config_yaml(config).find("hunter2"), std::string::npos);
  EXPECT_NE(format_config_yaml(config).find("state:\n  url: \"****\"\n"), std::string::npos);
  for (const auto& [key, value] : list_config(config))
    EXPECT_EQ(value.find("hunter2"), std::string::npos);
}

constexpr std::string_view kGatewaySection = R"(
gateway:
  enabled: true
  max_queue: 7
  providers:
    - slug: azure
      type: azure-openai
      base_url: https://example.openai.azure.com/openai
      keys: [{secret: "sealed:azure", weight: 2}]
      headers: {x-team-token: hunter2}
      timeouts: {headers: 9s}
  models:
    - id: openai/gpt-4o
      pricing: {prompt: "0.0000025", completion: 0.00001}
      endpoints: [{provider: azure, model: gpt-4o}]
)";

TEST(ConfigPrintTest, TheGatewayIsShownWithoutWhatMayBeSecret) {
  Config config;
  ASSERT_TRUE(apply_yaml(config, kGatewaySection, "gantry.yaml"));
  const std::string shown = format_config_yaml(config);
  EXPECT_EQ(shown.find("hunter2"), std::string::npos) << shown;
  EXPECT_NE(shown.find("  max_queue: \"7\"\n"), std::string::npos) << shown;
  EXPECT_NE(shown.find("  deadline: \"10m\"\n"), std::string::npos) << "a default\n" << shown;
  EXPECT_NE(shown.find("sealed:azure"), std::string::npos) << shown;
  EXPECT_NE(shown.find("\"timeouts\": {\"headers\": \"9s\"}"), std::string::npos) << shown;
  Config again;
  const auto applied = apply_yaml(again, shown, "shown");
  ASSERT_TRUE(applied) << applied.error().message << "\n" << shown;
  EXPECT_EQ(format_config_yaml(again), shown);
  EXPECT_TRUE(gateway::read_gateway_settings(again.gateway));
}

TEST(ConfigPrintTest, ASecretInThePlaceOfItsReferenceIsNotShown) {
  Config config;
  ASSERT_TRUE(apply_yaml(config, "gateway: {providers: [{slug: a, keys: [{secret: hunter2}]}]}",
                         "gantry.yaml"));
  EXPECT_EQ(format_config_yaml(config).find("hunter2"), std::string::npos);
}

constexpr std::string_view kTwoProviders = R"(
server:
  public_url: https://gantry.example
oidc:
  issuer: https://idp.example
  client_id: gantry
  providers:
    - name: partners
      issuer: https://login.partner.example
      client_id: partner-client
      client_secret: hunter2
      group_rules: ["a=main:viewer", "b=main:editor"]
    - name: third
      issuer: https://third.example
      client_id: c
)";

TEST(OidcProvidersTest, AListOfFurtherOnes) {
  Config config;
  ASSERT_TRUE(apply_yaml(config, kTwoProviders, "gantry.yaml"));
  ASSERT_EQ(config.oidc_providers.size(), 2U);
  EXPECT_EQ(config.oidc_providers[0].client_id, "partner-client");
  EXPECT_EQ(config.oidc_providers[1].scopes, Config::Oidc().scopes) << "the defaults";
  const auto settings = make_oidc_settings(config);
  ASSERT_TRUE(settings) << settings.error().message;
  ASSERT_EQ(settings->size(), 3U);
  EXPECT_EQ(settings->at(0).name, "sso");
  EXPECT_EQ(settings->at(1).name, "partners");
  EXPECT_EQ(settings->at(1).rules.size(), 2U);
}

TEST(OidcProvidersTest, AreShownAsTheyWereWritten) {
  Config config;
  ASSERT_TRUE(apply_yaml(config, kTwoProviders, "gantry.yaml"));
  std::string shown = format_config_yaml(config);
  EXPECT_EQ(shown.find("hunter2"), std::string::npos) << shown;
  Config again;
  const auto applied = apply_yaml(again, shown, "shown");
  ASSERT_TRUE(applied) << applied.error().message << "\n" << shown;
  for (Config* each : {&config, &again})
    for (Config::Oidc& provider : each->oidc_providers) provider.client_secret.clear();
  EXPECT_EQ(again.oidc_providers, config.oidc_providers);
  for (const auto& [key, value] : list_config(config))
    EXPECT_EQ(value.find("hunter2"), std::string::npos) << key;
}

TEST(OidcProvidersTest, MistakesAreNamed) {
  EXPECT_EQ(yaml_error("oidc:\n  providers: none\n"),
            "gantry.yaml:2:14: oidc.providers: must be a list");
  EXPECT_EQ(yaml_error("oidc:\n  providers:\n    - isuer: x\n"),
            "gantry.yaml:3:7: oidc: unknown key \"isuer\", did you mean \"issuer\"?");
  EXPECT_NE(yaml_error("oidc:\n  providers:\n    - providers: [{}]\n"), "");
  const auto refusal = [](std::string_view yaml) {
    Config config;
    EXPECT_TRUE(apply_yaml(config, yaml, "gantry.yaml"));
    const auto settings = make_oidc_settings(config);
    return settings ? "" : settings.error().message;
  };
  EXPECT_EQ(refusal("server: {public_url: https://g.example}\noidc:\n  providers:\n"
                    "    - {name: a, issuer: https://a.example, client_id: c}\n"
                    "    - {name: a, issuer: https://b.example, client_id: c}\n"),
            "oidc.providers[1].name: \"a\" is the name of another provider too");
  EXPECT_EQ(refusal("oidc:\n  providers: [{name: a, issuer: https://a.example}]\n"),
            "oidc.providers[0].client_id: needed with oidc.providers[0].issuer");
  EXPECT_EQ(refusal("oidc:\n  providers: [{name: a}]\n").substr(0, 24), "oidc.providers[0].issuer");
  EXPECT_EQ(refusal("server: {public_url: https://g.example}\noidc: {issuer: https://a.example, "
                    "client_id: c, client_key_file: /x}\n"),
            "oidc.client_key_file: goes with oidc.client_authentication: private_key_jwt");
  EXPECT_EQ(refusal("server: {public_url: https://g.example}\noidc: {issuer: https://a.example, "
                    "client_id: c, client_authentication: private_key_jwt}\n"),
            "oidc.client_key_file: goes with oidc.client_authentication: private_key_jwt");
}

TEST(GatewaySectionTest, ReachesTheGatewayWithItsPlaces) {
  Config config;
  ASSERT_TRUE(apply_yaml(config,
                         "gateway:\n"
                         "  enabled: true\n"
                         "  providers:\n"
                         "    - {slug: openai, base_url: \"https://api.openai.com/v1\"}\n"
                         "  models:\n"
                         "    - id: openai/gpt-4o\n"
                         "      pricing: {prompt: \"0.0000025\", completion: \"0.00001\"}\n"
                         "      endpoints: [{provider: openai, model: gpt-4o}]\n",
                         "gantry.yaml"));
  const auto settings = gateway::read_gateway_settings(config.gateway);
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_TRUE(settings->is_enabled);
  EXPECT_EQ(settings->catalogue.models.at(0).prices->input, gateway::PicoUsd{2'500'000});

  ASSERT_TRUE(apply_yaml(config, "gateway:\n  providers:\n    - slog: x\n", "gantry.yaml"));
  const auto refused = validate(config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "gantry.yaml:3:13: gateway.providers[0].slog: unknown key");
}

TEST(GatewaySectionTest, AnEndlessOneIsRefused) {
  EXPECT_TRUE(yaml_error("gateway: &a\n  models: *a\n")
                  .ends_with("gateway: nested too deeply, or too large"));
}

TEST(ConfigLoadTest, ABadSecretIsNotShown) {
  const auto loaded =
      load_config({.file = {},
                   .environment = {{"GANTRY_STATE_URL", "postgres://a:hunter2%@h/d"}},
                   .flags = {}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message.find("hunter2"), std::string::npos) << loaded.error().message;
}

TEST(ConfigDocumentationTest, TheCommittedPageIsWhatTheTableSays) {
  const std::filesystem::path path = GANTRY_CONFIGURATION_PAGE;
  const std::string expected = format_settings_markdown();
  if (std::getenv("GANTRY_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << expected;
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  const std::string committed{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(committed, expected) << "GANTRY_UPDATE_GOLDEN=1 rewrites it";
}

TEST(ConfigDocumentationTest, TheExampleIsValid) {
  const std::string page = format_settings_markdown();
  constexpr std::string_view kFence = "```yaml\n";
  const std::size_t begin = page.find(kFence) + kFence.size();
  const std::string example = page.substr(begin, page.find("```", begin) - begin);
  EXPECT_EQ(yaml_error(example), "");
  EXPECT_NE(example.find("retention"), std::string::npos);
}

}  // namespace
}  // namespace gantry::server
