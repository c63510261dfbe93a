#include "access/recorded_settings.h"

#include "access/testing/control_fixture.h"

namespace gantry::access {
namespace {

class RecordedSettingsTest : public ControlFixture {
 protected:
  static RecordedSettings provider(std::string issuer, std::string secret = "hunter2") {
    return {.name = "oidc/sso",
            .event = "oidc.config_changed",
            .target = {.type = "provider", .id = "sso", .name = "Example"},
            .values = {{"issuer", std::move(issuer)}, {"client_id", "gantry"}},
            .secrets = {{"client_secret", std::move(secret)}}};
  }

  static RecordedSettings rules(std::string text) {
    return {.name = "role_mapping/sso",
            .event = "role_mapping.changed",
            .target = {.type = "provider", .id = "sso", .name = "Example"},
            .values = {{"group_rules", std::move(text)}}};
  }

  /// What the call reported: "event field: before -> after", in order.
  std::vector<std::string> record(const std::vector<RecordedSettings>& current) {
    const auto done = record_settings(*db_, audit_, hasher_, current, clock_.now());
    EXPECT_TRUE(done) << (done ? "" : done.error().message);
    const auto records = audit_.read({});
    std::vector<std::string> said;
    for (auto it = records->rbegin(); it != records->rend(); ++it) {
      if (it->id <= last_id_) continue;
      last_id_ = it->id;
      for (const AuditChange& change : it->event.changes)
        said.push_back(it->event.event + " " + change.field + ": " + change.before + " -> " +
                       change.after);
    }
    return said;
  }

  std::int64_t last_id_ = 0;
};

using Said = std::vector<std::string>;

TEST_F(RecordedSettingsTest, TheFirstReportIsOfAllThatIsSet) {
  EXPECT_EQ(record({provider("https://a"), rules("")}),
            (Said{"oidc.config_changed client_id:  -> gantry",
                  "oidc.config_changed issuer:  -> https://a",
                  "oidc.config_changed client_secret: unset -> set"}));
  EXPECT_EQ(record({provider("https://a"), rules("")}), Said{}) << "nothing is new";
}

TEST_F(RecordedSettingsTest, AChangeNamesItsFields) {
  record({provider("https://a"), rules("a=main:viewer")});
  EXPECT_EQ(record({provider("https://b"), rules("a=main:viewer")}),
            Said{"oidc.config_changed issuer: https://a -> https://b"});
  EXPECT_EQ(record({provider("https://b"), rules("a=main:admin")}),
            Said{"role_mapping.changed group_rules: a=main:viewer -> a=main:admin"});
}

TEST_F(RecordedSettingsTest, SecretsAreComparedAndNeverShownOrKept) {
  record({provider("https://a")});
  EXPECT_EQ(record({provider("https://a", "another")}),
            Said{"oidc.config_changed client_secret: set -> changed"});
  EXPECT_EQ(record({provider("https://a", "")}),
            Said{"oidc.config_changed client_secret: set -> unset"});
  record({provider("https://a", "hunter2")});
  const std::string kept = read([](state::Transaction& tx) {
    auto select = tx.prepare("SELECT settings FROM recorded_settings");
    EXPECT_TRUE(select->step().value_or(false));
    return std::string(select->text(0));
  });
  EXPECT_EQ(kept.find("hunter2"), std::string::npos) << kept;
}

TEST_F(RecordedSettingsTest, WhatIsGoneIsReported) {
  record({provider("https://a"), rules("a=main:viewer")});
  EXPECT_EQ(record({provider("https://a")}),
            Said{"role_mapping.changed group_rules: a=main:viewer -> "});
  EXPECT_EQ(record({}), (Said{"oidc.config_changed client_id: gantry -> ",
                              "oidc.config_changed issuer: https://a -> ",
                              "oidc.config_changed client_secret: set -> unset"}));
  EXPECT_EQ(record({}), Said{});
}

TEST_F(RecordedSettingsTest, WhatIsNoNewsTheFirstTime) {
  RecordedSettings key{.name = "keyring",
                       .event = "keyring.rotated",
                       .values = {{"pepper", "1"}},
                       .reports_first = false};
  EXPECT_EQ(record({key}), Said{});
  key.values["pepper"] = "2";
  EXPECT_EQ(record({key}), Said{"keyring.rotated pepper: 1 -> 2"});
}

TEST_F(RecordedSettingsTest, AnotherPepperIsNoChange) {
  record({provider("https://a")});
  const TokenHasher hasher(
      SecretKey{.peppers = {Pepper{.id = 3, .bytes = {3}}, Pepper{.id = 2, .bytes = {2}}}});
  const auto before = audit_.read({})->size();
  EXPECT_TRUE(
      record_settings(*db_, audit_, hasher, std::vector{provider("https://a")}, clock_.now()));
  EXPECT_EQ(audit_.read({})->size(), before);
}

}  // namespace
}  // namespace gantry::access
