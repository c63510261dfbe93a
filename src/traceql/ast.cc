#include "traceql/ast.h"

#include <array>
#include <cstddef>
#include <utility>

#include "core/utf8.h"
#include "traceql/lexer_text.h"

namespace gantry::traceql {

namespace {

constexpr std::array<std::string_view, 16> kFieldOpTexts = {
    "+", "-", "*", "/", "%", "^", "=", "!=", "<", "<=", ">", ">=", "=~", "!~", "&&", "||"};

constexpr std::array<std::string_view, 17> kSpansetOpTexts = {
    "&&", "||",  ">",  ">>", "<",   "<<", "~",   "!>", "!>>",
    "!<", "!<<", "!~", "&>", "&>>", "&<", "&<<", "&~"};

constexpr std::array<std::string_view, 5> kAggregateOpTexts = {"count", "min", "max", "avg", "sum"};

constexpr std::array<std::string_view, 9> kMetricsOpTexts = {
    "rate",          "count_over_time",    "min_over_time",       "max_over_time", "sum_over_time",
    "avg_over_time", "quantile_over_time", "histogram_over_time", "compare"};

constexpr std::array<std::string_view, 6> kScopeTexts = {"",      "span", "resource",
                                                         "event", "link", "instrumentation"};

constexpr std::array<std::string_view, 22> kIntrinsicTexts = {"",
                                                              "name",
                                                              "duration",
                                                              "status",
                                                              "statusMessage",
                                                              "kind",
                                                              "span:childCount",
                                                              "span:id",
                                                              "span:parentID",
                                                              "trace:id",
                                                              "traceDuration",
                                                              "rootName",
                                                              "rootServiceName",
                                                              "event:name",
                                                              "event:timeSinceStart",
                                                              "link:traceID",
                                                              "link:spanID",
                                                              "instrumentation:name",
                                                              "instrumentation:version",
                                                              "nestedSetLeft",
                                                              "nestedSetRight",
                                                              "nestedSetParent"};

// A name that stands for itself is one run of the lexer's attribute mode. Behind a bare dot a digit
// would begin a number.
bool needs_quotes(AttributeScope scope, std::string_view name) {
  if (scope == AttributeScope::None && !name.empty() && name[0] >= '0' && name[0] <= '9') {
    return true;
  }
  for (std::size_t position = 0; position < name.size();) {
    const char32_t c = core::next_code_point(name, position);
    if (c == '"' || !is_attribute_character(c)) return true;
  }
  return false;
}

std::string quote_name(std::string_view name) {
  std::string result = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

}  // namespace

std::string_view field_op_text(FieldOp op) {
  return kFieldOpTexts[static_cast<std::size_t>(op)];
}

bool is_comparison(FieldOp op) {
  return op >= FieldOp::Equal && op <= FieldOp::NotRegex;
}

std::string_view spanset_op_text(SpansetOp op) {
  return kSpansetOpTexts[static_cast<std::size_t>(op)];
}

std::string_view aggregate_op_text(AggregateOp op) {
  return kAggregateOpTexts[static_cast<std::size_t>(op)];
}

std::string_view metrics_op_text(MetricsOp op) {
  return kMetricsOpTexts[static_cast<std::size_t>(op)];
}

std::string_view attribute_scope_text(AttributeScope scope) {
  return kScopeTexts[static_cast<std::size_t>(scope)];
}

std::string_view intrinsic_text(Intrinsic intrinsic) {
  return kIntrinsicTexts[static_cast<std::size_t>(intrinsic)];
}

Attribute make_attribute(AttributeScope scope, std::string name) {
  std::string text(attribute_scope_text(scope));
  text += '.';
  text += needs_quotes(scope, name) ? quote_name(name) : name;
  return {.scope = scope, .name = std::move(name), .text = std::move(text)};
}

Attribute make_intrinsic(Intrinsic intrinsic) {
  return {.intrinsic = intrinsic, .text = std::string(intrinsic_text(intrinsic))};
}

const Static* Query::hint(std::string_view name) const {
  for (std::size_t i = hints.size(); i > 0; --i) {
    if (hints[i - 1].name == name) return &hints[i - 1].value;
  }
  return nullptr;
}

}  // namespace gantry::traceql
