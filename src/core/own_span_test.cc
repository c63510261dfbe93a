#include "core/own_span.h"

#include <gtest/gtest.h>

namespace gantry::core {
namespace {

TEST(OwnSpan, RecordsChildrenAndAttributes) {
  OwnSpanRecording recording("request");
  annotate_own_span("route", std::string("/a"));
  {
    const OwnSpanScope outer("outer");
    annotate_own_span("n", std::int64_t{3});
    const OwnSpanScope inner("inner");
    fail_own_span("broke");
  }
  {
    const OwnSpanScope second("second");
  }

  const std::vector<OwnSpan> spans = recording.take();

  ASSERT_EQ(spans.size(), 4U);
  EXPECT_EQ(spans[0].name, "request");
  EXPECT_EQ(spans[0].parent, OwnSpan::kNoParent);
  ASSERT_EQ(spans[0].attributes.size(), 1U);
  EXPECT_EQ(spans[1].parent, 0U);
  EXPECT_EQ(std::get<std::int64_t>(spans[1].attributes.front().second), 3);
  EXPECT_EQ(spans[2].parent, 1U);
  EXPECT_EQ(spans[2].status, OwnSpanStatus::Error);
  EXPECT_EQ(spans[2].status_message, "broke");
  EXPECT_EQ(spans[3].parent, 0U);
  for (const OwnSpan& span : spans) {
    EXPECT_GE(span.end_ns, span.start_ns) << span.name;
    EXPECT_GE(span.start_ns, spans[0].start_ns) << span.name;
    EXPECT_LE(span.end_ns, spans[0].end_ns) << span.name;
  }
}

TEST(OwnSpan, CostsNothingToNobody) {
  EXPECT_FALSE(is_own_span_recorded());
  annotate_own_span("key", true);
  fail_own_span("not heard");
  const OwnSpanScope scope("not seen");
  EXPECT_FALSE(is_own_span_recorded());
}

TEST(OwnSpan, ARecordingInsideAnotherIsItsChild) {
  OwnSpanRecording outer("outer");
  {
    OwnSpanRecording inner("inner");
    annotate_own_span("of", std::string("inner"));
    EXPECT_TRUE(inner.take().empty());
  }
  annotate_own_span("of", std::string("outer"));
  const std::vector<OwnSpan> spans = outer.take();
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(std::get<std::string>(spans[0].attributes.front().second), "outer");
  EXPECT_EQ(std::get<std::string>(spans[1].attributes.front().second), "inner");
  EXPECT_FALSE(is_own_span_recorded());
}

TEST(OwnSpan, IsBounded) {
  OwnSpanRecording recording("request");
  for (int i = 0; i < 1000; ++i) {
    const OwnSpanScope scope("child");
    annotate_own_span("i", std::int64_t{i});
  }
  for (int i = 0; i < 1000; ++i) annotate_own_span("i", std::int64_t{i});
  const std::vector<OwnSpan> spans = recording.take();
  EXPECT_EQ(spans.size(), OwnSpanRecording::kSpansMax);
  EXPECT_EQ(spans[0].attributes.size(), OwnSpanRecording::kAttributesMax);
}

}  // namespace
}  // namespace gantry::core
