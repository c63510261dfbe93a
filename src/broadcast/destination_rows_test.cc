#include "broadcast/destination_rows.h"

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "access/organisations.h"
#include "access/secrets/keyring_canary.h"
#include "access/testing/control_fixture.h"
#include "broadcast/destination_json.h"

namespace gantry::broadcast {
namespace {

using access::AuditRecord;
using access::ControlChange;
using access::ControlPrincipal;
using access::Keyring;
using access::KeyringSource;
using access::Scope;

constexpr std::string_view kSecret = "glc_0123456789AbCd";
constexpr std::string_view kHeaderSecret = "header-secret-value";

class DestinationRowsTest : public access::ControlFixture {
 protected:
  void SetUp() override {
    ControlFixture::SetUp();
    if (IsSkipped()) return;
    const auto made = access::create_keyring(source_, Keyring::make("k1"));
    ASSERT_TRUE(made) << made.error().message;
  }

  [[nodiscard]] Destination draft(std::string_view name = "copy") const {
    Destination draft;
    draft.stack = stack_.value();
    draft.type = DestinationType::Gantry;
    draft.name = name;
    draft.sampling_rate = 0.3333;
    draft.config = default_config(draft.type);
    draft.config.url = "https://hub.example.com/?key=1";
    draft.config.instance_id = "1000007";
    draft.config.secret = kSecret;
    draft.config.headers = {{"X-Team", std::string(kHeaderSecret)}};
    return draft;
  }

  access::ControlResult<StoredDestination> create(const Destination& draft,
                                                  const ControlPrincipal& who,
                                                  Verified verified = Verified::Yes) {
    return change(who, [&](ControlChange& change) {
      return create_destination(org_, change, secrets_, draft, verified);
    });
  }

  StoredDestination made(std::string_view name = "copy") {
    auto stored = create(draft(name), admin());
    EXPECT_TRUE(stored) << (stored ? "" : stored.error().message);
    return stored ? *std::move(stored) : StoredDestination();
  }

  access::ControlResult<StoredDestination> find(std::string_view id) {
    return read([&](state::Transaction& tx) { return read_destination(org_, tx, id); });
  }

  /// With its secrets in clear.
  Destination opened(std::string_view id) {
    auto tx = db_->begin_read();
    const auto stored = read_destination(org_, *tx, id);
    EXPECT_TRUE(stored) << stored.error().message;
    auto destination = open_destination(org_, *tx, secrets_, *stored);
    EXPECT_TRUE(destination) << (destination ? "" : destination.error().message);
    return destination ? *std::move(destination) : Destination();
  }

  access::ControlResult<StoredDestination> update(const DestinationUpdate& update) {
    return change(admin(), [&](ControlChange& change) {
      return update_destination(org_, change, secrets_, update);
    });
  }

  std::vector<std::string> names(std::size_t offset = 0, std::size_t limit = 100) {
    std::vector<std::string> names;
    const auto listed = read(
        [&](state::Transaction& tx) { return list_destinations(org_, tx, stack_, offset, limit); });
    EXPECT_TRUE(listed);
    for (const StoredDestination& stored : *listed) names.push_back(stored.destination.name);
    return names;
  }

  std::int64_t count_secrets() {
    return read([](state::Transaction& tx) {
      auto select = tx.prepare("SELECT count(*) FROM secrets");
      EXPECT_TRUE(select && *select->step());
      return select->integer(0);
    });
  }

  /// "event field before>after …" of the newest `count` events, oldest first.
  std::vector<std::string> audit(std::size_t count) {
    const auto records = audit_.read({.limit = count});
    EXPECT_TRUE(records);
    std::vector<std::string> texts;
    for (auto it = records->rbegin(); it != records->rend(); ++it) {
      std::string text = it->event.event;
      EXPECT_EQ(it->event.stack, stack_);
      for (const access::AuditChange& one : it->event.changes)
        text += fmt::format(" {} {}>{}", one.field, one.before, one.after);
      texts.push_back(std::move(text));
    }
    return texts;
  }

  KeyringSource source_{
      .kind = KeyringSource::Kind::File, .path = path_ / access::kKeyringFile, .text = {}};
  access::LiveKeyring keyring_{source_, std::nullopt};
  access::Sealer sealer_{{.keyring = keyring_, .audit = audit_, .clock = clock_},
                         access::Sealer::Options{}};
  access::StoredSecrets secrets_{sealer_};
};

TEST_F(DestinationRowsTest, WhatIsCreatedIsReadWithMasks) {
  Destination wanted = draft();
  wanted.api_key_hashes = {{"k1", "k2"}};
  wanted.excluded_api_key_hashes = {"k3"};
  wanted.filter_rules_json = R"({"groups":[]})";
  wanted.attribute_rules_json = R"([{"action":"delete","key":"a"}])";
  wanted.metric_relabel_json = R"([{"regex":"pod","action":"labeldrop"}])";
  wanted.stream_aggregation_json = R"([{"match":"up","interval":"1m","outputs":["last"]}])";
  wanted.extras = {.cost = true, .identity = false, .request_context = true};
  const auto stored = create(wanted, admin());
  ASSERT_TRUE(stored) << stored.error().message;
  const auto found = find(stored->destination.id);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->destination.attribute_rules_json, wanted.attribute_rules_json);
  EXPECT_FALSE(found->destination.attribute_rules.empty());
  EXPECT_EQ(found->destination.metric_relabel_json, wanted.metric_relabel_json);
  telemetry::Labels labels = {{.name = "__name__", .value = "up"}, {.name = "pod", .value = "p"}};
  EXPECT_TRUE(found->destination.metric_relabel.apply(labels));
  EXPECT_EQ(labels.size(), 1U);
  EXPECT_EQ(found->destination.stream_aggregation_json, wanted.stream_aggregation_json);
  EXPECT_EQ(found->masks.secret, "glc_...AbCd");
  EXPECT_EQ(found->masks.headers.at("X-Team"), "head...alue");
  EXPECT_EQ(found->version, 1);
  EXPECT_EQ(found->destination.config.secret, "");
  EXPECT_TRUE(found->destination.config.headers.empty());
  EXPECT_EQ(found->destination.created_at, access::kTestStart);

  std::string shown;
  core::JsonWriter json(shown);
  write_destination(json, found->destination, found->masks);
  wanted.id = stored->destination.id;
  wanted.created_at = wanted.updated_at = access::kTestStart;
  std::string expected;
  core::JsonWriter expected_json(expected);
  write_destination(expected_json, wanted, masks_of(wanted.config));
  EXPECT_EQ(shown, expected);
}

TEST_F(DestinationRowsTest, WhoSendsHasTheSecretsInClear) {
  EXPECT_EQ(opened(made().destination.id).config, draft().config);
}

TEST_F(DestinationRowsTest, NoTableButThatOfSecretsHoldsThem) {
  made();
  const auto text = read([](state::Transaction& tx) {
    auto select = tx.prepare("SELECT config FROM destinations");
    EXPECT_TRUE(select && *select->step());
    return std::string(select->text(0));
  });
  EXPECT_FALSE(text.contains(kSecret)) << text;
  EXPECT_FALSE(text.contains(kHeaderSecret)) << text;
  EXPECT_EQ(count_secrets(), 2);
}

TEST_F(DestinationRowsTest, CreationIsAuditedWithoutSecrets) {
  ASSERT_TRUE(create(draft(), admin(), Verified::No));
  EXPECT_EQ(audit(1), std::vector<std::string>{
                          "destination.created type >gantry config.url >https://hub.example.com/ "
                          "config.user >1000007 sampling_rate 1>0.3333 config.token unset>set "
                          "config.headers unset>set verify >false"});
}

TEST_F(DestinationRowsTest, ListsAreOfOneStackInOrder) {
  for (const std::string_view name : {"a", "b", "c"}) {
    made(name);
    clock_.advance(DurationMs{1});
  }
  const StackId other = add_stack(org_, "second");
  Destination elsewhere = draft("elsewhere");
  elsewhere.stack = other.value();
  ASSERT_TRUE(create(elsewhere, admin()));
  EXPECT_EQ(names(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(names(1, 1), std::vector<std::string>{"b"});
  EXPECT_EQ(names(3), std::vector<std::string>{});
  const auto count =
      read([&](state::Transaction& tx) { return count_destinations(org_, tx, stack_); });
  EXPECT_EQ(*count, 3U);
}

TEST_F(DestinationRowsTest, OfAnotherOrganisationNothingIsFound) {
  const std::string id = made().destination.id;
  const auto foreign =
      read([&](state::Transaction& tx) { return read_destination(other_org_, tx, id); });
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, Code::NotFound);
  const auto listed = read(
      [&](state::Transaction& tx) { return list_destinations(other_org_, tx, stack_, 0, 100); });
  EXPECT_TRUE(listed->empty());
  const auto removed = change(access::system_control_principal(other_org_), [&](ControlChange& c) {
    return delete_destination(other_org_, c, id);
  });
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, Code::NotFound);

  Destination of_their_stack = draft();
  of_their_stack.stack = foreign_stack_.value();
  EXPECT_EQ(create(of_their_stack, admin()).error().code, Code::NotFound);
  EXPECT_EQ(find("no\0id").error().code, Code::NotFound);
}

TEST_F(DestinationRowsTest, ASixthOfATypeIsRefused) {
  std::string first;
  for (std::size_t i = 0; i < kDestinationsPerTypeMax; ++i) {
    const StoredDestination stored = made(fmt::format("n{}", i));
    if (i == 0) first = stored.destination.id;
  }
  const auto sixth = create(draft("sixth"), admin());
  ASSERT_FALSE(sixth);
  EXPECT_EQ(sixth.error().code, Code::FailedPrecondition);
  EXPECT_EQ(sixth.error().message,
            "the stack has 5 destinations of the type gantry, which is the limit");

  Destination hook = draft("hook");
  hook.type = DestinationType::Webhook;
  hook.config = default_config(hook.type);
  hook.config.url = "https://hook.example.com";
  const auto another = create(hook, admin());
  ASSERT_TRUE(another) << another.error().message;
  Destination sixth_by_change = draft("hook");
  sixth_by_change.id = another->destination.id;
  EXPECT_EQ(update({.after = sixth_by_change, .config = ConfigChange::Replaced, .version = 1})
                .error()
                .code,
            Code::FailedPrecondition);

  ASSERT_TRUE(
      change(admin(), [&](ControlChange& c) { return delete_destination(org_, c, first); }));
  EXPECT_TRUE(create(draft("sixth"), admin()));
}

TEST_F(DestinationRowsTest, SettingsChangeWithoutTheSecrets) {
  const StoredDestination before = made();
  clock_.advance(DurationMs{5});
  Destination wanted = before.destination;
  wanted.name = "renamed";
  wanted.is_private = true;
  wanted.sampling_rate = 1;
  wanted.api_key_hashes = {{"k1"}};
  wanted.filter_rules_json = R"({"groups":[]})";
  wanted.attribute_rules_json = R"([{"action":"delete","key":"a"}])";
  wanted.metric_relabel_json = "[]";
  wanted.stream_aggregation_json = "[]";
  const auto after = update({.after = wanted, .version = before.version});
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->version, 2);
  EXPECT_EQ(after->masks, before.masks);
  EXPECT_EQ(after->destination.updated_at.since_epoch, access::kTestStart.since_epoch + 5);
  EXPECT_EQ(find(wanted.id)->destination.name, "renamed");
  EXPECT_EQ(opened(wanted.id).config, draft().config);
  EXPECT_EQ(audit(3),
            (std::vector<std::string>{
                "destination.updated name copy>renamed api_key_hashes all>k1 filter_rules "
                "unset>set attribute_rules unset>set metric_relabel_configs unset>set "
                "stream_aggregation unset>set",
                "privacy_mode.changed privacy_mode false>true",
                "sampling.changed sampling_rate 0.3333>1"}));
}

TEST_F(DestinationRowsTest, ChangedSecretsAreSealedAgain) {
  const StoredDestination before = made();
  Destination wanted = opened(before.destination.id);
  wanted.config.secret = "glc_9876543210ZyXw";
  wanted.config.headers.clear();
  const auto after = update(
      {.after = wanted, .config = ConfigChange::Replaced, .version = 1, .verified = Verified::No});
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->masks.secret, "glc_...ZyXw");
  EXPECT_TRUE(after->masks.headers.empty());
  EXPECT_EQ(opened(wanted.id).config, wanted.config);
  EXPECT_EQ(audit(2), (std::vector<std::string>{
                          "destination.updated verify >false",
                          "destination.secret_changed config.token set>changed config.headers "
                          "set>unset"}));
}

TEST_F(DestinationRowsTest, ANewTypeLeavesNoOldSecrets) {
  const StoredDestination before = made();
  Destination wanted = before.destination;
  wanted.type = DestinationType::OtelCollector;
  wanted.config = default_config(wanted.type);
  wanted.config.url = "https://collector.example.com/v1/traces";
  const auto after =
      update({.after = wanted, .config = ConfigChange::Replaced, .version = before.version});
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(count_secrets(), 0);
  EXPECT_EQ(find(wanted.id)->destination.type, DestinationType::OtelCollector);
  EXPECT_EQ(opened(wanted.id).config, wanted.config);
}

TEST_F(DestinationRowsTest, AChangeThatChangesNothingWritesNothing) {
  const StoredDestination before = made();
  clock_.advance(DurationMs{5});
  const auto after = update({.after = opened(before.destination.id),
                             .config = ConfigChange::Replaced,
                             .version = before.version,
                             .verified = Verified::No});
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->version, 1);
  EXPECT_EQ(find(before.destination.id)->destination.updated_at, access::kTestStart);
  EXPECT_EQ(events(), std::vector<std::string>{"destination.created"});
}

TEST_F(DestinationRowsTest, OfTwoChangesAtOnceTheSecondIsRefused) {
  const StoredDestination before = made();
  Destination one = before.destination;
  one.name = "one";
  ASSERT_TRUE(update({.after = one, .version = before.version}));
  Destination two = before.destination;
  two.name = "two";
  const auto refused = update({.after = two, .version = before.version});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::AlreadyExists);
  EXPECT_EQ(find(one.id)->destination.name, "one");
}

TEST_F(DestinationRowsTest, ADeletedOneIsGoneWithItsSecrets) {
  const std::string id = made().destination.id;
  ASSERT_TRUE(change(admin(), [&](ControlChange& c) { return delete_destination(org_, c, id); }));
  EXPECT_EQ(find(id).error().code, Code::NotFound);
  EXPECT_EQ(names(), std::vector<std::string>{});
  EXPECT_EQ(count_secrets(), 0);
  EXPECT_EQ(audit(1), std::vector<std::string>{"destination.deleted"});
  const auto again =
      change(admin(), [&](ControlChange& c) { return delete_destination(org_, c, id); });
  EXPECT_EQ(again.error().code, Code::NotFound);
}

TEST_F(DestinationRowsTest, AStackTakesItsDestinationsWithIt) {
  const std::string id = made("a").destination.id;
  made("b");
  ASSERT_TRUE(change(admin(), [&](ControlChange& c) -> access::ControlResult<void> {
    GANTRY_CHECK(delete_destinations(org_, c, stack_));
    GANTRY_CHECK(access::delete_stack(org_, c, "main"));
    return {};
  }));
  EXPECT_EQ(find(id).error().code, Code::NotFound);
  EXPECT_EQ(count_secrets(), 0);
}

TEST_F(DestinationRowsTest, OnlyWhoHasTheWholeStackMayChangeThem) {
  const std::string id = made().destination.id;
  ControlPrincipal who = token_with({Scope::DestinationsWrite});
  who.allowed_subnets = {"10.0.0.0/8"};
  EXPECT_TRUE(create(draft("mine"), who)) << "the organisation's token";
  who.realms = {{.type = access::Realm::Type::Stack,
                 .identifier = stack_.value(),
                 .label_policies = std::nullopt}};
  EXPECT_TRUE(create(draft("mine"), who)) << "the stack's token";

  const auto expect_refused = [&](std::string_view why) {
    const auto refused = create(draft("mine"), who);
    ASSERT_FALSE(refused) << why;
    EXPECT_EQ(refused.error().code, Code::PermissionDenied) << why;
    const auto removed =
        change(who, [&](ControlChange& c) { return delete_destination(org_, c, id); });
    EXPECT_EQ(removed.error().code, Code::PermissionDenied) << why;
    Destination renamed = draft("renamed");
    renamed.id = id;
    const auto updated = change(who, [&](ControlChange& c) {
      return update_destination(org_, c, secrets_, {.after = renamed, .version = 1});
    });
    EXPECT_EQ(updated.error().code, Code::PermissionDenied) << why;
  };
  who.realms.front().label_policies = std::vector<std::string>{R"({team="web"})"};
  expect_refused("a label policy shows a part only");
  who.realms.front() = {.type = access::Realm::Type::Stack,
                        .identifier = add_stack(org_, "second").value(),
                        .label_policies = std::nullopt};
  expect_refused("another stack's token");
}

}  // namespace
}  // namespace gantry::broadcast
