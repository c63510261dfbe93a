#include "traceql/eval/group_evaluator.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "traceql/testing/ast_builder.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/span_builder.h"

namespace gantry::traceql {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the words of the tests

Static ints(std::vector<std::int64_t> values) {
  Static array;
  array.type = StaticType::IntArray;
  for (const std::int64_t value : values) array.elements.push_back(Static::of_int(value));
  return array;
}

/// One group of three traces; spans are named by their ids.
telemetry::SpanBatch spans() {
  SpanBuilder build;
  build.resource({{"service.name", Static::of_string("shop")}, {"zone", Static::of_string("eu")}});
  build.scope("net/http", "1.2", {{"lib", Static::of_string("go")}});
  build.span({.trace = 1,
              .id = 1,
              .name = "root",
              .start_ns = 1000,
              .end_ns = 2000,
              .kind = telemetry::SpanKind::Server});
  build.attribute("code", Static::of_int(200));
  build.attribute("zone", Static::of_string("local"));
  build.attribute("ratio", Static::of_float(0.5));
  build.span({.trace = 1,
              .id = 2,
              .parent = 1,
              .name = "query",
              .start_ns = 1100,
              .end_ns = 1500,
              .status = telemetry::SpanStatus::Error,
              .status_message = "boom"});
  build.attribute("code", Static::of_float(200.0));
  build.attribute("retry", Static::of_bool(true));
  build.event("exception", 1200, {{"type", Static::of_string("A")}, {"n", Static::of_int(1)}});
  build.event("retry", 1300, {{"type", Static::of_string("B")}, {"n", Static::of_int(2)}});
  build.link(3, 5, {{"n", Static::of_int(7)}});
  build.span({.trace = 1, .id = 3, .parent = 1, .name = "query", .start_ns = 1600, .end_ns = 1700});
  build.attribute("code", Static::of_string("200"));
  build.attribute("retry", Static::of_bool(false));
  build.attribute("list", ints({1, 5}));

  build.resource({{"zone", Static::of_string("us")}});
  build.scope("", "");
  build.span({.trace = 2, .id = 4, .name = "lonely", .start_ns = 5000, .end_ns = 5000});
  build.attribute("code", Static::of_int(404));
  build.attribute("list", ints({}));
  build.event("retry", 5001, {{"n", Static::of_int(1)}});
  build.span({.trace = 3, .id = 5, .parent = 99, .name = "orphan", .start_ns = 70, .end_ns = 90});
  return std::move(build).batch();
}

class GroupEvaluatorTest : public ::testing::Test {
 protected:
  GroupEvaluatorTest() : source_(one_batch(spans()), {}) {
    auto snapshot = source_.open(
        {.start_ns = 0, .end_ns = std::numeric_limits<std::int64_t>::max()}, CancelToken());
    group_ = *(*snapshot)->open(0);
    evaluator_ = std::make_unique<GroupEvaluator>(*group_);
  }

  /// Span ids, ascending.
  std::string ids(const std::vector<std::uint32_t>& rows) {
    const auto span_ids = *group_->span_ids();
    std::vector<telemetry::SpanId> found;
    for (const std::uint32_t row : rows) found.push_back(span_ids[row]);
    std::ranges::sort(found);
    std::string text;
    for (const telemetry::SpanId id : found) text += std::to_string(id);
    return text;
  }

  std::string ids(const RowSet& rows) {
    std::vector<std::uint32_t> list;
    rows.for_each([&](std::uint32_t row) { list.push_back(row); });
    return ids(list);
  }

  std::string matching(FieldPtr condition) {
    kept_.push_back(std::move(condition));
    const auto rows = evaluator_->filter(*kept_.back());
    return rows ? ids(*rows) : rows.error().message;
  }

  /// "ids{key=value}" for each span set.
  std::string left(Pipeline stages) {
    pipelines_.push_back(std::make_unique<Pipeline>(std::move(stages)));
    const auto sets = evaluator_->run(*pipelines_.back());
    if (!sets) return sets.error().message;
    std::vector<std::string> texts;
    for (const Spanset& set : *sets) {
      std::string text = ids(set.rows);
      for (const NamedValue& named : set.attributes) {
        text += "{" + named.key + "=" + format_static(named.value) + "}";
      }
      texts.push_back(text);
    }
    std::ranges::sort(texts);
    std::string out;
    for (const std::string& text : texts) out += (out.empty() ? "" : " ") + text;
    return out;
  }

  std::uint32_t row_of(telemetry::SpanId id) {
    const auto ids = *group_->span_ids();
    return static_cast<std::uint32_t>(std::ranges::find(ids, id) - ids.begin());
  }

  MemorySource source_;
  std::unique_ptr<SpanGroup> group_;
  std::unique_ptr<GroupEvaluator> evaluator_;
  std::vector<FieldPtr> kept_;
  std::vector<std::unique_ptr<Pipeline>> pipelines_;
};

TEST_F(GroupEvaluatorTest, ComparesColumnsOfEachType) {
  EXPECT_EQ(matching(equals(span_field("code"), literal(200))), "12");
  EXPECT_EQ(matching(equals(span_field("code"), number(200))), "12");
  EXPECT_EQ(matching(equals(span_field("code"), literal("200"))), "3");
  EXPECT_EQ(matching(binary(FieldOp::NotEqual, span_field("code"), literal(200))), "4");
  EXPECT_EQ(matching(binary(FieldOp::Less, literal(200), span_field("code"))), "4");
  EXPECT_EQ(matching(equals(span_field("retry"), truth(false))), "3");
  EXPECT_EQ(matching(binary(FieldOp::NotEqual, span_field("retry"), truth(false))), "2");
  EXPECT_EQ(matching(span_field("retry")), "2");
  EXPECT_EQ(matching(binary(FieldOp::Regex, field(Intrinsic::Name), literal("q.*|root"))), "123");
  EXPECT_EQ(matching(binary(FieldOp::NotRegex, field(Intrinsic::Name), literal("q.*|root"))), "45");
  EXPECT_EQ(matching(equals(span_field("nope"), literal(1))), "");
  EXPECT_EQ(matching(equals(span_field("zone"), literal(kUnusedText))), "");
}

TEST_F(GroupEvaluatorTest, ComparesArraysByElement) {
  EXPECT_EQ(matching(equals(span_field("list"), literal(5))), "3");
  EXPECT_EQ(matching(binary(FieldOp::NotEqual, span_field("list"), literal(7))), "34");
  EXPECT_EQ(matching(binary(FieldOp::NotEqual, span_field("list"), literal(1))), "4");
  EXPECT_EQ(matching(exists(span_field("list"))), "34");
}

TEST_F(GroupEvaluatorTest, NotTurnsWhatIsABool) {
  EXPECT_EQ(matching(negation(span_field("retry"))), "3");
  EXPECT_EQ(matching(negation(equals(span_field("code"), literal(404)))), "1235");
  EXPECT_EQ(matching(negation(span_field("code"))), "");
  EXPECT_EQ(matching(negation(negation(span_field("retry")))), "2");
  EXPECT_EQ(matching(negation(exists(span_field("code")))), "5");
  EXPECT_EQ(matching(negation(both(truth(true), exists(span_field("code"))))), "5");
  // What cannot be computed is neither true nor false.
  const auto over_zero = [] {
    return equals(binary(FieldOp::Divide, span_field("code"), literal(0)), literal(1));
  };
  EXPECT_EQ(matching(over_zero()), "");
  EXPECT_EQ(matching(negation(over_zero())), "235");
}

TEST_F(GroupEvaluatorTest, SpanHidesResourceForUnscopedAttributes) {
  EXPECT_EQ(matching(equals(any_field("zone"), literal("eu"))), "23");
  EXPECT_EQ(matching(equals(any_field("zone"), literal("local"))), "1");
  EXPECT_EQ(matching(equals(resource_field("zone"), literal("eu"))), "123");
  EXPECT_EQ(matching(binary(FieldOp::NotEqual, any_field("zone"), literal("local"))), "2345");
  EXPECT_EQ(matching(equals(any_field("lib"), literal("go"))), "123");
  EXPECT_EQ(matching(equals(any_field("type"), literal("B"))), "2");
}

TEST_F(GroupEvaluatorTest, EveryResourceHasAServiceName) {
  EXPECT_EQ(matching(equals(resource_field("service.name"), literal(""))), "45");
  EXPECT_EQ(matching(exists(resource_field("service.name"))), "12345");
}

TEST_F(GroupEvaluatorTest, ConditionsOfOneFilterMeetOnOneEvent) {
  const auto on = [](std::string_view name, std::int64_t n) {
    return both(equals(field(Intrinsic::EventName), literal(name)),
                equals(event_field("n"), literal(n)));
  };
  EXPECT_EQ(matching(on("exception", 1)), "2");
  EXPECT_EQ(matching(on("retry", 1)), "4");
  EXPECT_EQ(matching(either(on("exception", 1), on("retry", 1))), "24");
  EXPECT_EQ(matching(both(on("exception", 1), equals(span_field("retry"), truth(true)))), "2");
  EXPECT_EQ(matching(binary(FieldOp::NotEqual, field(Intrinsic::EventName), literal("retry"))),
            "2");
  EXPECT_EQ(matching(negation(equals(field(Intrinsic::EventName), literal("retry")))), "1235");
  EXPECT_EQ(matching(binary(FieldOp::Greater, field(Intrinsic::EventTimeSinceStart),
                            field(Static::of_duration(100)))),
            "2");
  EXPECT_EQ(matching(exists(event_field("type"))), "2");
}

TEST_F(GroupEvaluatorTest, EventsAndLinksAreIndependentUnlessAConditionTiesThem) {
  EXPECT_EQ(
      matching(both(equals(event_field("n"), literal(2)), equals(link_field("n"), literal(7)))),
      "2");
  EXPECT_EQ(
      matching(both(equals(event_field("n"), literal(3)), equals(link_field("n"), literal(7)))),
      "");
  EXPECT_EQ(matching(binary(FieldOp::Less, event_field("n"), link_field("n"))), "2");
  EXPECT_EQ(matching(both(binary(FieldOp::Less, event_field("n"), link_field("n")),
                          equals(field(Intrinsic::EventName), literal("exception")))),
            "2");
  EXPECT_EQ(matching(both(
                either(equals(event_field("n"), literal(1)), equals(link_field("n"), literal(0))),
                equals(field(Intrinsic::EventName), literal("retry")))),
            "4");
  EXPECT_EQ(matching(equals(field(Intrinsic::LinkSpanId), literal("0000000000000005"))), "2");
  EXPECT_EQ(matching(equals(field(Intrinsic::LinkTraceId), literal("03"))), "2");
}

TEST_F(GroupEvaluatorTest, ComparesIntrinsics) {
  EXPECT_EQ(matching(equals(field(Intrinsic::Status), field(Static::of_status(2)))), "2");
  EXPECT_EQ(matching(equals(field(Intrinsic::Kind), field(Static::of_kind(2)))), "1");
  EXPECT_EQ(matching(equals(field(Intrinsic::StatusMessage), literal("boom"))), "2");
  EXPECT_EQ(matching(equals(field(Intrinsic::SpanId), literal("0000000000000004"))), "4");
  EXPECT_EQ(matching(equals(field(Intrinsic::SpanId), literal("4"))), "");
  EXPECT_EQ(matching(binary(FieldOp::Regex, field(Intrinsic::SpanId), literal("0+[45]"))), "45");
  EXPECT_EQ(matching(equals(field(Intrinsic::ParentId), literal("0000000000000001"))), "23");
  EXPECT_EQ(matching(equals(field(Intrinsic::TraceId), literal("0002"))), "4");
  EXPECT_EQ(matching(binary(FieldOp::NotEqual, field(Intrinsic::TraceId), literal("1"))), "45");
  EXPECT_EQ(matching(binary(FieldOp::Regex, field(Intrinsic::TraceId), literal("[13]"))), "1235");
  EXPECT_EQ(matching(equals(field(Intrinsic::ChildCount), literal(2))), "1");
  EXPECT_EQ(matching(equals(field(Intrinsic::TraceDuration), literal(1000))), "123");
  EXPECT_EQ(matching(equals(field(Intrinsic::RootName), literal("root"))), "123");
  EXPECT_EQ(matching(equals(field(Intrinsic::RootName), literal(""))), "5");
  EXPECT_EQ(matching(equals(field(Intrinsic::RootServiceName), literal("shop"))), "123");
  EXPECT_EQ(matching(equals(field(Intrinsic::NestedSetParent), literal(-1))), "14");
  EXPECT_EQ(matching(equals(field(Intrinsic::NestedSetLeft), literal(0))), "5");
  EXPECT_EQ(matching(equals(field(Intrinsic::InstrumentationVersion), literal("1.2"))), "123");
}

TEST_F(GroupEvaluatorTest, ComputesRowByRow) {
  EXPECT_EQ(matching(equals(binary(FieldOp::Add, span_field("code"), literal(4)), literal(204))),
            "12");
  EXPECT_EQ(matching(equals(span_field("code"), span_field("code"))), "1234");
  EXPECT_EQ(matching(binary(FieldOp::Greater, field(Intrinsic::Duration),
                            binary(FieldOp::Multiply, span_field("ratio"), literal(1000)))),
            "1");
  EXPECT_EQ(matching(equals(binary(FieldOp::Add, span_field("list"), literal(1)), literal(2))), "");
}

TEST_F(GroupEvaluatorTest, RunsPipelines) {
  EXPECT_EQ(left(pipeline(filter(truth(true)))), "123 4 5");
  EXPECT_EQ(left(pipeline(filter(truth(true)), count_filter(FieldOp::Greater, 1))),
            "123{count()=3}");
  EXPECT_EQ(left(pipeline(filter(truth(true)), group_by(field(Intrinsic::Name), "by(name)"),
                          count_filter(FieldOp::Greater, 1))),
            "23{by(name)=`query`}{count()=2}");
  EXPECT_EQ(left(pipeline(filter(equals(field(Intrinsic::TraceId), literal("1"))),
                          group_by(span_field("retry"), "by(span.retry)"))),
            "1{by(span.retry)=`nil`} 2{by(span.retry)=true} 3{by(span.retry)=false}");
  EXPECT_EQ(left(pipeline(filter(truth(true)), group_by(field(Intrinsic::Name), "by(name)"),
                          filter(exists(span_field("code"))), Coalesce{})),
            "123 4");
  EXPECT_EQ(left(pipeline(filter(truth(true)),
                          aggregate_filter(AggregateOp::Max, span_field("code"), "max(span.code)",
                                           FieldOp::GreaterOrEqual, Static::of_int(200)))),
            "123{max(span.code)=200} 4{max(span.code)=404}");
}

TEST_F(GroupEvaluatorTest, JoinsSpansets) {
  const auto named = [](std::string_view name) {
    return filter(equals(field(Intrinsic::Name), literal(name)));
  };
  EXPECT_EQ(left(pipeline(spanset(SpansetOp::Child, named("root"), named("query")))), "23");
  EXPECT_EQ(left(pipeline(spanset(SpansetOp::And, named("root"), named("query")))), "123");
  EXPECT_EQ(left(pipeline(spanset(SpansetOp::And, named("root"), named("lonely")))), "");
  EXPECT_EQ(left(pipeline(spanset(SpansetOp::Or, named("root"), named("lonely")))), "1 4");
  EXPECT_EQ(left(pipeline(spanset(SpansetOp::NotChild, named("nope"), named("query")))), "23");
  EXPECT_EQ(left(pipeline(spanset(SpansetOp::Child, named("root"), named("query")),
                          count_filter(FieldOp::Equal, 2))),
            "23{count()=2}");
  EXPECT_EQ(
      left(pipeline(spanset(SpansetOp::And,
                            wrapped(pipeline(named("query"), count_filter(FieldOp::Greater, 1))),
                            wrapped(pipeline(named("root")))))),
      "123");
}

TEST_F(GroupEvaluatorTest, StructuralOperatorsTakeOneSpansetPerTrace) {
  const auto grouped = [] {
    return wrapped(
        pipeline(filter(truth(true)), group_by(field(Intrinsic::SpanId), "by(span:id)")));
  };
  EXPECT_EQ(left(pipeline(spanset(SpansetOp::Child, grouped(), filter(truth(true))))),
            "spanset operators are not supported for multiple spansets per trace. consider using "
            "coalesce()");
}

TEST_F(GroupEvaluatorTest, AggregatesKeepTypes) {
  const auto result = [&](AggregateOp op, FieldPtr operand) {
    return left(pipeline(
        filter(equals(field(Intrinsic::TraceId), literal("1"))),
        aggregate_filter(op, std::move(operand), "x", FieldOp::Greater, Static::of_int(-1))));
  };
  EXPECT_EQ(result(AggregateOp::Avg, field(Intrinsic::Duration)), "123{x=500ns}");
  EXPECT_EQ(result(AggregateOp::Sum, field(Intrinsic::Duration)), "123{x=1.5µs}");
  EXPECT_EQ(result(AggregateOp::Avg, field(Intrinsic::ChildCount)).substr(0, 8), "123{x=0.");
  // An int comes first: the float is not added, the text is none.
  EXPECT_EQ(result(AggregateOp::Sum, span_field("code")), "123{x=200}");
  EXPECT_EQ(result(AggregateOp::Min, span_field("nope")), "");
}

TEST_F(GroupEvaluatorTest, GivesDistinctValues) {
  const RowSet all(group_->counts().spans, true);
  const auto values =
      *evaluator_->distinct_values(make_attribute(AttributeScope::Span, "code"), all);
  const auto value_of = [&](telemetry::SpanId id) {
    const std::uint32_t number = values.ids[row_of(id)];
    return number == DistinctValues::kNil ? Static::nil() : values.values[number];
  };
  EXPECT_EQ(value_of(1), Static::of_int(200));
  EXPECT_EQ(value_of(2), Static::of_float(200));
  EXPECT_EQ(value_of(3), Static::of_string("200"));
  EXPECT_EQ(value_of(5), Static::nil());

  const auto first = *evaluator_->distinct_values(make_attribute(AttributeScope::Event, "n"), all);
  EXPECT_EQ(first.values[first.ids[row_of(2)]], Static::of_int(1));
  const auto zones =
      *evaluator_->distinct_values(make_attribute(AttributeScope::None, "zone"), all);
  EXPECT_EQ(zones.values[zones.ids[row_of(1)]], Static::of_string("local"));
  EXPECT_EQ(zones.values[zones.ids[row_of(2)]], Static::of_string("eu"));
}

TEST_F(GroupEvaluatorTest, GivesNumbers) {
  const RowSet all(group_->counts().spans, true);
  const auto codes = *evaluator_->numbers(make_attribute(AttributeScope::Span, "code"), all);
  EXPECT_EQ(ids(codes.present), "124");
  EXPECT_EQ(codes.numbers[row_of(4)], 404);
  EXPECT_TRUE(codes.has_float);
  EXPECT_FALSE(codes.is_duration);
  const auto durations = *evaluator_->numbers(make_intrinsic(Intrinsic::Duration), all);
  EXPECT_TRUE(durations.is_duration);
  EXPECT_FALSE(durations.has_float);
  EXPECT_EQ(durations.numbers[row_of(1)], 1000);
  RowSet one(group_->counts().spans);
  one.add(row_of(4));
  const auto few = *evaluator_->numbers(make_attribute(AttributeScope::Span, "code"), one);
  EXPECT_EQ(ids(few.present), "4");
}

TEST_F(GroupEvaluatorTest, GivesTheValueOfAnyExpression) {
  kept_.push_back(binary(FieldOp::Add, span_field("code"), literal(1)));
  EXPECT_EQ(*evaluator_->value(*kept_.back(), row_of(1)), Static::of_int(201));
  EXPECT_EQ(*evaluator_->value(*kept_.back(), row_of(5)), Static::of_bool(false));
  kept_.push_back(event_field("type"));
  EXPECT_EQ(*evaluator_->value(*kept_.back(), row_of(2)), Static::of_string("A"));
  EXPECT_EQ(*evaluator_->value(*kept_.back(), row_of(4)), Static::nil());
}

TEST_F(GroupEvaluatorTest, CountsRowsWithoutBuildingSpansets) {
  pipelines_.push_back(std::make_unique<Pipeline>(
      pipeline(filter(exists(span_field("code"))), filter(exists(span_field("retry"))))));
  EXPECT_EQ(ids(*evaluator_->run_to_rows(*pipelines_.back())), "23");
  pipelines_.push_back(
      std::make_unique<Pipeline>(pipeline(filter(truth(true)), count_filter(FieldOp::Equal, 1))));
  EXPECT_EQ(ids(*evaluator_->run_to_rows(*pipelines_.back())), "45");
}

}  // namespace
}  // namespace gantry::traceql
