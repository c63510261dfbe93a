// Bitmaps over columns against one value after the other.

#include <limits>
#include <memory>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "traceql/eval/group_evaluator.h"
#include "traceql/testing/ast_builder.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/span_builder.h"

namespace gantry::traceql {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the words of the tests

int below(int end) {
  return *rc::gen::inRange(0, end);
}

Static random_value() {
  switch (below(6)) {
    case 0:
      return Static::of_int(below(4) - 1);
    case 1:
      return Static::of_float((below(5) - 1) * 0.5);
    case 2:
      return Static::of_string(std::string(1, static_cast<char>('a' + below(3))));
    case 3:
      return Static::of_bool(below(2) == 0);
    case 4: {
      Static array;
      array.type = StaticType::IntArray;
      for (int i = below(3); i > 0; --i) array.elements.push_back(Static::of_int(below(4)));
      return array;
    }
    default: {
      Static array;
      array.type = StaticType::StringArray;
      for (int i = below(3); i > 0; --i) array.elements.push_back(Static::of_string("a"));
      return array;
    }
  }
}

std::vector<telemetry::SpanBatch> random_spans() {
  SpanBuilder build;
  telemetry::SpanId id = 0;
  for (int resource = below(3); resource >= 0; --resource) {
    SpanBuilder::Attributes attributes;
    if (below(2) == 0) attributes.emplace_back("x", random_value());
    if (below(2) == 0) attributes.emplace_back("service.name", Static::of_string("a"));
    build.resource(attributes);
    build.scope(below(2) == 0 ? "a" : "", "");
    for (int span = below(40); span >= 0; --span) {
      ++id;
      build.span({.trace = static_cast<std::uint64_t>(below(5)) + 1,
                  .id = id,
                  .parent = static_cast<telemetry::SpanId>(below(4)),
                  .name = below(2) == 0 ? "a" : "b",
                  .end_ns = static_cast<std::uint64_t>(below(4)),
                  .status = static_cast<telemetry::SpanStatus>(below(3))});
      for (const std::string_view key : {"x", "y"}) {
        if (below(3) != 0) build.attribute(key, random_value());
      }
    }
  }
  return one_batch(std::move(build));
}

/// What a span has beside its name.
struct Parts {
  SpanBuilder::Attributes attributes;
  std::vector<SpanBuilder::Attributes> events;
  std::vector<SpanBuilder::Attributes> links;
};

SpanBuilder::Attributes random_attributes() {
  SpanBuilder::Attributes attributes;
  for (const std::string_view key : {"x", "y"}) {
    if (below(2) == 0) attributes.emplace_back(key, random_value());
  }
  return attributes;
}

std::vector<Parts> random_parts() {
  std::vector<Parts> spans(static_cast<std::size_t>(below(30) + 1));
  for (Parts& span : spans) {
    span.attributes = random_attributes();
    for (int event = below(4); event > 0; --event) span.events.push_back(random_attributes());
    for (int link = below(3); link > 0; --link) span.links.push_back(random_attributes());
  }
  return spans;
}

void add_span(SpanBuilder& build, telemetry::SpanId id, const Parts& parts) {
  build.span({.trace = 1, .id = id, .name = "a"});
  for (const auto& [key, value] : parts.attributes) build.attribute(key, value);
  for (const auto& event : parts.events) build.event("a", 0, event);
  for (const auto& link : parts.links) build.link(1, 1, link);
}

/// The span with one of its events and one of its links at most, in every way.
std::vector<Parts> choices(const Parts& span) {
  const auto singles = [](const std::vector<SpanBuilder::Attributes>& parts) {
    std::vector<std::vector<SpanBuilder::Attributes>> out;
    for (const auto& part : parts) out.push_back({part});
    if (out.empty()) out.emplace_back();
    return out;
  };
  std::vector<Parts> out;
  for (const auto& events : singles(span.events)) {
    for (const auto& links : singles(span.links)) {
      out.push_back({.attributes = span.attributes, .events = events, .links = links});
    }
  }
  return out;
}

FieldPtr random_part_field() {
  switch (below(6)) {
    case 0:
      return event_field("x");
    case 1:
      return event_field("y");
    case 2:
      return link_field("x");
    case 3:
      return any_field("x");
    case 4:
      return any_field("y");
    default:
      return span_field("x");
  }
}

FieldPtr random_field() {
  switch (below(12)) {
    case 0:
      return span_field("x");
    case 1:
      return span_field("y");
    case 2:
      return any_field("x");
    case 3:
      return any_field("y");
    case 4:
      return resource_field("x");
    case 5:
      return resource_field("service.name");
    case 6:
      return field(Intrinsic::Name);
    case 7:
      return field(Intrinsic::Duration);
    case 8:
      return field(Intrinsic::Status);
    case 9:
      return field(Intrinsic::TraceDuration);
    case 10:
      return field(Intrinsic::NestedSetParent);
    default:
      return field(Intrinsic::InstrumentationName);
  }
}

FieldPtr random_literal() {
  Static value = random_value();
  while (!value.elements.empty() || value.type >= StaticType::IntArray) value = random_value();
  return field(below(8) == 0 ? Static::of_status(static_cast<std::uint8_t>(below(3))) : value);
}

using FieldSource = FieldPtr (*)();

FieldPtr random_expression(int depth, FieldSource random_field) {
  constexpr int kComparisons = 6;
  const auto comparison = [] {
    return static_cast<FieldOp>(static_cast<int>(FieldOp::Equal) + below(kComparisons));
  };
  const int shape = below(depth == 0 ? 6 : 12);
  switch (shape) {
    case 0:
      return random_field();
    case 1:
      return exists(random_field());
    case 2:
      return equals(random_field(), field(Static::nil()));
    case 3:
      return binary(comparison(), random_literal(), random_field());
    case 4:
      return binary(below(2) == 0 ? FieldOp::Regex : FieldOp::NotRegex, random_field(),
                    literal(below(2) == 0 ? "a|c" : "[^b]"));
    case 5:
      return binary(comparison(), random_field(), random_literal());
    case 6:
      return negation(random_expression(depth - 1, random_field));
    case 7:
      return binary(comparison(), random_field(), random_field());
    case 8:
      return binary(comparison(), binary(FieldOp::Divide, random_field(), random_literal()),
                    random_literal());
    case 9:
      return either(random_expression(depth - 1, random_field),
                    random_expression(depth - 1, random_field));
    default:
      return both(random_expression(depth - 1, random_field),
                  random_expression(depth - 1, random_field));
  }
}

RC_GTEST_PROP(FilterProperty, ColumnsAgreeWithOneValueAfterTheOther, ()) {
  const MemorySource source(random_spans(), {});
  const auto snapshot = source.open(
      {.start_ns = 0, .end_ns = std::numeric_limits<std::int64_t>::max()}, CancelToken());
  const auto group = *(*snapshot)->open(0);
  GroupEvaluator evaluator(*group);
  const FieldPtr condition = random_expression(3, random_field);
  const RowSet rows = *evaluator.filter(*condition);
  for (std::uint32_t row = 0; row < group->counts().spans; ++row) {
    const Static value = *evaluator.value(*condition, row);
    RC_ASSERT(rows.contains(row) == (value.type == StaticType::Bool && value.boolean));
  }
}

RC_GTEST_PROP(FilterProperty, SomeOneEventAndLinkMeetTheWholeFilter, ()) {
  const std::vector<Parts> spans = random_parts();
  SpanBuilder build;
  SpanBuilder build_choices;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    add_span(build, i + 1, spans[i]);
    for (const Parts& choice : choices(spans[i])) add_span(build_choices, i + 1, choice);
  }
  const MemorySource source(one_batch(std::move(build)), {});
  const MemorySource choice_source(one_batch(std::move(build_choices)), {});
  const OpenRequest all{.start_ns = 0, .end_ns = std::numeric_limits<std::int64_t>::max()};
  const auto snapshot = source.open(all, CancelToken());
  const auto choice_snapshot = choice_source.open(all, CancelToken());
  const auto group = *(*snapshot)->open(0);
  const auto choice_group = *(*choice_snapshot)->open(0);
  GroupEvaluator evaluator(*group);
  GroupEvaluator choice_evaluator(*choice_group);

  const FieldPtr condition = random_expression(3, random_part_field);
  std::vector<bool> is_met(spans.size(), false);
  const auto choice_ids = *choice_group->span_ids();
  for (std::uint32_t row = 0; row < choice_ids.size(); ++row) {
    const Static value = *choice_evaluator.value(*condition, row);
    if (value.type == StaticType::Bool && value.boolean) is_met[choice_ids[row] - 1] = true;
  }
  const RowSet rows = *evaluator.filter(*condition);
  for (std::uint32_t row = 0; row < spans.size(); ++row) {
    RC_ASSERT(rows.contains(row) == is_met[row]);
  }
}

RC_GTEST_PROP(FilterProperty, DistinctValuesAndNumbersAreTheSpans, ()) {
  const MemorySource source(random_spans(), {});
  const auto snapshot = source.open(
      {.start_ns = 0, .end_ns = std::numeric_limits<std::int64_t>::max()}, CancelToken());
  const auto group = *(*snapshot)->open(0);
  GroupEvaluator evaluator(*group);
  const FieldPtr lookup = random_field();
  const auto& attribute = std::get<Attribute>(lookup->node);
  RowSet asked(group->counts().spans);
  for (std::uint32_t row = 0; row < asked.size(); ++row) {
    if (below(3) != 0) asked.add(row);
  }
  const DistinctValues values = *evaluator.distinct_values(attribute, asked);
  const NumberValues numbers = *evaluator.numbers(attribute, asked);
  asked.for_each([&](std::uint32_t row) {
    const Static value = *evaluator.value(*lookup, row);
    const std::uint32_t id = values.ids[row];
    RC_ASSERT((id == DistinctValues::kNil ? Static::nil() : values.values[id]) == value);
    const bool is_number = value.type == StaticType::Int || value.type == StaticType::Float ||
                           value.type == StaticType::Duration;
    RC_ASSERT(numbers.present.contains(row) == is_number);
    if (is_number) {
      RC_ASSERT(
          numbers.numbers[row] ==
          (value.type == StaticType::Float ? value.number : static_cast<double>(value.integer)));
    }
  });
}

}  // namespace
}  // namespace gantry::traceql
