#include "access/scope.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace gantry::access {
namespace {

TEST(ScopeTest, EveryNameIsDistinctAndReadsBack) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kScopeCount; ++i) {
    const auto scope = static_cast<Scope>(i);
    const std::string_view name = scope_name(scope);
    EXPECT_EQ(std::ranges::count(name, ':'), 1) << name;
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_EQ(parse_scope(name), scope);
  }
}

TEST(ScopeTest, ThereAreNoWildcards) {
  for (const std::string_view name : {"*", "metrics:*", "admin:*", "", "metrics", "Metrics:read"})
    EXPECT_EQ(parse_scope(name), std::nullopt) << name;
}

TEST(ScopeTest, ASetHoldsWhatWasAdded) {
  ScopeSet set{Scope::MetricsRead, Scope::AuditRead};
  EXPECT_TRUE(set.contains(Scope::MetricsRead));
  EXPECT_TRUE(set.contains(Scope::AuditRead));
  EXPECT_FALSE(set.contains(Scope::MetricsWrite));
  EXPECT_TRUE(ScopeSet().is_empty());
}

TEST(ScopeTest, OnlySendersGetABasicChallenge) {
  EXPECT_TRUE(is_write_scope(Scope::MetricsWrite));
  EXPECT_TRUE(is_write_scope(Scope::TracesWrite));
  EXPECT_FALSE(is_write_scope(Scope::MetricsRead));
  EXPECT_FALSE(is_write_scope(Scope::AccessPoliciesWrite));
}

}  // namespace
}  // namespace gantry::access
