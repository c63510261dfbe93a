#include "access/read_summary.h"

#include "access/testing/directory_fixture.h"

namespace gantry::access {
namespace {

class ReadSummaryTest : public DirectoryFixture {
 protected:
  static Principal principal(std::string token_id) {
    Principal made = system_principal(OrgId(1), StackId(1'000'000), {Scope::MetricsRead});
    made.token_id = std::move(token_id);
    made.policy_name = "grafana";
    return made;
  }

  std::vector<std::string> written() {
    EXPECT_TRUE(audit_.flush());
    std::vector<std::string> lines;
    for (const AuditRecord& record : *audit_.read({})) {
      std::string line = record.event.event + " " + record.event.actor.id;
      for (const AuditChange& change : record.event.changes)
        line += " " + change.field + "=" + change.after;
      lines.push_back(line);
    }
    return lines;
  }

  core::MetricRegistry registry_;
  AuditLog audit_{*db_, clock_, registry_, {}};
  ReadSummaries summaries_{audit_, clock_, {.queries_max = 2}};
};

TEST_F(ReadSummaryTest, SumsUpByToken) {
  const ReadSummaries::Read query{.endpoint = "/q", .bytes = 10, .query_hash = 0xab, .ip = "::1"};
  summaries_.add(principal("a"), query);
  summaries_.add(principal("a"), query);
  summaries_.add(principal("a"), {.endpoint = "/labels", .status = 400, .bytes = 5});
  summaries_.add(principal("b"), {.endpoint = "/labels"});
  summaries_.flush(false);
  EXPECT_EQ(written().size(), 0U) << "the interval is not over";
  clock_.advance(DurationMs{300'000});
  summaries_.flush(false);
  EXPECT_EQ(written(), (std::vector<std::string>{
                           "data.read b requests /labels=1 errors=0 bytes=0",
                           "data.read a requests /labels=1 requests /q=2 errors=1 bytes=25 query "
                           "00000000000000ab=2"}));
  summaries_.flush(true);
  EXPECT_EQ(written().size(), 2U) << "nothing new";
}

TEST_F(ReadSummaryTest, BoundsTheQueriesAndShowsTheTop) {
  for (std::uint64_t hash = 1; hash <= 3; ++hash)
    for (std::uint64_t i = 0; i < hash; ++i)
      summaries_.add(principal("a"), {.endpoint = "/q", .query_hash = hash});
  summaries_.flush(true);
  EXPECT_EQ(written(), std::vector<std::string>{"data.read a requests /q=6 errors=0 bytes=0 query "
                                                "0000000000000002=2 query 0000000000000001=1"});
}

}  // namespace
}  // namespace gantry::access
