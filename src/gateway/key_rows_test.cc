#include "gateway/key_rows.h"

#include <gtest/gtest.h>

#include "access/testing/control_fixture.h"
#include "state/auth_epoch.h"

namespace gantry::gateway {
namespace {

using access::ControlChange;
using access::ControlResult;
using access::kTestStart;
using access::OrgId;

class KeyRowsTest : public access::ControlFixture {
 protected:
  ControlResult<IssuedGatewayKey> create(const GatewayKeySettings& settings) {
    return change(admin(), [&](ControlChange& change) {
      return create_gateway_key(org_, stack_, change, settings);
    });
  }

  IssuedGatewayKey make(const GatewayKeySettings& settings) {
    auto issued = create(settings);
    EXPECT_TRUE(issued) << (issued ? "" : issued.error().message);
    return issued ? *std::move(issued) : IssuedGatewayKey();
  }

  ControlResult<GatewayKey> update(const std::string& hash, const GatewayKeySettings& settings) {
    return change(admin(), [&](ControlChange& change) {
      return update_gateway_key(org_, stack_, change, hash, settings);
    });
  }

  ControlResult<GatewayKey> look(OrgId org, StackId stack, const std::string& hash) {
    return read([&](state::Transaction& tx) { return read_gateway_key(org, stack, tx, hash); });
  }

  std::string found(std::string_view secret) {
    const auto key = finder_.find(secret);
    if (!key) return "error: " + key.error().message;
    return *key == nullptr ? "-" : (*key)->settings.name;
  }

  /// The path of the only wrong field.
  std::string wrong_field(const GatewayKeySettings& settings) {
    const auto issued = create(settings);
    if (issued) return "none";
    return issued.error().fields.size() == 1 ? issued.error().fields[0].path
                                             : issued.error().message;
  }

  std::uint64_t refusals(std::string_view reason) {
    return registry_
        .counter("gantry_gateway_keys_refused_total", "", {{"reason", std::string(reason)}})
        .value();
  }

  GatewayKeyFinder finder_{*db_, hasher_, clock_, registry_, {.entries_max = 4}};
};

GatewayKeySettings all_settings() {
  return {.name = "batch jobs",
          .limit = PicoUsd{12'500'000'000'001},
          .limit_reset = LimitReset::Weekly,
          .includes_byok = true,
          .rpm = 60,
          .tpm = 100'000,
          .max_concurrent = 8,
          .allowed_models = {"openai/gpt-4o", "anthropic/claude"},
          .is_disabled = false,
          .expires_at = kTestStart + DurationMs{60'000}};
}

TEST_F(KeyRowsTest, TheSecretIsShownOnceAndKeptAsAHash) {
  const IssuedGatewayKey issued = make(all_settings());
  ASSERT_EQ(issued.secret.size(), 51U);
  EXPECT_TRUE(issued.secret.starts_with("gk_"));
  EXPECT_EQ(issued.secret.find_first_not_of("0123456789abcdef", 3), std::string::npos);
  EXPECT_EQ(issued.key.label, issued.secret.substr(0, 6) + "..." + issued.secret.substr(48));
  EXPECT_EQ(issued.key.hash.size(), 64U);
  const auto key = look(org_, stack_, issued.key.hash);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->settings, all_settings());
  EXPECT_EQ(key->created_at, kTestStart);
  EXPECT_NE(make(all_settings()).secret, issued.secret) << "names need not be unique";
}

TEST_F(KeyRowsTest, AbsentLimitsStayAbsent) {
  const auto key = look(org_, stack_, make({.name = "plain"}).key.hash);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->settings, GatewayKeySettings{.name = "plain"});
  EXPECT_TRUE(key->allows_model("any/model"));
}

TEST_F(KeyRowsTest, AllowsTheModelsThatItNames) {
  const GatewayKey key = make(all_settings()).key;
  EXPECT_TRUE(key.allows_model("openai/gpt-4o"));
  EXPECT_FALSE(key.allows_model("openai/gpt-4o-mini"));
  EXPECT_FALSE(key.allows_model(""));
}

TEST_F(KeyRowsTest, ExplainsWhatIsWrong) {
  EXPECT_EQ(wrong_field({.name = ""}), "name");
  EXPECT_EQ(wrong_field({.name = std::string(255, 'a')}), "none");
  EXPECT_EQ(wrong_field({.name = std::string(256, 'a')}), "name");
  EXPECT_EQ(wrong_field({.name = "a\nb"}), "name");
  EXPECT_EQ(wrong_field({.name = "a", .limit = PicoUsd{-1}}), "limit");
  EXPECT_EQ(wrong_field({.name = "a", .limit = PicoUsd{0}}), "none");
  EXPECT_EQ(wrong_field({.name = "a", .rpm = 0}), "rpm");
  EXPECT_EQ(wrong_field({.name = "a", .tpm = 1'000'000'000'001}), "tpm");
  EXPECT_EQ(wrong_field({.name = "a", .max_concurrent = -1}), "max_concurrent");
  EXPECT_EQ(wrong_field({.name = "a", .allowed_models = {"x", ""}}), "allowed_models[1]");
  EXPECT_EQ(wrong_field({.name = "a", .allowed_models = std::vector<std::string>(257, "m")}),
            "allowed_models");
  EXPECT_EQ(wrong_field({.name = "a", .expires_at = kTestStart}), "expires_at");
}

TEST_F(KeyRowsTest, KeysBelongToOneStack) {
  const std::string hash = make({.name = "ours"}).key.hash;
  const StackId second = add_stack(org_, "second");
  for (const auto& [org, stack] :
       {std::pair(org_, second), {other_org_, stack_}, {other_org_, foreign_stack_}}) {
    const auto key = look(org, stack, hash);
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, Code::NotFound);
  }
  const auto strange = change(admin(), [&](ControlChange& change) {
    return create_gateway_key(org_, foreign_stack_, change, {.name = "strange"});
  });
  ASSERT_FALSE(strange);
  EXPECT_EQ(strange.error().code, Code::NotFound);
}

TEST_F(KeyRowsTest, NobodyHandsOnMoreThanTheyHave) {
  const auto by = [&](const access::ControlPrincipal& who) {
    return change(who, [&](ControlChange& change) {
      return create_gateway_key(org_, stack_, change, {.name = "k"});
    });
  };
  EXPECT_TRUE(by(token_with({access::Scope::LlmInvoke})));
  const auto refused = by(token_with({access::Scope::MetricsRead}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::PermissionDenied);
}

TEST_F(KeyRowsTest, ChangesAreOnRecord) {
  const IssuedGatewayKey issued = make({.name = "before"});
  GatewayKeySettings settings{.name = "after", .limit = PicoUsd{1'500'000'000'000}};
  ASSERT_TRUE(update(issued.key.hash, settings));
  ASSERT_TRUE(update(issued.key.hash, settings)) << "as before: nothing to record";
  EXPECT_EQ(events(), (std::vector<std::string>{"gateway_key.created", "gateway_key.updated"}));
  const auto records = audit_.read({});
  ASSERT_TRUE(records);
  const access::AuditEvent& event = records->front().event;
  ASSERT_EQ(event.changes.size(), 2U);
  EXPECT_EQ(event.changes[1].before, "none");
  EXPECT_EQ(event.changes[1].after, "1.500000000000");
  EXPECT_EQ(event.target.id, issued.key.hash);
  for (const access::AuditRecord& record : *records)
    for (const access::AuditChange& each : record.event.changes)
      EXPECT_FALSE(each.after.contains(issued.secret.substr(6, 20)));
}

TEST_F(KeyRowsTest, AnExpiredKeyCanStillBeRenamed) {
  const IssuedGatewayKey issued = make(all_settings());
  clock_.advance({60'000});
  GatewayKeySettings settings = all_settings();
  settings.name = "renamed";
  EXPECT_TRUE(update(issued.key.hash, settings));
  settings.expires_at = clock_.now() - DurationMs{1};
  EXPECT_FALSE(update(issued.key.hash, settings));
}

TEST_F(KeyRowsTest, ListsInPages) {
  for (const std::string_view name : {"a", "b", "c"}) {
    make({.name = std::string(name), .is_disabled = name == "b"});
    clock_.advance({1});
  }
  const auto names = [&](const GatewayKeyPage& page) {
    std::string joined;
    const auto keys =
        read([&](state::Transaction& tx) { return list_gateway_keys(org_, stack_, tx, page); });
    EXPECT_TRUE(keys);
    for (const GatewayKey& key : *keys) joined += key.settings.name;
    return joined;
  };
  EXPECT_EQ(names({}), "abc");
  EXPECT_EQ(names({.limit = 2}), "ab");
  EXPECT_EQ(names({.offset = 2, .limit = 2}), "c");
  EXPECT_EQ(names({.offset = 3}), "");
  EXPECT_EQ(names({.disabled = DisabledKeys::Left}), "ac");
  EXPECT_EQ(names({.offset = 1, .disabled = DisabledKeys::Left}), "c");
}

TEST_F(KeyRowsTest, FindsByTheHashInTheOrganisation) {
  const std::string hash = make({.name = "ours"}).key.hash;
  const auto stack_of = [&](OrgId org, const std::string& text) -> std::int64_t {
    const auto key = read([&](state::Transaction& tx) { return find_gateway_key(org, tx, text); });
    if (!key) EXPECT_EQ(key.error().code, Code::NotFound);
    return key ? key->stack.value() : 0;
  };
  EXPECT_EQ(stack_of(org_, hash), stack_.value());
  EXPECT_EQ(stack_of(other_org_, hash), 0);
  EXPECT_EQ(stack_of(org_, std::string(64, '0')), 0);
  EXPECT_EQ(stack_of(org_, std::string(64, '\0')), 0);
  EXPECT_EQ(stack_of(org_, "\xff"), 0);
}

TEST_F(KeyRowsTest, FindsByTheSecret) {
  const IssuedGatewayKey issued = make({.name = "ours"});
  EXPECT_EQ(found(issued.secret), "ours");
  EXPECT_EQ(found("gk_" + std::string(48, '0')), "-");
  EXPECT_EQ(refusals("unknown"), 1U);
  EXPECT_EQ(found("gk_" + std::string(47, '0')), "-");
  EXPECT_EQ(found("gk_" + std::string(48, 'A')), "-");
  EXPECT_EQ(found(issued.key.hash), "-");
  EXPECT_EQ(refusals("malformed"), 3U);
}

TEST_F(KeyRowsTest, FindsKeysOfAnOlderPepper) {
  const access::TokenHasher old_hasher{
      access::SecretKey{.peppers = {access::Pepper{.id = 1, .bytes = {1}}}}};
  const access::ControlPlane old_plane{.db = *db_,
                                       .audit = audit_,
                                       .authenticator = authenticator_,
                                       .hasher = old_hasher,
                                       .clock = clock_,
                                       .rules = {}};
  auto change = ControlChange::begin(old_plane, admin());
  ASSERT_TRUE(change);
  const auto issued = create_gateway_key(org_, stack_, *change, {.name = "old"});
  ASSERT_TRUE(issued);
  ASSERT_TRUE(change->commit());
  EXPECT_EQ(found(issued->secret), "old");
}

TEST_F(KeyRowsTest, RefusesDisabledAndExpiredKeys) {
  const IssuedGatewayKey disabled = make({.name = "off", .is_disabled = true});
  const IssuedGatewayKey expiring =
      make({.name = "soon", .expires_at = kTestStart + DurationMs{1'000}});
  EXPECT_EQ(found(disabled.secret), "-");
  EXPECT_EQ(refusals("disabled"), 1U);
  EXPECT_EQ(found(expiring.secret), "soon");
  clock_.advance({1'000});
  EXPECT_EQ(found(expiring.secret), "-") << "although it is cached";
  EXPECT_EQ(refusals("expired"), 1U);
}

TEST_F(KeyRowsTest, AKeyOfADeletedStackOpensNothing) {
  const IssuedGatewayKey issued = make({.name = "ours"});
  ASSERT_TRUE(change(
      admin(), [&](ControlChange& change) { return access::delete_stack(org_, change, "main"); }));
  EXPECT_EQ(found(issued.secret), "-");
}

TEST_F(KeyRowsTest, CachesUntilToldOfAChange) {
  const IssuedGatewayKey issued = make({.name = "first"});
  EXPECT_EQ(found(issued.secret), "first");
  write([&](state::Transaction& tx) { return tx.execute("UPDATE gateway_keys SET name = 'x'"); });
  EXPECT_EQ(found(issued.secret), "first");
  clock_.advance({30'000});
  EXPECT_EQ(found(issued.secret), "x");

  const auto listener =
      state::ChangeListener::start(*db_, clock_, registry_, {}, [&] { finder_.forget_all(); });
  ASSERT_TRUE(listener);
  ASSERT_TRUE(update(issued.key.hash, {.name = "third", .is_disabled = true}));
  EXPECT_EQ(found(issued.secret), "-");
  ASSERT_TRUE(update(issued.key.hash, {.name = "third"}));
  EXPECT_EQ(found(issued.secret), "third");
  ASSERT_TRUE(change(admin(), [&](ControlChange& change) {
    return delete_gateway_key(org_, stack_, change, issued.key.hash);
  }));
  EXPECT_EQ(found(issued.secret), "-");
}

TEST_F(KeyRowsTest, FindsWhatIsKnownWithoutTheDatabase) {
  const IssuedGatewayKey issued = make({.name = "ours"});
  EXPECT_EQ(finder_.find_known(issued.secret), nullptr);
  EXPECT_EQ(found(issued.secret), "ours");
  ASSERT_NE(finder_.find_known(issued.secret), nullptr);
  EXPECT_EQ(finder_.find_known(issued.secret)->settings.name, "ours");
  EXPECT_EQ(finder_.find_known("gk_" + std::string(48, '0')), nullptr);
  EXPECT_EQ(finder_.find_known("ours"), nullptr);
  finder_.forget_all();
  EXPECT_EQ(finder_.find_known(issued.secret), nullptr);
}

TEST_F(KeyRowsTest, StrangersDoNotPushKnownKeysOut) {
  const IssuedGatewayKey issued = make({.name = "first"});
  EXPECT_EQ(found(issued.secret), "first");
  write([&](state::Transaction& tx) { return tx.execute("UPDATE gateway_keys SET name = 'x'"); });
  for (char c = '0'; c <= '9'; ++c) EXPECT_EQ(found("gk_" + std::string(48, c)), "-");
  EXPECT_EQ(found(issued.secret), "first") << "still cached";
}

}  // namespace
}  // namespace gantry::gateway
