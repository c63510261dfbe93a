#include "broadcast/broadcaster.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "broadcast/span_views.h"
#include "broadcast/testing/delivery_support.h"
#include "broadcast/testing/fake_destinations.h"
#include "broadcast/testing/quick_broadcaster.h"

namespace gantry::broadcast {
namespace {

using telemetry::AttributeValue;
using testing::answer_with;
using testing::eventually;
using testing::FakeDestinations;
using testing::gantry_destination;
using testing::grafana_destination;

constexpr StackId kStack{7};

/// A span as a receiver got it.
struct Got {
  std::string name;
  std::uint8_t trace = 0;
  std::map<std::string, std::string, std::less<>> attributes;
  double sampling_rate = 1;
};

/// Keeps spans by the instance id that they were sent with, and answers by a status.
class Recorder final : public Transport {
 public:
  std::expected<ExportAnswer, TransportFailure> send(const ExportRequest& request, DurationMs,
                                                     const CancelToken&) override {
    if (status_ != 200) return answer_with(status_);
    std::string body = request.body;
    if (request.headers.find("content-encoding") == "gzip")
      EXPECT_TRUE(codec::decompress(codec::Encoding::Gzip, request.body, {}, body));
    body.reserve(body.size() + codec::kBodyPaddingBytes);
    codec::OtlpTracesDecoder decoder;
    const bool is_json = request.headers.find("content-type") == "application/json";
    EXPECT_TRUE(is_json ? decoder.decode_json(body, codec::kNoOtlpTracesLimits)
                        : decoder.decode_protobuf(body, codec::kNoOtlpTracesLimits));
    const core::Lock lock(mutex_);
    auto& got = got_[std::string(request.headers.find("authorization"))];
    for (const auto& span : decoder.batch().spans) got.push_back(read(decoder.batch(), span));
    return answer_with(200);
  }

  void answer_by(int status) { status_ = status; }

  /// Of the one destination that has sent.
  [[nodiscard]] std::vector<Got> got() const {
    const core::Lock lock(mutex_);
    EXPECT_LE(got_.size(), 1U);
    return got_.empty() ? std::vector<Got>() : got_.begin()->second;
  }

  [[nodiscard]] std::vector<Got> got(const Destination& destination) const {
    const auto request = make_export_request(destination, "");
    EXPECT_TRUE(request);
    const core::Lock lock(mutex_);
    const auto found = got_.find(request->headers.find("authorization"));
    return found == got_.end() ? std::vector<Got>() : found->second;
  }

 private:
  static Got read(const telemetry::SpanBatch& batch, const telemetry::BatchSpan& span) {
    Got got{.name = std::string(span.name), .trace = span.trace_id.bytes.back()};
    for (const auto& attribute : batch.attributes_of(span.attributes))
      got.attributes.emplace(attribute.key, attribute.value.text);
    for (const auto& attribute : batch.attributes_of(batch.resources[span.resource].attributes))
      if (attribute.key == kSamplingRateKey) got.sampling_rate = attribute.value.number;
    return got;
  }

  std::atomic<int> status_ = 200;
  mutable core::Mutex mutex_;
  std::map<std::string, std::vector<Got>, std::less<>> got_ GANTRY_GUARDED_BY(mutex_);
};

class BroadcasterTest : public ::testing::Test {
 protected:
  ~BroadcasterTest() override { broadcaster_.reset(); }

  void open() {
    broadcaster_.reset();
    auto opened =
        open_quick_broadcaster(files_, destinations_, recorder_, time_, *pace_, registry_);
    ASSERT_TRUE(opened) << opened.error().message;
    broadcaster_ = *std::move(opened);
  }

  void start() {
    open();
    const auto started = broadcaster_->start();
    ASSERT_TRUE(started) << started.error().message;
  }

  /// A new span of each trace, called by its number, with a prompt and, unless "", a session.
  void offer_spans(std::initializer_list<std::uint8_t> traces, std::string_view session = "") {
    telemetry::SpanBatch batch;
    add_spans(batch, traces, session);
    for (telemetry::BatchSpan& span : batch.spans) span.start_ns = ++offered_;
    broadcaster_->offer(kStack, batch);
  }

  static void add_spans(telemetry::SpanBatch& batch, std::initializer_list<std::uint8_t> traces,
                        std::string_view session = "") {
    batch.resources.resize(1);
    batch.scopes.resize(1);
    for (const std::uint8_t trace : traces) {
      telemetry::BatchSpan span{.span_id = trace};
      span.trace_id.bytes.back() = trace;
      span.name = batch.arena.copy(std::to_string(trace));
      const auto begin = static_cast<std::uint32_t>(batch.attributes.size());
      add_text(batch, "gen_ai.prompt", "a secret plan");
      add_text(batch, "gen_ai.request.model", "acme/one");
      if (!session.empty()) add_text(batch, "session.id", session);
      span.attributes = {.begin = begin,
                         .count = static_cast<std::uint32_t>(batch.attributes.size()) - begin};
      batch.spans.push_back(span);
    }
  }

  static void add_text(telemetry::SpanBatch& batch, std::string_view key, std::string_view text) {
    batch.attributes.push_back(
        {.key = key,
         .value = {.kind = AttributeValue::Kind::String, .text = batch.arena.copy(text)}});
  }

  /// A call whose span is called after the extras that it was made with.
  void offer_call(std::string_view key_hash, int* builds = nullptr) {
    CallEvent event{.stack = kStack,
                    .facts = {.key_hash = key_hash,
                              .sampling_key = "session_abc",
                              .fields = {.model = "acme/one"}},
                    .build = [&](const GenerationExtras& extras, telemetry::SpanBatch& out) {
                      if (builds != nullptr) ++*builds;
                      out.clear();
                      out.resources.resize(1);
                      out.scopes.resize(1);
                      telemetry::BatchSpan span{.span_id = 1};
                      span.trace_id.bytes.back() = 1;
                      span.name = extras.cost ? "with cost" : "plain";
                      span.attributes = {.begin = 0, .count = 1};
                      add_text(out, "gen_ai.prompt", "a secret plan");
                      out.spans.push_back(span);
                    }};
    broadcaster_->offer(event);
  }

  [[nodiscard]] bool has_got(std::size_t spans) const {
    return eventually([&] { return recorder_.got().size() >= spans; });
  }

  /// Of gantry_broadcast_events_total.
  [[nodiscard]] double events(const Destination& destination, std::string_view result) const {
    for (const core::CollectedFamily& family : registry_.collect()) {
      if (family.name != "gantry_broadcast_events_total") continue;
      for (const core::CollectedSample& sample : family.samples) {
        const core::MetricLabels wanted = {{"destination", destination.id},
                                           {"result", std::string(result)}};
        if (sample.labels == wanted) return sample.value;
      }
    }
    return -1;
  }

  [[nodiscard]] bool comes_to(const Destination& destination, std::string_view result,
                              double count) const {
    return eventually([&] { return events(destination, result) == count; });
  }

  storage::FaultyFileSystem files_;
  testing::FakeTime time_{testing::FakeTime::Mode::Stands};
  std::unique_ptr<Pace> pace_ = make_system_pace();
  core::MetricRegistry registry_;
  FakeDestinations destinations_;
  Recorder recorder_;
  std::unique_ptr<Broadcaster> broadcaster_;
  std::uint64_t offered_ = 0;
};

TEST_F(BroadcasterTest, SendsSpansOfItsStackOnly) {
  destinations_.put(grafana_destination());
  start();
  offer_spans({1, 2});
  telemetry::SpanBatch foreign;
  foreign.resources.resize(1);
  foreign.scopes.resize(1);
  foreign.spans.resize(1);
  broadcaster_->offer(StackId(8), foreign);
  ASSERT_TRUE(has_got(2));
  EXPECT_TRUE(comes_to(grafana_destination(), "sent", 1));
  EXPECT_EQ(recorder_.got().size(), 2U);
  EXPECT_EQ(recorder_.got()[0].attributes["gen_ai.prompt"], "a secret plan");
  EXPECT_EQ(broadcaster_->health(grafana_destination().id).statistics.state, DeliveryState::Active);
}

TEST_F(BroadcasterTest, PrivacyAppliesToWhoAskedForIt) {
  Destination secret = gantry_destination();
  secret.id = "22222222-0000-4000-8000-000000000002";
  secret.config.instance_id = "7";
  secret.is_private = true;
  destinations_.put(grafana_destination());
  destinations_.put(secret);
  start();
  offer_spans({1});
  ASSERT_TRUE(eventually([&] {
    return recorder_.got(secret).size() == 1 && recorder_.got(grafana_destination()).size() == 1;
  }));
  EXPECT_FALSE(recorder_.got(secret)[0].attributes.contains("gen_ai.prompt"));
  EXPECT_EQ(recorder_.got(secret)[0].attributes["gen_ai.request.model"], "acme/one");
  EXPECT_TRUE(recorder_.got(grafana_destination())[0].attributes.contains("gen_ai.prompt"));
}

TEST_F(BroadcasterTest, ContentThatMustNotLeaveIsNeverQueued) {
  Destination secret = grafana_destination();
  secret.is_private = true;
  destinations_.put(secret);
  recorder_.answer_by(503);
  start();
  offer_spans({1});
  offer_call("");
  EXPECT_EQ(broadcaster_->health(secret.id).queue.items, 2U);
  broadcaster_.reset();
  const auto segments = files_.list("/data/broadcast/log");
  ASSERT_TRUE(segments);
  bool has_model = false;
  for (const storage::DirectoryEntry& entry : *segments) {
    if (!entry.name.ends_with(".wal")) continue;
    const auto content = storage::read_file(
        files_, storage::Path("/data/broadcast/log") / entry.name, std::uint64_t{1} << 30);
    ASSERT_TRUE(content);
    const std::string_view text(reinterpret_cast<const char*>(content->data()), content->size());
    EXPECT_FALSE(text.contains("a secret plan"));
    has_model = has_model || text.contains("acme/one");
  }
  EXPECT_TRUE(has_model) << "the log is not what this test takes it for";
}

TEST_F(BroadcasterTest, SamplesWholeTracesAndSaysAtWhatRate) {
  Destination sampled = grafana_destination();
  sampled.sampling_rate = 0.5;
  destinations_.put(sampled);
  start();
  std::vector<std::uint8_t> expected;
  for (std::uint8_t trace = 1; trace <= 50; ++trace) {
    telemetry::TraceId id;
    id.bytes.back() = trace;
    if (decide(sampled, {.key_hash = {}, .sampling_key = trace_id_hex(id), .fields = {}}) ==
        Decision::Taken)
      expected.push_back(trace);
    // Two requests for each trace; the second one's session comes too late to matter.
    offer_spans({trace});
    offer_spans({trace}, "late");
  }
  ASSERT_GT(expected.size(), 5U);
  ASSERT_LT(expected.size(), 45U);
  ASSERT_TRUE(has_got(2 * expected.size()));
  EXPECT_TRUE(comes_to(sampled, "sampled", 2.0 * static_cast<double>(50 - expected.size())));
  std::vector<std::uint8_t> traces;
  for (const Got& got : recorder_.got()) {
    traces.push_back(got.trace);
    EXPECT_EQ(got.sampling_rate, 0.5);
  }
  std::ranges::sort(traces);
  const auto [end, last] = std::ranges::unique(traces);
  traces.erase(end, last);
  EXPECT_EQ(traces, expected);
}

TEST_F(BroadcasterTest, CountsWhatIsNotTakenByWhy) {
  Destination keys = grafana_destination();
  keys.api_key_hashes = {{"key-1"}};
  Destination rules = gantry_destination();
  rules.id = "33333333-0000-4000-8000-000000000003";
  rules.config.instance_id = "8";
  rules.filter_rules_json =
      R"({"groups":[{"logic":"and","rules":[{"field":"model","operator":"equals",
                                             "value":"other"}]}]})";
  auto parsed = FilterRules::parse(rules.filter_rules_json);
  ASSERT_TRUE(parsed) << parsed.error().message;
  rules.filter_rules = *std::move(parsed);
  Destination off = gantry_destination();
  off.id = "44444444-0000-4000-8000-000000000004";
  off.is_enabled = false;
  for (const Destination& destination : {keys, rules, off}) destinations_.put(destination);
  start();
  offer_call("key-1");
  offer_call("key-2");
  offer_spans({1});
  EXPECT_TRUE(comes_to(keys, "sent", 1));
  EXPECT_EQ(events(keys, "key_filtered"), 2) << "no key brought the spans";
  EXPECT_EQ(events(rules, "filtered"), 3);
  EXPECT_EQ(events(off, "disabled"), 3);
  EXPECT_EQ(broadcaster_->health(off.id).statistics.state, DeliveryState::Stopped);
  EXPECT_EQ(broadcaster_->health(off.id).problem, "");
}

TEST_F(BroadcasterTest, BuildsACallOnceForEachCombinationOfExtras) {
  std::vector<Destination> all;
  for (int i = 0; i < 4; ++i) {
    Destination destination = gantry_destination();
    destination.id.back() = static_cast<char>('5' + i);
    destination.config.instance_id = std::to_string(i);
    destination.is_private = i % 2 == 1;
    destination.extras.cost = i >= 2;
    all.push_back(destination);
    destinations_.put(destination);
  }
  start();
  int builds = 0;
  offer_call("", &builds);
  EXPECT_EQ(builds, 2);
  for (const Destination& destination : all) {
    ASSERT_TRUE(eventually([&] { return recorder_.got(destination).size() == 1; }));
    const Got got = recorder_.got(destination)[0];
    EXPECT_EQ(got.name, destination.extras.cost ? "with cost" : "plain");
    EXPECT_EQ(got.attributes.contains("gen_ai.prompt"), !destination.is_private);
  }
}

TEST_F(BroadcasterTest, FollowsDestinationsWhileItRuns) {
  start();
  offer_spans({1});
  destinations_.put(grafana_destination());
  broadcaster_->notify();
  ASSERT_TRUE(eventually([&] {
    return broadcaster_->health(grafana_destination().id).statistics.state == DeliveryState::Active;
  }));
  offer_spans({2});
  ASSERT_TRUE(has_got(1));
  EXPECT_EQ(recorder_.got()[0].trace, 2) << "what was before it is not for it";
  Destination off = grafana_destination();
  off.is_enabled = false;
  destinations_.put(off);
  broadcaster_->notify();
  ASSERT_TRUE(eventually(
      [&] { return broadcaster_->health(off.id).statistics.state == DeliveryState::Stopped; }));
  offer_spans({3});
  EXPECT_EQ(events(off, "disabled"), 1);
  destinations_.put(grafana_destination());
  broadcaster_->notify();
  ASSERT_TRUE(eventually([&] {
    offer_spans({4});
    return recorder_.got().size() >= 2;
  }));
  for (const Got& got : recorder_.got()) EXPECT_NE(got.trace, 3);
}

TEST_F(BroadcasterTest, ADestinationThatGoesTakesItsQueueAndItsLettersAlong) {
  destinations_.put(grafana_destination());
  recorder_.answer_by(400);
  start();
  offer_spans({1});
  const DestinationId id = grafana_destination().id;
  ASSERT_TRUE(eventually([&] { return broadcaster_->health(id).dead_letters.letters == 1; }));
  recorder_.answer_by(503);
  offer_spans({2});
  EXPECT_EQ(broadcaster_->health(id).queue.items, 1U);
  destinations_.remove(id);
  broadcaster_->notify();
  ASSERT_TRUE(comes_to(grafana_destination(), "dropped", 1));
  EXPECT_EQ(broadcaster_->dead_letters(id, std::nullopt, 10)->letters.size(), 0U);
  EXPECT_EQ(events(grafana_destination(), "dead"), 1);
  // And when it went while nobody looked.
  destinations_.put(grafana_destination());
  broadcaster_->notify();
  ASSERT_TRUE(eventually([&] {
    offer_spans({3});
    return broadcaster_->health(id).queue.items > 0;
  }));
  broadcaster_.reset();
  destinations_.remove(id);
  start();
  EXPECT_EQ(broadcaster_->health(id).queue.items, 0U);
}

TEST_F(BroadcasterTest, WhatWaitsSurvivesAPowerCut) {
  destinations_.put(grafana_destination());
  recorder_.answer_by(503);
  start();
  offer_spans({1});
  offer_spans({2});
  files_.cut_power();
  recorder_.answer_by(200);
  broadcaster_.reset();
  start();
  ASSERT_TRUE(has_got(2));
}

TEST_F(BroadcasterTest, SecretsThatCannotBeOpenedKeepEventsWaiting) {
  destinations_.put(grafana_destination());
  destinations_.fail_opens(true);
  start();
  const DestinationId id = grafana_destination().id;
  EXPECT_EQ(broadcaster_->health(id).problem, "the keyring has no such key");
  offer_spans({1});
  EXPECT_EQ(broadcaster_->health(id).queue.items, 1U);
  destinations_.fail_opens(false);
  ASSERT_TRUE(has_got(1)) << "it is tried again";
  // The delivery sends before the problem is taken back.
  EXPECT_TRUE(eventually([&] { return broadcaster_->health(id).problem.empty(); }));
}

TEST_F(BroadcasterTest, ADatabaseThatIsAwayIsAskedAgain) {
  destinations_.fail_lists(true);
  open();
  EXPECT_FALSE(broadcaster_->start()) << "a start knows what there is, or fails";
  destinations_.fail_lists(false);
  start();
  destinations_.put(grafana_destination());
  destinations_.fail_lists(true);
  broadcaster_->notify();
  destinations_.fail_lists(false);
  ASSERT_TRUE(eventually([&] {
    offer_spans({1});
    return !recorder_.got().empty();
  }));
}

TEST_F(BroadcasterTest, ReplaysDeadLetters) {
  destinations_.put(grafana_destination());
  recorder_.answer_by(400);
  start();
  offer_spans({1});
  const DestinationId id = grafana_destination().id;
  ASSERT_TRUE(eventually([&] { return broadcaster_->health(id).dead_letters.letters == 1; }));
  const auto page = broadcaster_->dead_letters(id, std::nullopt, 10);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->letters.at(0).refusal.status, 400U);
  recorder_.answer_by(200);
  const auto replayed = broadcaster_->replay(id, 100);
  ASSERT_TRUE(replayed);
  EXPECT_EQ(*replayed, 1U);
  EXPECT_TRUE(has_got(1));
  EXPECT_EQ(broadcaster_->health(id).dead_letters.letters, 0U);
}

TEST_F(BroadcasterTest, DrainsAndKeepsWhatComesLater) {
  destinations_.put(grafana_destination());
  start();
  offer_spans({1});
  broadcaster_->stop({10'000});
  EXPECT_EQ(recorder_.got().size(), 1U);
  offer_spans({2});
  EXPECT_EQ(broadcaster_->health(grafana_destination().id).queue.items, 1U);
  start();
  EXPECT_TRUE(has_got(2));
}

TEST_F(BroadcasterTest, WhatIsReplayedGoesToOneDestinationAsNewSpansWould) {
  Destination other = gantry_destination();
  other.id = "55555555-0000-4000-8000-000000000005";
  other.config.instance_id = "9";
  Destination one = grafana_destination();
  one.is_private = true;
  one.sampling_rate = 0.5;
  destinations_.put(one);
  destinations_.put(other);
  start();
  telemetry::SpanBatch batch;
  add_spans(batch, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
  std::vector<std::uint8_t> expected;
  for (const TraceGroup& group : group_by_trace(batch, GroupFields::Skip)) {
    const std::string key = trace_id_hex(group.trace_id);
    if (decide(one, {.key_hash = {}, .sampling_key = key, .fields = {}}) == Decision::Taken)
      expected.push_back(group.trace_id.bytes.back());
  }
  ASSERT_GT(expected.size(), 1U);
  ASSERT_LT(expected.size(), 15U);
  const auto requeued = broadcaster_->requeue(kStack, one.id, batch);
  ASSERT_TRUE(requeued) << requeued.error().message;
  EXPECT_EQ(requeued->traces, expected.size());
  EXPECT_EQ(requeued->spans, expected.size());
  ASSERT_TRUE(eventually([&] { return recorder_.got(one).size() == expected.size(); }));
  std::vector<std::uint8_t> traces;
  for (const Got& got : recorder_.got(one)) {
    traces.push_back(got.trace);
    EXPECT_EQ(got.sampling_rate, 0.5);
    EXPECT_FALSE(got.attributes.contains("gen_ai.prompt"));
  }
  std::ranges::sort(traces);
  EXPECT_EQ(traces, expected);
  EXPECT_TRUE(recorder_.got(other).empty());
}

TEST_F(BroadcasterTest, ReplayedTracesAreSampledByTheirSession) {
  Destination sampled = grafana_destination();
  sampled.sampling_rate = 0.5;
  destinations_.put(sampled);
  start();
  for (const std::string_view session : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
    telemetry::SpanBatch batch;
    add_spans(batch, {1, 2, 3}, session);
    const bool is_kept =
        decide(sampled, {.key_hash = {}, .sampling_key = session, .fields = {}}) == Decision::Taken;
    EXPECT_EQ(broadcaster_->requeue(kStack, sampled.id, batch)->traces, is_kept ? 3U : 0U);
  }
}

TEST_F(BroadcasterTest, TakesNoReplayForWhatIsFilteredDisabledOrUnknown) {
  Destination rules = grafana_destination();
  rules.filter_rules_json =
      R"({"groups":[{"logic":"and","rules":[{"field":"model","operator":"equals",
      "value":"other"}]}]})";
  auto parsed = FilterRules::parse(rules.filter_rules_json);
  ASSERT_TRUE(parsed) << parsed.error().message;
  rules.filter_rules = *std::move(parsed);
  Destination off = gantry_destination();
  off.id = "66666666-0000-4000-8000-000000000006";
  off.is_enabled = false;
  destinations_.put(rules);
  destinations_.put(off);
  start();
  telemetry::SpanBatch batch;
  add_spans(batch, {1, 2});
  const auto filtered = broadcaster_->requeue(kStack, rules.id, batch);
  ASSERT_TRUE(filtered);
  EXPECT_EQ(filtered->traces, 0U);
  EXPECT_EQ(events(rules, "filtered"), 1);
  EXPECT_EQ(broadcaster_->intake(kStack, rules.id, Signal::Spans), Intake::Open);
  EXPECT_EQ(broadcaster_->intake(kStack, off.id, Signal::Spans), Intake::Disabled);
  EXPECT_EQ(broadcaster_->intake(StackId(8), rules.id, Signal::Spans), Intake::Unknown)
      << "another stack's";
  EXPECT_EQ(broadcaster_->intake(kStack, "nobody", Signal::Spans), Intake::Unknown);
  for (const DestinationId& id : {off.id, DestinationId("nobody")}) {
    const auto refused = broadcaster_->requeue(kStack, id, batch);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::FailedPrecondition);
    EXPECT_EQ(broadcaster_->health(id).queue.items, 0U);
  }
}

TEST_F(BroadcasterTest, IsFullForReplaysLongBeforeTheQueueIs) {
  destinations_.put(grafana_destination());
  destinations_.fail_opens(true);  // so that all of it waits
  start();
  const DestinationId id = grafana_destination().id;
  telemetry::SpanBatch batch;
  add_spans(batch, {1});
  const std::string text(100'000, 'x');
  batch.attributes[0].value.text = text;
  int batches = 0;
  while (broadcaster_->intake(kStack, id, Signal::Spans) == Intake::Open) {
    ASSERT_LT(++batches, 1000);
    ASSERT_TRUE(broadcaster_->requeue(kStack, id, batch));
  }
  EXPECT_EQ(broadcaster_->intake(kStack, id, Signal::Spans), Intake::Full);
  const std::uint64_t bytes = broadcaster_->health(id).queue.bytes;
  EXPECT_GE(bytes, std::uint64_t{8} << 20);
  EXPECT_LT(bytes, (std::uint64_t{8} << 20) + 200'000);
  EXPECT_LE(broadcaster_->batch_bytes_max(), std::size_t{4} << 20);
  destinations_.fail_opens(false);
  EXPECT_TRUE(
      eventually([&] { return broadcaster_->intake(kStack, id, Signal::Spans) == Intake::Open; }));
}

TEST_F(BroadcasterTest, AReplayIsToldWhenTheQueueCannotBeWritten) {
  destinations_.put(grafana_destination());
  recorder_.answer_by(503);
  start();
  telemetry::SpanBatch batch;
  add_spans(batch, {1});
  files_.set_capacity(0);
  const auto refused = broadcaster_->requeue(kStack, grafana_destination().id, batch);
  EXPECT_FALSE(refused);
  files_.set_capacity(~std::uint64_t{0});
}

}  // namespace
}  // namespace gantry::broadcast
