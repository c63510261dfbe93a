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
      R"({"retention":"30d","retentionBytes":1024,"limits":{"activeSeriesMax":7,"labelsPerSeriesMax":null}})",
      "settings");
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->retention_ms, std::int64_t{30} * 24 * 3600 * 1000);
  EXPECT_EQ(settings->active_series_max, 7U);
  EXPECT_FALSE(settings->labels_per_series_max);
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
  EXPECT_EQ(path("[]"), "settings");
}

}  // namespace
}  // namespace gantry::access
