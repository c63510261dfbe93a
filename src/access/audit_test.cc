#include "access/audit.h"

#include <thread>

#include "access/testing/directory_fixture.h"

namespace gantry::access {
namespace {

class AuditTest : public DirectoryFixture {
 protected:
  AuditTest() { open({}); }

  void open(const AuditLog::Options& options) {
    audit_ = std::make_unique<AuditLog>(*db_, clock_, registry_, options);
  }

  static AuditEvent event(std::string name, std::string target = "") {
    return {.event = std::move(name),
            .actor = {.type = Actor::Type::User, .id = "u1", .name = "admin"},
            .org = OrgId(7),
            .stack = StackId(1'000'000),
            .target = {.type = "token", .id = std::move(target), .name = "t"},
            .client = {.ip = "10.0.0.1", .user_agent = "curl/8\n", .request_id = "r1"},
            .session_hash = "ab",
            .changes = {{.field = "status", .before = "active", .after = "in\"active"}},
            .reason = "why"};
  }

  void append(const AuditEvent& event) {
    write([&](state::Transaction& tx) { return audit_->append(tx, event); });
  }

  std::vector<std::string> names(const AuditQuery& query) {
    std::vector<std::string> names;
    const auto records = audit_->read(query);
    EXPECT_TRUE(records);
    for (const AuditRecord& record : *records) names.push_back(record.event.event);
    return names;
  }

  void execute(std::string_view sql) {
    write([&](state::Transaction& tx) { return tx.execute(sql); });
  }

  core::MetricRegistry registry_;
  std::unique_ptr<AuditLog> audit_;
};

using Names = std::vector<std::string>;

TEST_F(AuditTest, GivesBackWhatWasAppended) {
  append(event("token.created", "t1"));
  const auto records = audit_->read({});
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 1U);
  const AuditRecord& record = records->front();
  EXPECT_EQ(record.id, 1);
  EXPECT_EQ(record.time, kTestStart);
  EXPECT_EQ(record.hash.size(), 64U);
  EXPECT_EQ(record.event.event, "token.created");
  EXPECT_EQ(record.event.outcome, Outcome::Ok);
  EXPECT_EQ(record.event.actor.type, Actor::Type::User);
  EXPECT_EQ(record.event.actor.name, "admin");
  EXPECT_EQ(record.event.org, OrgId(7));
  EXPECT_EQ(record.event.stack, StackId(1'000'000));
  EXPECT_EQ(record.event.target.id, "t1");
  EXPECT_EQ(record.event.client.user_agent, "curl/8\n");
  EXPECT_EQ(record.event.session_hash, "ab");
  ASSERT_EQ(record.event.changes.size(), 1U);
  EXPECT_EQ(record.event.changes[0].after, "in\"active");
  EXPECT_EQ(record.event.reason, "why");
}

TEST_F(AuditTest, IsPartOfTheAct) {
  {
    auto tx = directory_->begin_write();
    ASSERT_TRUE(tx);
    ASSERT_TRUE(audit_->append(*tx, event("token.created")));
  }
  EXPECT_EQ(names({}), Names());
}

TEST_F(AuditTest, FindsByEveryCondition) {
  append(event("token.created", "t1"));
  clock_.advance(DurationMs{1000});
  AuditEvent other = event("stack.created", "s1");
  other.org = OrgId(8);
  other.actor.name = "eve";
  append(other);
  clock_.advance(DurationMs{1000});
  AuditEvent system = event("startup");
  system.org.reset();
  append(system);

  EXPECT_EQ(names({}), (Names{"startup", "stack.created", "token.created"}));
  EXPECT_EQ(names({.org = OrgId(7)}), Names{"token.created"});
  EXPECT_EQ(names({.event = "token."}), Names{"token.created"});
  EXPECT_EQ(names({.event = "token"}), Names());
  EXPECT_EQ(names({.event = "token.created"}), Names{"token.created"});
  EXPECT_EQ(names({.actor = "eve"}), Names{"stack.created"});
  EXPECT_EQ(names({.target = "t1"}), Names{"token.created"});
  EXPECT_EQ(names({.from = TimestampMs{kTestStart.since_epoch + 1000},
                   .to = TimestampMs{kTestStart.since_epoch + 2000}}),
            Names{"stack.created"});
  EXPECT_EQ(names({.before_id = 3, .limit = 1}), Names{"stack.created"});
}

TEST_F(AuditTest, NoticesAChangedRow) {
  for (int i = 0; i < 5; ++i) append(event("token.created", std::to_string(i)));
  EXPECT_FALSE(audit_->check()->broken_id);
  EXPECT_EQ(audit_->check()->checked, 5);
  execute("UPDATE audit_events SET actor_name = 'mallory' WHERE id = 3");
  EXPECT_EQ(audit_->check()->broken_id, 3);
}

TEST_F(AuditTest, NoticesAMissingRow) {
  for (int i = 0; i < 5; ++i) append(event("token.created", std::to_string(i)));
  execute("DELETE FROM audit_events WHERE id = 3");
  EXPECT_EQ(audit_->check()->broken_id, 4);
}

TEST_F(AuditTest, ChecksMoreThanABatch) {
  write([&](state::Transaction& tx) -> Result<void> {
    for (int i = 0; i < 2500; ++i) GANTRY_CHECK(audit_->append(tx, event("token.created")));
    return {};
  });
  EXPECT_EQ(audit_->check()->checked, 2500);
  execute("UPDATE audit_events SET reason = '' WHERE id = 2400");
  EXPECT_EQ(audit_->check()->broken_id, 2400);
}

TEST_F(AuditTest, ExpiresOldRowsAndKeepsTheChain) {
  append(event("a.old"));
  append(event("b.old"));
  clock_.advance(DurationMs{std::int64_t{401} * 24 * 3600 * 1000});
  append(event("c.new"));
  ASSERT_TRUE(audit_->expire());
  EXPECT_EQ(names({}), Names{"c.new"});
  EXPECT_FALSE(audit_->check()->broken_id);
  clock_.advance(DurationMs{std::int64_t{401} * 24 * 3600 * 1000});
  ASSERT_TRUE(audit_->expire());
  append(event("d.new"));
  EXPECT_EQ(names({}), (Names{"d.new", "c.new"})) << "the newest row stays as the chain's end";
  EXPECT_FALSE(audit_->check()->broken_id);
}

TEST_F(AuditTest, WritesWhatWasNotedWhenFlushed) {
  audit_->note(event("authz.denied"));
  clock_.advance(DurationMs{5000});
  EXPECT_EQ(names({}), Names());
  ASSERT_TRUE(audit_->flush());
  const auto records = audit_->read({});
  ASSERT_EQ(records->size(), 1U);
  EXPECT_EQ(records->front().time, kTestStart) << "when it happened, not when it was written";
}

TEST_F(AuditTest, TakesWhateverClientsSend) {
  AuditEvent odd = event("authz.denied");
  odd.client.user_agent = std::string("a\xff\0b", 4);
  odd.changes = {{.field = "name", .before = "\xc3", .after = std::string(1, '\0')}};
  audit_->note(odd);
  audit_->note(event("authz.denied"));
  ASSERT_TRUE(audit_->flush());
  const auto records = audit_->read({});
  ASSERT_EQ(records->size(), 2U);
  EXPECT_EQ(records->back().event.client.user_agent,
            "a\xef\xbf\xbd\xef\xbf\xbd"
            "b");
  EXPECT_FALSE(audit_->check()->broken_id);
}

TEST_F(AuditTest, SamplesByKey) {
  for (int i = 0; i < 3; ++i) audit_->note_sampled("t1 expired", event("auth.token_rejected"));
  audit_->note_sampled("t2 expired", event("auth.token_rejected"));
  clock_.advance(DurationMs{60'000});
  audit_->note_sampled("t1 expired", event("auth.token_rejected"));
  ASSERT_TRUE(audit_->flush());
  EXPECT_EQ(names({}).size(), 3U);
}

TEST_F(AuditTest, AKeyMayBeHeldBackForLonger) {
  const DurationMs day{std::int64_t{24} * 3600 * 1000};
  const auto note = [&] { audit_->note_sampled("k1", event("auth.legacy_key_used"), day); };
  note();
  clock_.advance(DurationMs{day.count - 1});
  note();
  ASSERT_TRUE(audit_->flush());
  EXPECT_EQ(names({}).size(), 1U);
  clock_.advance(DurationMs{1});
  note();
  ASSERT_TRUE(audit_->flush());
  EXPECT_EQ(names({}).size(), 2U);
}

TEST_F(AuditTest, BoundsWhatItHoldsAndCountsTheLoss) {
  open({.queue_max = 2, .sample_keys_max = 3});
  for (int i = 0; i < 3; ++i) audit_->note(event("x.y"));
  for (int i = 0; i < 5; ++i) audit_->note_sampled(std::to_string(i), event("x.y"));
  ASSERT_TRUE(audit_->flush());
  EXPECT_EQ(names({}).size(), 2U);
  EXPECT_EQ(registry_.counter("gantry_audit_lost_total", "").value(), 6U);
}

TEST_F(AuditTest, KeepsOneChainUnderConcurrentWriters) {
  std::vector<std::jthread> writers;
  writers.reserve(4);
  for (int i = 0; i < 4; ++i)
    writers.emplace_back([&] {
      for (int j = 0; j < 25; ++j) {
        audit_->note(event("x.y"));
        EXPECT_TRUE(audit_->flush());
      }
    });
  writers.clear();
  ASSERT_TRUE(audit_->flush());
  EXPECT_EQ(audit_->check()->checked, 100);
  EXPECT_FALSE(audit_->check()->broken_id);
}

TEST_F(AuditTest, AFlushThatFailsLosesNothingAndIsRetried) {
  audit_->note(event("first"));
  audit_->note(event("second"));
  execute("ALTER TABLE audit_events RENAME TO audit_events_away");
  EXPECT_FALSE(audit_->flush());
  audit_->note(event("third"));
  EXPECT_FALSE(audit_->flush());
  execute("ALTER TABLE audit_events_away RENAME TO audit_events");
  EXPECT_EQ(names({}), Names()) << "nothing was half written";
  ASSERT_TRUE(audit_->flush());
  EXPECT_EQ(names({}), (Names{"third", "second", "first"}));
  EXPECT_FALSE(audit_->check()->broken_id);
}

}  // namespace
}  // namespace gantry::access
