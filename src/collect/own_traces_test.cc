#include "collect/own_traces.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::collect {
namespace {

struct Seen {
  std::string name;
  telemetry::TraceId trace_id;
  telemetry::SpanId span_id = 0;
  telemetry::SpanId parent_id = 0;
  telemetry::SpanKind kind{};
  telemetry::SpanStatus status{};
  std::map<std::string, std::string> texts;
};

/// Copies what it is given, as views end with the call.
class Recorder {
 public:
  Result<void> take(const telemetry::SpanBatch& batch) {
    if (refuses) return fail(Code::Unavailable, "the disk is full");
    ++batches;
    for (const telemetry::BatchSpan& span : batch.spans) {
      Seen seen{.name = std::string(span.name),
                .trace_id = span.trace_id,
                .span_id = span.span_id,
                .parent_id = span.parent_id,
                .kind = span.kind,
                .status = span.status};
      for (const auto& attribute : batch.attributes_of(span.attributes))
        seen.texts[std::string(attribute.key)] = attribute.value.text;
      spans.push_back(std::move(seen));
    }
    for (const auto& attribute : batch.attributes_of(batch.resources.front().attributes))
      resource[std::string(attribute.key)] = attribute.value.text;
    return {};
  }

  bool refuses = false;
  int batches = 0;
  std::vector<Seen> spans;
  std::map<std::string, std::string> resource;
};

class OwnTracesTest : public testing::Test {
 protected:
  OwnTraces make(OwnTraces::Options options) {
    options.instance = "host-1";
    options.version = "1.2.3";
    return {std::move(options),
            [this](const telemetry::SpanBatch& batch) { return recorder.take(batch); }, registry,
            clock};
  }

  static std::vector<core::OwnSpan> request() {
    core::OwnSpanRecording recording("GET /api/v1/query");
    core::annotate_own_span("http.route", std::string("/api/v1/query"));
    {
      const core::OwnSpanScope scope("evaluate");
      core::fail_own_span("too much");
    }
    return recording.take();
  }

  double dropped(const std::string& reason) {
    return static_cast<double>(registry
                                   .counter("gantry_own_spans_dropped_total",
                                            "Gantry's own spans that were not written.",
                                            {{"reason", reason}})
                                   .value());
  }

  core::MetricRegistry registry;
  ManualClock clock{TimestampMs{1'700'000'000'000}};
  Recorder recorder;
};

TEST_F(OwnTracesTest, WritesARequestAsOneTrace) {
  OwnTraces traces = make({});
  traces.add(request(), {.kind = telemetry::SpanKind::Server});
  traces.flush();

  ASSERT_EQ(recorder.spans.size(), 2U);
  const Seen& root = recorder.spans[0];
  const Seen& child = recorder.spans[1];
  EXPECT_EQ(root.name, "GET /api/v1/query");
  EXPECT_EQ(root.kind, telemetry::SpanKind::Server);
  EXPECT_EQ(root.parent_id, 0U);
  EXPECT_EQ(root.texts.at("http.route"), "/api/v1/query");
  EXPECT_EQ(child.parent_id, root.span_id);
  EXPECT_EQ(child.trace_id, root.trace_id);
  EXPECT_EQ(child.kind, telemetry::SpanKind::Internal);
  EXPECT_EQ(child.status, telemetry::SpanStatus::Error);
  EXPECT_NE(root.span_id, 0U);
  EXPECT_NE(root.span_id, child.span_id);
  EXPECT_EQ(recorder.resource["service.name"], "gantry");
  EXPECT_EQ(recorder.resource["service.instance.id"], "host-1");
  EXPECT_EQ(recorder.resource["service.version"], "1.2.3");

  traces.flush();
  EXPECT_EQ(recorder.batches, 1) << "an empty flush writes nothing";
}

TEST_F(OwnTracesTest, ContinuesTheCallersTrace) {
  const auto parent = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  ASSERT_TRUE(parent);
  OwnTraces traces = make({});
  traces.add(request(), {.kind = telemetry::SpanKind::Server, .parent = parent});
  TraceParent unsampled = *parent;
  unsampled.is_sampled = false;
  EXPECT_TRUE(traces.wants(parent));
  EXPECT_FALSE(traces.wants(unsampled)) << "who does not sample does not want ours either";
  traces.flush();
  ASSERT_EQ(recorder.spans.size(), 2U);
  EXPECT_EQ(recorder.spans[0].trace_id, parent->trace_id);
  EXPECT_EQ(recorder.spans[0].parent_id, 0xb7ad6b7169203331U);
}

TEST_F(OwnTracesTest, WantsSoManyTracesASecond) {
  OwnTraces traces = make({.traces_per_second = 5});
  const auto wanted = [&] {
    int count = 0;
    for (int i = 0; i < 100; ++i) count += traces.wants(std::nullopt) ? 1 : 0;
    return count;
  };
  EXPECT_EQ(wanted(), 10) << "two seconds' worth at once";
  clock.advance({1000});
  EXPECT_EQ(wanted(), 5);
  EXPECT_EQ(registry.counter("gantry_own_traces_skipped_total", "", {}).value(), 185U);
}

TEST_F(OwnTracesTest, LetsOnlySoManySpansWait) {
  OwnTraces traces = make({.traces_per_second = 1000, .spans_waiting_max = 5});
  for (int i = 0; i < 4; ++i) traces.add(request(), {});
  traces.flush();
  EXPECT_EQ(recorder.spans.size(), 4U);
  EXPECT_EQ(dropped("queue_full"), 4);
}

TEST_F(OwnTracesTest, CountsWhatIsRefused) {
  OwnTraces traces = make({});
  recorder.refuses = true;
  traces.add(request(), {});
  traces.flush();
  EXPECT_EQ(dropped("refused"), 2);
  recorder.refuses = false;
  traces.add(request(), {});
  traces.flush();
  EXPECT_EQ(recorder.spans.size(), 2U);
}

TEST_F(OwnTracesTest, WritesWhatWaitsWhenItStops) {
  OwnTraces traces = make({.interval = DurationMs{3'600'000}});
  traces.start();
  traces.add(request(), {});
  traces.stop();
  EXPECT_EQ(recorder.spans.size(), 2U);
  traces.stop();
}

TEST(TraceParent, ReadsWhatTheSpecificationAllows) {
  const auto parent = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
  ASSERT_TRUE(parent);
  EXPECT_FALSE(parent->is_sampled);
  EXPECT_EQ(parent->trace_id.bytes[0], 0x0a);
  EXPECT_EQ(parent->trace_id.bytes[15], 0x9c);
  EXPECT_TRUE(parse_traceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what"));
}

TEST(TraceParent, RefusesWhatIsMalformed) {
  for (const std::string_view header :
       {"", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what"}) {
    EXPECT_FALSE(parse_traceparent(header)) << header;
  }
}

}  // namespace
}  // namespace gantry::collect
