#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "broadcast/broadcaster.h"
#include "broadcast/testing/delivery_support.h"
#include "broadcast/testing/fake_destinations.h"
#include "broadcast/testing/quick_broadcaster.h"

namespace gantry::broadcast {
namespace {

using namespace testing;

constexpr StackId kStack{7};

class BroadcasterEditsTest : public ::testing::Test {
 protected:
  ~BroadcasterEditsTest() override { broadcaster_.reset(); }

  void start() {
    auto opened =
        open_quick_broadcaster(files_, destinations_, transport_, time_, *pace_, registry_);
    ASSERT_TRUE(opened) << opened.error().message;
    broadcaster_ = *std::move(opened);
    const auto started = broadcaster_->start();
    ASSERT_TRUE(started) << started.error().message;
  }

  /// With bodies that can be read as they are. `digit`: of its id and host.
  Destination destination(char digit, std::string_view rules) {
    Destination made = gantry_destination();
    made.id.back() = digit;
    made.config.url = std::string("https://h") + digit + ".example.com";
    made.config.compression = Compression::None;
    made.attribute_rules_json = rules;
    auto parsed = AttributeRules::parse(rules);
    EXPECT_TRUE(parsed) << parsed.error().message;
    if (parsed) made.attribute_rules = *std::move(parsed);
    return made;
  }

  /// One span that was told a secret.
  static void add_span(telemetry::SpanBatch& batch) {
    batch.resources.resize(1);
    batch.scopes.resize(1);
    const auto add = [&](std::string_view key, std::string_view text) {
      batch.attributes.push_back(
          {.key = key, .value = {.kind = telemetry::AttributeValue::Kind::String, .text = text}});
    };
    add("gen_ai.prompt", "a secret plan");
    add("gen_ai.request.model", "acme/one");
    telemetry::BatchSpan span{.span_id = 1};
    span.trace_id.bytes.back() = 1;
    span.name = "chat";
    span.attributes = {.begin = 0, .count = 2};
    batch.spans.push_back(span);
  }

  /// What the host of `destination` got; "" when nothing.
  [[nodiscard]] std::string body_at(const Destination& destination) {
    for (const ExportRequest& request : transport_.requests())
      if (request.url.starts_with(destination.config.url)) return request.body;
    return "";
  }

  storage::FaultyFileSystem files_;
  FakeTime time_{FakeTime::Mode::Stands};
  std::unique_ptr<Pace> pace_ = make_system_pace();
  core::MetricRegistry registry_;
  FakeDestinations destinations_;
  FakeTransport transport_{
      [](const ExportRequest&, DurationMs, const CancelToken&) { return answer_with(200); }};
  std::unique_ptr<Broadcaster> broadcaster_;
};

TEST_F(BroadcasterEditsTest, EachDestinationHasItsOwn) {
  constexpr std::string_view kRules =
      R"([{"action":"rename","key":"gen_ai.request.model","new_key":"renamed.model"},
          {"action":"insert","key":"copied","from_attribute":"gen_ai.prompt"}])";
  const Destination plain = destination('1', "null");
  const Destination edited = destination('2', kRules);
  Destination hushed = destination('3', kRules);
  hushed.is_private = true;
  for (const Destination& each : {plain, edited, hushed}) destinations_.put(each);
  start();
  telemetry::SpanBatch batch;
  add_span(batch);
  broadcaster_->offer(kStack, batch);
  for (const Destination& each : {plain, edited, hushed})
    ASSERT_TRUE(eventually([&] { return !body_at(each).empty(); })) << each.id;
  EXPECT_TRUE(body_at(plain).contains("gen_ai.request.model"));
  EXPECT_FALSE(body_at(plain).contains("copied"));
  EXPECT_TRUE(body_at(edited).contains("renamed.model"));
  EXPECT_FALSE(body_at(edited).contains("gen_ai.request.model"));
  EXPECT_TRUE(body_at(edited).contains("copied"));
  EXPECT_TRUE(body_at(hushed).contains("renamed.model"));
  EXPECT_FALSE(body_at(hushed).contains("a secret plan"))
      << "no rule brings content past the privacy mode";
}

TEST_F(BroadcasterEditsTest, ReplayedSpansAreEditedToo) {
  const Destination edited = destination('2', R"([{"action":"delete","key":"gen_ai.prompt"}])");
  destinations_.put(edited);
  start();
  telemetry::SpanBatch batch;
  add_span(batch);
  ASSERT_TRUE(broadcaster_->requeue(kStack, edited.id, batch));
  ASSERT_TRUE(eventually([&] { return !body_at(edited).empty(); }));
  EXPECT_FALSE(body_at(edited).contains("a secret plan"));
  EXPECT_TRUE(body_at(edited).contains("acme/one"));
}

}  // namespace
}  // namespace gantry::broadcast
