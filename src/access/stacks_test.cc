#include "access/stacks.h"

#include <gtest/gtest.h>

#include "access/testing/control_fixture.h"

namespace gantry::access {
namespace {

class StacksTest : public ControlFixture {
 protected:
  ControlResult<Stack> create(const StackDraft& draft) {
    return change(admin(),
                  [&](ControlChange& change) { return create_stack(org_, change, draft); });
  }

  ControlResult<Stack> remove(std::string_view stack) {
    return change(admin(),
                  [&](ControlChange& change) { return delete_stack(org_, change, stack); });
  }
};

TEST_F(StacksTest, InstanceIdsFollowEachOtherAndAreNeverGivenAgain) {
  const auto first = create({.slug = "first"});
  ASSERT_TRUE(first);
  EXPECT_EQ(first->name, "first");
  EXPECT_EQ(first->zone, "local");
  ASSERT_TRUE(remove("first"));
  const auto second = create({.slug = "first"});
  ASSERT_TRUE(second) << "the slug is free again";
  EXPECT_EQ(second->id.value(), first->id.value() + 1);
  const auto deleted = read([](state::Transaction& tx) { return list_deleted_stacks(tx); });
  ASSERT_TRUE(deleted);
  EXPECT_EQ(*deleted, std::vector<StackId>{first->id});
  EXPECT_FALSE(read([&](state::Transaction& tx) {
    return read_stack(org_, tx, std::to_string(first->id.value()));
  }));
}

TEST_F(StacksTest, WrongDraftsAreRefused) {
  for (const std::string_view slug : {"", "Upper", "-a", "a_b", "123"})
    EXPECT_FALSE(create({.slug = std::string(slug)})) << slug;
  EXPECT_FALSE(create({.slug = std::string(64, 'a')}));
  EXPECT_FALSE(create({.slug = "a", .zone = "EU"}));
  const auto taken = create({.slug = "foreign"});
  ASSERT_FALSE(taken) << "slugs are unique in the installation";
  EXPECT_EQ(taken.error().code, Code::AlreadyExists);
}

TEST_F(StacksTest, AliasesAreGivenChangedAndTakenAway) {
  const auto made = create({.slug = "a", .aliases = {.metrics = 77, .traces = 78}});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->aliases, (StackAliases{.metrics = 77, .logs = {}, .traces = 78}));
  const auto update = [&](const StackAliasChanges& aliases) {
    return change(admin(), [&](ControlChange& change) {
      return update_stack(org_, change, "a", {.aliases = aliases});
    });
  };
  const auto swapped = update({.metrics = 78, .traces = 77});
  ASSERT_TRUE(swapped) << swapped.error().message;
  EXPECT_EQ(swapped->aliases, (StackAliases{.metrics = 78, .logs = {}, .traces = 77}));
  ASSERT_TRUE(update({.logs = 79, .traces = std::optional<std::uint32_t>()}));
  const auto stored = read([&](state::Transaction& tx) { return read_stack(org_, tx, "a"); });
  EXPECT_EQ(stored->aliases, (StackAliases{.metrics = 78, .logs = 79, .traces = {}}));
  const auto own = update({.metrics = made->id.value()});
  ASSERT_TRUE(own);
  EXPECT_FALSE(own->aliases.metrics) << "the instance id is no alias";
  const auto records = audit_.read({.event = "stack.updated"});
  ASSERT_TRUE(records);
  EXPECT_EQ(records->back().event.changes.front().field, "metricsId");
  EXPECT_EQ(records->back().event.changes.front().before, "77");
  EXPECT_EQ(records->back().event.changes.front().after, "78");
}

TEST_F(StacksTest, ANumberMeansOneStackAndSignal) {
  ASSERT_TRUE(create({.slug = "a", .aliases = {.metrics = 77}}));
  const auto refusal = [&](const StackAliasChanges& aliases) {
    const auto made = create({.slug = "b", .aliases = aliases});
    return made ? "" : made.error().message;
  };
  EXPECT_EQ(refusal({.logs = 77}), "logsId: 77 is the id of another stack or signal");
  EXPECT_EQ(refusal({.metrics = foreign_stack_.value()}),
            "metricsId: 1000001 is the id of another stack or signal");
  EXPECT_EQ(refusal({.metrics = 5, .traces = 5}),
            "tracesId: 5 is the id of another stack or signal");
  EXPECT_NE(refusal({.metrics = 0}), "");
  ASSERT_TRUE(remove("a"));
  EXPECT_EQ(refusal({.logs = 77}), "") << "free when its stack is gone";
}

TEST_F(StacksTest, ANewStackNeverGetsAnAliasAsItsId) {
  const auto first = create({.slug = "a", .aliases = {.metrics = 1'000'003, .logs = 1'000'004}});
  ASSERT_TRUE(first);
  ASSERT_EQ(first->id, StackId(1'000'002));
  const auto second = create({.slug = "b"});
  ASSERT_TRUE(second);
  EXPECT_EQ(second->id, StackId(1'000'005));
}

TEST_F(StacksTest, ProtectionHoldsUntilItIsTakenOff) {
  ASSERT_TRUE(create({.slug = "kept", .has_delete_protection = true}));
  const auto refused = remove("kept");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::FailedPrecondition);
  ASSERT_TRUE(change(admin(), [&](ControlChange& change) {
    return update_stack(org_, change, "kept", {.has_delete_protection = false});
  }));
  EXPECT_TRUE(remove("kept"));
}

TEST_F(StacksTest, OtherOrganisationsStacksAreNotThere) {
  const auto foreign = remove("foreign");
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, Code::NotFound);
}

TEST(StackSettings, ReadBack) {
  const auto settings = parse_stack_settings(
      R"({"retention":"30d","retentionBytes":1024,"spanMetrics":false,"limits":{"activeSeriesMax":7,"labelsPerSeriesMax":null}})",
      "settings");
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->retention_ms, std::int64_t{30} * 24 * 3600 * 1000);
  EXPECT_EQ(settings->active_series_max, 7U);
  EXPECT_FALSE(settings->labels_per_series_max);
  EXPECT_EQ(settings->span_metrics, false);
  EXPECT_EQ(*parse_stack_settings(format_stack_settings(*settings), "settings"), *settings);
  EXPECT_EQ(format_stack_settings({}), "{}");
}

TEST(StackSettings, MistakesNameTheirPath) {
  const auto path = [](std::string_view json) {
    const auto settings = parse_stack_settings(json, "settings");
    return settings ? std::string("ok") : settings.error().fields.at(0).path;
  };
  EXPECT_EQ(path(R"({"retention":30})"), "settings.retention");
  EXPECT_EQ(path(R"({"retension":"30d"})"), "settings.retension");
  EXPECT_EQ(path(R"({"limits":{"activeSeriesMax":-1}})"), "settings.limits.activeSeriesMax");
  EXPECT_EQ(path(R"({"limits":{"labelsPerSeriesMax":4294967296}})"),
            "settings.limits.labelsPerSeriesMax");
  EXPECT_EQ(path(R"({"limits":[]})"), "settings.limits");
  EXPECT_EQ(path(R"({"spanMetrics":1})"), "settings.spanMetrics");
  EXPECT_EQ(path("[]"), "settings");
}

}  // namespace
}  // namespace gantry::access
