#include <string>

#include <gtest/gtest.h>

#include "core/worker_pool.h"
#include "traceql/engine.h"
#include "traceql/testing/ast_builder.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/span_builder.h"

namespace gantry::traceql {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the words of the tests

Static texts(std::vector<std::string> values) {
  Static array;
  array.type = StaticType::StringArray;
  for (std::string& value : values) array.elements.push_back(Static::of_string(std::move(value)));
  return array;
}

std::vector<telemetry::SpanBatch> spans() {
  SpanBuilder build;
  build.resource({{"service.name", Static::of_string("shop")}, {"pod", Static::of_string("p1")}});
  build.scope("http", "1", {{"lang", Static::of_string("go")}});
  build.span({.trace = 1, .id = 1, .name = "a", .start_ns = 100, .end_ns = 200});
  build.attribute("code", Static::of_int(200));
  build.attribute("tags", texts({"x", "y"}));
  build.event("boom", 150, {{"why", Static::of_string("w1")}});
  build.event("boom", 151, {{"why", Static::of_string("w2")}});
  build.span({.trace = 1, .id = 2, .parent = 1, .name = "b", .start_ns = 110, .end_ns = 120});
  build.attribute("code", Static::of_int(200));
  build.attribute("tags", texts({"y"}));
  build.resource({});
  build.scope("", "");
  build.span({.trace = 2,
              .id = 3,
              .name = "c",
              .start_ns = 500,
              .end_ns = 600,
              .status = telemetry::SpanStatus::Error});
  build.attribute("code", Static::of_string("500"));
  build.attribute("late", Static::of_bool(true));
  build.link(1, 1, {{"kind", Static::of_string("follows")}});
  build.span({.trace = 3, .id = 4, .name = "c", .start_ns = 700, .end_ns = 800});
  build.attribute("code", Static::of_int(404));
  return one_batch(std::move(build));
}

class TagsTest : public ::testing::TestWithParam<std::size_t> {
 protected:
  TagsTest() : source_(spans(), {.groups = GetParam()}), engine_({.workers = &pool_}) {}

  std::string names(const TagNamesRequest& request) {
    const auto answer = engine_.tag_names(request, source_, CancelToken());
    if (!answer) return answer.error().message;
    std::string text;
    for (const auto& [scope, found] : answer->scopes) {
      text += std::string(attribute_scope_text(scope)) + ":";
      for (const std::string& name : found) text += " " + name;
      text += "; ";
    }
    return text;
  }

  std::string values(const Attribute& attribute, TagValuesRequest request = {}) {
    request.attribute = &attribute;
    const auto answer = engine_.tag_values(request, source_, CancelToken());
    if (!answer) return answer.error().message;
    std::string text;
    for (const Static& value : answer->values) {
      text += (text.empty() ? "" : " ") + format_static(value);
    }
    return text;
  }

  static Attribute span(std::string name) {
    return make_attribute(AttributeScope::Span, std::move(name));
  }

  core::WorkerPool pool_{{.thread_count = 2}};
  MemorySource source_;
  Engine engine_;
};

TEST_P(TagsTest, NamesAreByScopeAndOnlyThoseWithValues) {
  EXPECT_EQ(names({}),
            "resource: pod service.name; span: code late tags; event: why; link: kind; "
            "instrumentation: lang; ");
  EXPECT_EQ(names({.scope = AttributeScope::Span}), "span: code late tags; ");
  EXPECT_EQ(names({.limit = 1}),
            "resource: pod; span: code; event: why; link: kind; instrumentation: lang; ");
}

TEST_P(TagsTest, NamesFollowFilterAndRange) {
  const FieldPtr failed = equals(field(Intrinsic::Status), field(Static::of_status(2)));
  EXPECT_EQ(names({.filter = failed.get()}), "span: code late; link: kind; ");
  const FieldPtr second = equals(field(Intrinsic::Name), literal("b"));
  EXPECT_EQ(names({.filter = second.get()}),
            "resource: pod service.name; span: code tags; instrumentation: lang; ");
  EXPECT_EQ(names({.start_ns = 601}), "span: code; ");
  EXPECT_EQ(names({.start_ns = 200, .end_ns = 300}),
            "resource: pod service.name; span: code tags; event: why; instrumentation: lang; ");
  EXPECT_EQ(names({.start_ns = 900}), "");
}

TEST_P(TagsTest, ValuesComeByFrequencyThenText) {
  EXPECT_EQ(values(span("code")), "200 404 `500`");
  EXPECT_EQ(values(span("tags")), "`y` `x`");
  EXPECT_EQ(values(span("late")), "true");
  EXPECT_EQ(values(span("nope")), "");
  EXPECT_EQ(values(make_attribute(AttributeScope::Resource, "service.name")), "`shop`");
  EXPECT_EQ(values(make_attribute(AttributeScope::None, "service.name")), "`shop`");
  EXPECT_EQ(values(make_attribute(AttributeScope::Event, "why")), "`w1` `w2`");
  EXPECT_EQ(values(make_attribute(AttributeScope::Link, "kind")), "`follows`");
}

TEST_P(TagsTest, ValuesOfIntrinsicsComeFromSpans) {
  EXPECT_EQ(values(make_intrinsic(Intrinsic::Name)), "`c` `a` `b`");
  EXPECT_EQ(values(make_intrinsic(Intrinsic::Status)), "unset error");
  EXPECT_EQ(values(make_intrinsic(Intrinsic::EventName)), "`boom`");
  EXPECT_EQ(values(make_intrinsic(Intrinsic::RootServiceName)), "`shop`");
  EXPECT_EQ(values(make_intrinsic(Intrinsic::InstrumentationName)), "`http`");
  EXPECT_EQ(values(make_intrinsic(Intrinsic::RootName)), "`a` `c`");
}

TEST_P(TagsTest, ValuesFollowFilterRangeAndLimits) {
  const FieldPtr has_pod = exists(resource_field("pod"));
  EXPECT_EQ(values(span("code"), {.filter = has_pod.get()}), "200");
  EXPECT_EQ(values(span("code"), {.start_ns = 601}), "404");
  EXPECT_EQ(values(span("code"), {.limit = 2}), "200 404");
  EXPECT_EQ(values(span("code"), {.value_bytes_max = 5}), "200");
  EXPECT_EQ(values(span("code"), {.value_bytes_max = 6}), "200 404");
}

TEST_P(TagsTest, MemoryIsLimited) {
  const Engine small({.memory_bytes_max = 100});
  const Attribute code = span("code");
  const auto found = small.tag_values({.attribute = &code}, source_, CancelToken());
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::ResourceExhausted);
  const auto names = small.tag_names({}, source_, CancelToken());
  ASSERT_FALSE(names);
  EXPECT_EQ(names.error().code, Code::ResourceExhausted);
}

TEST_P(TagsTest, CancelledLookupsStop) {
  const CancelToken cancel;
  cancel.cancel();
  const Attribute code = span("code");
  const auto found = engine_.tag_values({.attribute = &code}, source_, cancel);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::Cancelled);
}

INSTANTIATE_TEST_SUITE_P(Groups, TagsTest, ::testing::Values(1, 3));

}  // namespace
}  // namespace gantry::traceql
