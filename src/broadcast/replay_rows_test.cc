#include "broadcast/replay_rows.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "broadcast/testing/replay_fixture.h"

namespace gantry::broadcast {
namespace {

using access::ControlChange;

class ReplayRowsTest : public testing::ReplayFixture {
 protected:
  std::vector<Replay> running(std::string_view replica = "") {
    auto listed = read([&](state::Transaction& tx) { return list_running_replays(tx, replica); });
    EXPECT_TRUE(listed) << (listed ? "" : listed.error().message);
    return listed ? *std::move(listed) : std::vector<Replay>();
  }

  bool save(const Replay& replay) {
    auto tx = db_->begin_write();
    EXPECT_TRUE(tx);
    const auto saved = save_replay(*tx, replay, clock_.now());
    EXPECT_TRUE(saved) << (saved ? "" : saved.error().message);
    EXPECT_TRUE(tx->commit());
    return saved && *saved;
  }
};

TEST_F(ReplayRowsTest, OneGoesFromItsStartToItsEnd) {
  const std::string id = add_destination();
  EXPECT_FALSE(find(id));
  const auto begun = start(id, 5000);
  ASSERT_TRUE(begun) << begun.error().message;
  EXPECT_EQ(begun->stack, stack_);
  EXPECT_EQ(begun->position, (traces::TracePosition{.start_ns = 0}));
  ASSERT_EQ(running().size(), 1U);
  Replay replay = running()[0];
  EXPECT_EQ(replay.id, begun->id);
  EXPECT_EQ(replay.org, org_);

  clock_.advance(DurationMs{7});
  replay.position.start_ns = 1234;
  for (std::uint8_t i = 0; i < 16; ++i) replay.position.trace.bytes.at(i) = 15 * i;
  replay.traces_read = 3;
  replay.traces_queued = 2;
  replay.spans_queued = 9;
  EXPECT_TRUE(save(replay));
  const auto kept = find(id);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->position, replay.position);
  EXPECT_EQ(kept->traces_read, 3U);
  EXPECT_EQ(kept->traces_queued, 2U);
  EXPECT_EQ(kept->spans_queued, 9U);
  EXPECT_EQ(kept->updated_at, clock_.now());
  EXPECT_EQ(kept->created_at, begun->created_at);
  EXPECT_EQ(kept->range.end, TimestampMs{5000});

  replay.state = ReplayState::Failed;
  replay.problem = "why";
  EXPECT_TRUE(save(replay));
  EXPECT_TRUE(running().empty());
  EXPECT_FALSE(save(replay)) << "what is over stays as it is";
  EXPECT_EQ(find(id)->problem, "why");
  ASSERT_TRUE(audit_.flush());
  EXPECT_EQ(events().back(), "destination.replay_started");
}

TEST_F(ReplayRowsTest, OneAtATimeOfADestinationAndAReplica) {
  const std::string id = add_destination();
  const std::string other = add_destination("other");
  const auto begun = start(id);
  ASSERT_TRUE(begun);
  const auto second = start(id);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::FailedPrecondition);
  EXPECT_TRUE(start(other));
  EXPECT_TRUE(start(id, 1000, "elsewhere"));
  EXPECT_EQ(running().size(), 2U);
  EXPECT_EQ(running("elsewhere").size(), 1U);
  EXPECT_TRUE(running("nowhere").empty());
  Replay finished = *begun;
  finished.state = ReplayState::Finished;
  EXPECT_TRUE(save(finished));
  const auto next = start(id);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_FALSE(save(*begun)) << "that was the one before";
  EXPECT_EQ(find(id)->state, ReplayState::Running);
  EXPECT_EQ(find(id, "elsewhere")->state, ReplayState::Running);
}

TEST_F(ReplayRowsTest, WhatIsCancelledCannotBeSaved) {
  const std::string id = add_destination();
  EXPECT_EQ(cancel(id).error().code, Code::NotFound);
  const auto begun = start(id);
  const auto cancelled = cancel(id);
  ASSERT_TRUE(cancelled) << cancelled.error().message;
  EXPECT_EQ(cancelled->state, ReplayState::Cancelled);
  EXPECT_FALSE(save(*begun));
  EXPECT_TRUE(running().empty());
  EXPECT_EQ(cancel(id)->id, begun->id) << "again: nothing happens";
  ASSERT_TRUE(audit_.flush());
  const std::vector<std::string> all = events();
  EXPECT_EQ(all.back(), "destination.replay_cancelled");
  EXPECT_EQ(std::ranges::count(all, all.back()), 1);
}

TEST_F(ReplayRowsTest, EndsWithItsDestination) {
  const std::string id = add_destination();
  const auto begun = start(id);
  ASSERT_TRUE(start(id, 1000, "elsewhere"));
  remove_destination(id);
  EXPECT_TRUE(running().empty());
  EXPECT_TRUE(running("elsewhere").empty());
  EXPECT_FALSE(save(*begun));
  EXPECT_FALSE(find(id));
  EXPECT_EQ(outcome(*begun), "cancelled: the destination was deleted");
  EXPECT_EQ(start(id).error().code, Code::NotFound);
}

TEST_F(ReplayRowsTest, EndsWithItsStack) {
  const auto begun = start(add_destination());
  ASSERT_TRUE(begun);
  remove_stack();
  EXPECT_TRUE(running().empty());
  EXPECT_FALSE(save(*begun));
  EXPECT_EQ(outcome(*begun), "cancelled: the stack was deleted");
}

TEST_F(ReplayRowsTest, EndsWhenItsDestinationTakesItNoMore) {
  const auto disable = [](Destination& destination) { destination.is_enabled = false; };
  const auto take = [](SignalSet signals) {
    return [signals](Destination& destination) { destination.config.signals = signals; };
  };
  const auto become = [](DestinationType type) {
    return [type](Destination& destination) {
      destination.type = type;
      destination.config = default_config(type);
      destination.config.url = "https://hub.example.com/push";
    };
  };

  struct Case {
    std::string_view name;
    std::function<void(Destination&)> edit;
    std::string_view expected;
  };

  const std::vector<Case> cases = {
      {"disabled", disable, "cancelled: the destination was disabled"},
      {"traces only", take({.traces = true, .metrics = false}),
       "cancelled: the destination takes no metrics any more"},
      {"metrics only", take({.traces = false, .metrics = true}),
       "cancelled: the destination takes no traces any more"},
      {"of another type", become(DestinationType::Influx),
       "cancelled: the destination takes no traces any more"},
      {"renamed", [](Destination& destination) { destination.name = "other"; }, "running: "},
  };
  for (const Case& each : cases) {
    const std::string id = add_metric_destination(each.name, {.traces = true, .metrics = true});
    const auto begun = start(id);
    const auto elsewhere = start(id, 1000, "elsewhere");
    ASSERT_TRUE(begun && elsewhere) << each.name;
    edit_destination(id, each.edit);
    EXPECT_EQ(outcome(*begun), each.expected) << each.name;
    EXPECT_EQ(outcome(*elsewhere), each.expected) << each.name;
    EXPECT_EQ(find(id)->problem.empty(), each.expected == "running: ") << each.name;
    remove_destination(id);
  }
  ASSERT_TRUE(audit_.flush());
  EXPECT_EQ(std::ranges::count(events(), "destination.replay_cancelled"), 8);
}

TEST_F(ReplayRowsTest, GoesOnWithoutASignalThatHasAllBeenSent) {
  const std::string id = add_metric_destination("both", {.traces = true, .metrics = true});
  const auto begun = start(id, 5000);
  ASSERT_TRUE(begun);
  Replay replay = *begun;
  replay.sample_position.slice_ms = 5000;
  EXPECT_TRUE(save(replay));
  edit_destination(id, [](Destination& destination) { destination.config.signals = {}; });
  EXPECT_EQ(outcome(*begun), "running: ");
}

TEST_F(ReplayRowsTest, StartsOnlyWhatTheCallerHasAndTheDestinationTakes) {
  const std::string off = add_destination("off", false);
  EXPECT_EQ(start(off).error().code, Code::FailedPrecondition);
  const std::string id = add_destination();
  ASSERT_TRUE(start(id));
  const auto stranger = access::system_control_principal(other_org_);
  const auto foreign = change(
      stranger, [&](ControlChange& change) { return cancel_replay(other_org_, change, "", id); });
  EXPECT_EQ(foreign.error().code, Code::NotFound);
  const auto seen =
      read([&](state::Transaction& tx) { return find_replay(other_org_, tx, "", id); });
  ASSERT_TRUE(seen);
  EXPECT_FALSE(*seen);
  auto partly = token_with({access::Scope::DestinationsWrite});
  partly.realms = {{.type = access::Realm::Type::Stack,
                    .identifier = foreign_stack_.value(),
                    .label_policies = {}}};
  const auto refused =
      change(partly, [&](ControlChange& change) { return cancel_replay(org_, change, "", id); });
  EXPECT_EQ(refused.error().code, Code::PermissionDenied);
  EXPECT_EQ(find(id)->state, ReplayState::Running);
}

TEST_F(ReplayRowsTest, CoversWhatTheDestinationTakes) {
  const auto traces = start(add_destination("traces"), 5000);
  ASSERT_TRUE(traces);
  EXPECT_FALSE(has_ended(*traces, Signal::Spans));
  EXPECT_TRUE(has_ended(*traces, Signal::Metrics));
  const auto metrics =
      start(add_metric_destination("metrics", {.traces = false, .metrics = true}), 5000);
  ASSERT_TRUE(metrics);
  EXPECT_TRUE(has_ended(*metrics, Signal::Spans));
  EXPECT_FALSE(has_ended(*metrics, Signal::Metrics));
  EXPECT_EQ(reached(*metrics), TimestampMs{0});
  const auto both = start(add_metric_destination("both", {.traces = true, .metrics = true}), 5000);
  ASSERT_TRUE(both);
  EXPECT_FALSE(has_ended(*both, Signal::Spans));
  EXPECT_FALSE(has_ended(*both, Signal::Metrics));
}

TEST_F(ReplayRowsTest, KeepHowFarTheMetricsHaveCome) {
  const std::string id = add_metric_destination("both", {.traces = true, .metrics = true});
  ASSERT_TRUE(start(id, 5000));
  Replay replay = running()[0];
  replay.position.start_ns = 3'000'000'000;
  replay.sample_position = {.slice_ms = 4000, .group = ~std::uint64_t{0} >> 1};
  replay.samples_read = 11;
  replay.samples_queued = 7;
  EXPECT_TRUE(save(replay));
  const auto kept = find(id);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->sample_position, replay.sample_position);
  EXPECT_EQ(kept->samples_read, 11U);
  EXPECT_EQ(kept->samples_queued, 7U);
  EXPECT_EQ(reached(*kept), TimestampMs{3000}) << "the traces are behind";
}

TEST(ReplayRange, IsCutAtNowAndNotEmpty) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  const TimestampMs now{1000};
  const auto cut = checked_range({.start = {-5}, .end = {2000}}, now);
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->start, TimestampMs{0});
  EXPECT_EQ(cut->end, now);
  for (const auto& [start, end] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{5, 5}, {6, 5}, {1000, 2000}, {0, -1}})
    EXPECT_FALSE(checked_range({.start = {start}, .end = {end}}, now)) << start << " " << end;
  const auto late = checked_range({.start = {0}, .end = {kMax}}, {kMax});
  ASSERT_TRUE(late);
  EXPECT_GT(end_ns(*late), 0);
}

}  // namespace
}  // namespace gantry::broadcast
