#include "access/token_expiry.h"

#include <algorithm>

#include "access/testing/control_fixture.h"

namespace gantry::access {
namespace {

constexpr std::int64_t kDayMs = std::int64_t{24} * 3600 * 1000;

constexpr DurationMs days(std::int64_t count) {
  return {count * kDayMs};
}

class TokenExpiryTest : public ControlFixture {
 protected:
  IssuedToken token(std::string_view name, std::optional<DurationMs> lifetime) {
    if (!policy_) policy_ = make_policy(draft("reader"));
    return make_token(*policy_, name,
                      lifetime ? std::optional(clock_.now() + *lifetime) : std::nullopt);
  }

  void look() { EXPECT_TRUE(expiry_.look()); }

  /// "token.expiring games: expires within 7 days", oldest first.
  std::vector<std::string> said() {
    std::vector<std::string> said;
    for (const std::string event : {"token.expiring", "token.expired"})
      for (const AuditRecord& record : audit_.read({.event = event}).value())
        said.push_back(event + " " + record.event.target.name + ": " + record.event.reason);
    std::ranges::reverse(said);
    return said;
  }

  /// Absent when there is none.
  std::optional<double> gauge(const std::string& token_id) {
    for (const core::CollectedFamily& family : registry_.collect())
      for (const core::CollectedSample& sample : family.samples)
        if (sample.name == "gantry_token_expires_in_seconds" &&
            sample.labels == core::MetricLabels{{"token_id", token_id}})
          return sample.value;
    return std::nullopt;
  }

  std::optional<Policy> policy_;
  TokenExpiry expiry_{*db_, audit_, clock_, registry_};
};

using Said = std::vector<std::string>;

TEST_F(TokenExpiryTest, WarnsFourteenSevenAndOneDaysBeforeAndSaysWhenItIsOver) {
  token("games", days(30));
  token("endless", std::nullopt);
  look();
  EXPECT_EQ(said(), Said{});
  clock_.advance(days(16));
  look();
  EXPECT_EQ(said(), Said{"token.expiring games: expires within 14 days"});
  look();
  EXPECT_EQ(said().size(), 1U) << "once";
  clock_.advance(days(7));
  look();
  clock_.advance(days(6));
  look();
  clock_.advance(days(1));
  look();
  look();
  EXPECT_EQ(said(), (Said{"token.expired games: ", "token.expiring games: expires within 14 days",
                          "token.expiring games: expires within 7 days",
                          "token.expiring games: expires within a day"}));
}

TEST_F(TokenExpiryTest, SaysTheMostUrgentOnlyWhenItComesLate) {
  token("games", days(30));
  clock_.advance({29 * kDayMs + 1});
  look();
  EXPECT_EQ(said(), Said{"token.expiring games: expires within a day"});
}

TEST_F(TokenExpiryTest, DoesNotWarnOfWhatWasMadeForSoLong) {
  token("short", {DurationMs{3600 * 1000}});
  token("week", days(7));
  look();
  EXPECT_EQ(said(), Said{});
  clock_.advance(days(6));
  look();
  EXPECT_EQ(said(), (Said{"token.expired short: ", "token.expiring week: expires within a day"}));
}

TEST_F(TokenExpiryTest, EachReplicaKnowsWhatAnotherHasSaid) {
  token("games", days(30));
  clock_.advance(days(20));
  look();
  core::MetricRegistry registry;
  TokenExpiry other(*db_, audit_, clock_, registry);
  EXPECT_TRUE(other.look());
  EXPECT_EQ(said().size(), 1U);
}

TEST_F(TokenExpiryTest, AnotherExpiryStartsAnew) {
  const IssuedToken issued = token("games", days(30));
  clock_.advance(days(20));
  look();
  ASSERT_TRUE(change(admin(), [&](ControlChange& change) {
    return update_token(org_, change, issued.token.id,
                        {.expires_at = std::optional(clock_.now() + days(40))});
  }));
  look();
  EXPECT_EQ(said().size(), 1U);
  clock_.advance(days(30));
  look();
  EXPECT_EQ(said().size(), 2U);
}

TEST_F(TokenExpiryTest, RevokedTokensAreOfNoInterest) {
  const IssuedToken issued = token("games", days(30));
  look();
  ASSERT_TRUE(gauge(issued.token.id));
  ASSERT_TRUE(change(
      admin(), [&](ControlChange& change) { return revoke_token(org_, change, issued.token.id); }));
  clock_.advance(days(20));
  look();
  EXPECT_EQ(said(), Said{});
  EXPECT_FALSE(gauge(issued.token.id));
}

TEST_F(TokenExpiryTest, TheGaugeCountsDownAndEndsAWeekAfterwards) {
  const IssuedToken issued = token("games", days(1));
  const IssuedToken endless = token("endless", std::nullopt);
  look();
  EXPECT_EQ(gauge(issued.token.id), 86'400.0);
  EXPECT_FALSE(gauge(endless.token.id));
  clock_.advance(days(2));
  look();
  EXPECT_EQ(gauge(issued.token.id), -86'400.0);
  clock_.advance(days(7));
  look();
  EXPECT_FALSE(gauge(issued.token.id));
}

}  // namespace
}  // namespace gantry::access
