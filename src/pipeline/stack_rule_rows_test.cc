#include "pipeline/stack_rule_rows.h"

#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "access/stacks.h"
#include "access/testing/control_fixture.h"

namespace gantry::pipeline {
namespace {

using access::ControlChange;
using access::ControlPrincipal;
using access::ControlResult;
using access::Scope;

StackRules rules_of(std::string_view json) {
  return StackRulesBody::parse(json)->apply({}).value_or(StackRules());
}

class StackRuleRowsTest : public access::ControlFixture {
 protected:
  ControlResult<StoredRules> save(std::string_view json, const ControlPrincipal& who,
                                  std::optional<std::int64_t> version = {}) {
    const StackRules rules = rules_of(json);
    return change(who, [&](ControlChange& change) {
      return save_stack_rules(org_, change, {.stack = stack_, .rules = rules, .version = version});
    });
  }

  StoredRules read_own() {
    const auto stored =
        read([&](state::Transaction& tx) { return read_stack_rules(org_, tx, stack_); });
    EXPECT_TRUE(stored) << (stored ? "" : stored.error().message);
    return stored.value_or(StoredRules());
  }

  std::vector<StoredRules> list_all() {
    const auto all = read([](state::Transaction& tx) { return list_all_stack_rules(tx); });
    EXPECT_TRUE(all) << (all ? "" : all.error().message);
    return all.value_or(std::vector<StoredRules>());
  }

  /// "event field before>after …" of all events of the stack, oldest first.
  std::vector<std::string> audit() {
    const auto records = audit_.read({});
    EXPECT_TRUE(records);
    std::vector<std::string> texts;
    for (auto it = records->rbegin(); it != records->rend(); ++it) {
      if (it->event.target.type != "pipeline") continue;
      EXPECT_EQ(it->event.stack, stack_);
      std::string text = it->event.event;
      for (const access::AuditChange& one : it->event.changes)
        text += fmt::format(" {} {}>{}", one.field, one.before, one.after);
      texts.push_back(std::move(text));
    }
    return texts;
  }
};

constexpr std::string_view kRelabel =
    R"({"sampling_rate":0.25,"metric_relabel_configs":[{"regex":"pod","action":"labeldrop"}]})";

TEST_F(StackRuleRowsTest, AStackHasNoRulesAtFirst) {
  const StoredRules stored = read_own();
  EXPECT_EQ(stored.version, 0);
  EXPECT_TRUE(stored.rules.spares_spans() && stored.rules.spares_samples());
  EXPECT_TRUE(list_all().empty());
}

TEST_F(StackRuleRowsTest, WhatIsSavedIsRead) {
  const auto saved = save(kRelabel, admin());
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_EQ(saved->version, 1);
  EXPECT_EQ(saved->updated_at, clock_.now());
  const StoredRules stored = read_own();
  EXPECT_EQ(stored.version, 1);
  EXPECT_EQ(stored.rules.sampling_rate, 0.25);
  telemetry::Labels labels = {{.name = "__name__", .value = "up"}, {.name = "pod", .value = "1"}};
  EXPECT_TRUE(stored.rules.metric_relabel.apply(labels));
  EXPECT_EQ(labels.size(), 1U);
  ASSERT_EQ(list_all().size(), 1U);
  EXPECT_EQ(list_all()[0].stack, stack_);
}

TEST_F(StackRuleRowsTest, VersionsNeverComeTwice) {
  ASSERT_TRUE(save(kRelabel, admin(), 0));
  ASSERT_TRUE(save(kRelabel, admin()));
  EXPECT_EQ(read_own().version, 1) << "nothing has changed";
  ASSERT_TRUE(save("{}", admin(), 1));
  EXPECT_EQ(read_own().version, 2) << "cleared";
  const auto late = save(kRelabel, admin(), 1);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::AlreadyExists);
  EXPECT_EQ(late.error().message, "somebody else has just changed the rules of the stack");
  EXPECT_TRUE(read_own().rules.spares_spans());
}

TEST_F(StackRuleRowsTest, TheAuditLogSaysWhatChangedAndQuotesNoRule) {
  ASSERT_TRUE(save(kRelabel, admin()));
  ASSERT_TRUE(save(R"({"privacy_mode":true,"metric_relabel_configs":[]})", admin()));
  ASSERT_TRUE(save("{}", admin()));
  EXPECT_EQ(audit(),
            (std::vector<std::string>{"pipeline.updated metric_relabel_configs unset>set",
                                      "sampling.changed sampling_rate 1>0.25",
                                      "pipeline.updated metric_relabel_configs set>changed",
                                      "privacy_mode.changed privacy_mode false>true",
                                      "sampling.changed sampling_rate 0.25>1",
                                      "pipeline.updated metric_relabel_configs set>unset",
                                      "privacy_mode.changed privacy_mode true>false"}));
}

TEST_F(StackRuleRowsTest, AnotherOrganisationHasNoneOfIt) {
  ASSERT_TRUE(save(kRelabel, admin()));
  const auto read_by_other =
      read([&](state::Transaction& tx) { return read_stack_rules(other_org_, tx, stack_); });
  ASSERT_TRUE(read_by_other);
  EXPECT_EQ(read_by_other->version, 0);
  const StackRules none;
  const auto saved_by_other =
      change(access::system_control_principal(other_org_), [&](ControlChange& change) {
        return save_stack_rules(other_org_, change,
                                {.stack = stack_, .rules = none, .version = {}});
      });
  ASSERT_FALSE(saved_by_other);
  EXPECT_EQ(saved_by_other.error().code, Code::NotFound);
  EXPECT_EQ(read_own().version, 1);
}

TEST_F(StackRuleRowsTest, WhoSeesAPartOfAStackHasNoSayInAllOfIt) {
  ControlPrincipal who = token_with({Scope::PipelinesWrite});
  who.realms = {{.type = access::Realm::Type::Stack,
                 .identifier = foreign_stack_.value(),
                 .label_policies = {}}};
  const auto saved = save(kRelabel, who);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Code::PermissionDenied);
}

TEST_F(StackRuleRowsTest, TheRulesOfAStackThatIsGoneAreNotApplied) {
  ASSERT_TRUE(save(kRelabel, admin()));
  ASSERT_TRUE(change(admin(), [&](ControlChange& change) {
    return access::delete_stack(org_, change, std::to_string(stack_.value()));
  }));
  EXPECT_TRUE(list_all().empty());
}

}  // namespace
}  // namespace gantry::pipeline
