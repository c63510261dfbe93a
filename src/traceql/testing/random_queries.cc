#include "traceql/testing/random_queries.h"

#include <array>
#include <cstddef>
#include <random>
#include <string_view>

namespace gantry::traceql::testing {

namespace {

using Words = std::initializer_list<std::string_view>;

constexpr Words kAttributes = {".a",
                               ".b",
                               ".e",
                               ".l",
                               ".s",
                               ".zone",
                               ".nope",
                               ".service.name",
                               ".\"c d\"",
                               "span.a",
                               "span.b",
                               "span.\"c d\"",
                               "resource.a",
                               "resource.zone",
                               "resource.service.name",
                               "event.a",
                               "event.e",
                               "link.b",
                               "link.l",
                               "instrumentation.b",
                               "instrumentation.s",
                               "span.\"nope\\\"\\\\\""};
constexpr Words kTextIntrinsics = {"name",
                                   "span:name",
                                   "statusMessage",
                                   "rootName",
                                   "trace:rootService",
                                   "rootServiceName",
                                   "span:id",
                                   "span:parentID",
                                   "trace:id",
                                   "event:name",
                                   "link:traceID",
                                   "link:spanID",
                                   "instrumentation:name",
                                   "instrumentation:version"};
constexpr Words kNumberIntrinsics = {
    "duration",      "span:duration",  "traceDuration",   "trace:duration", "span:childCount",
    "nestedSetLeft", "nestedSetRight", "nestedSetParent", "duration",       "event:timeSinceStart"};
constexpr Words kNumbers = {
    "0",    "1",  "2",     "3",     "-1", "0.5",  "1.5", "1e0",    "2.0",    "1ns",        "1us",
    "50ms", "1s", "1m30s", "0.05s", "1d", "-1.5", "1h",  "maxInt", "minInt", "1000000000", "-0.0"};
constexpr Words kTexts = {"\"a\"",
                          "`b`",
                          "\"ab\"",
                          "\"\"",
                          "\"c\"",
                          "\"nil\"",
                          "\"0000000000000001\"",
                          "\"1\"",
                          "\"q\\\"`\\n\\\\\"",
                          "`é \"x\"`"};
constexpr Words kPatterns = {"\"a|b\"", "`a.*`",     "\".*\"",    "\"[^b]\"",
                             "\"\"",    "`(?i)AB?`", "\"\\\\w+\""};
constexpr Words kComparisons = {"=", "!=", "<", "<=", ">", ">="};
constexpr Words kEqualities = {"=", "!="};
constexpr Words kArithmetic = {"+", "-", "*", "/", "%", "^"};
constexpr Words kSpansetOps = {"&&", "||",  ">",  ">>", "<",   "<<", "~",   "!>", "!>>",
                               "!<", "!<<", "!~", "&>", "&>>", "&<", "&<<", "&~"};
constexpr Words kAggregates = {"min", "max", "avg", "sum"};
constexpr Words kValueFunctions = {"min_over_time", "max_over_time", "sum_over_time",
                                   "avg_over_time", "histogram_over_time"};

class QueryMaker {
 public:
  explicit QueryMaker(std::uint64_t seed) : random_(seed) {}

  std::string search() {
    std::string text = one_in(8) ? wrapped() : pipeline();
    if (one_in(10)) text += " with (most_recent=true)";
    return text;
  }

  std::string metrics() {
    if (one_in(10)) {
      std::string text = pipeline() + " | compare({ " + condition(1) + " }";
      if (one_in(2)) text += ", " + std::to_string(1 + below(3));
      return text + ")";
    }
    std::string text = one_in(3) ? calculation(2) : pipeline() + " | " + function();
    while (one_in(3)) text += second();
    return text;
  }

  std::string condition(int depth) {
    switch (below(depth > 0 ? 14 : 9)) {
      case 0:
        return attribute();
      case 1:
        return one_in(2) ? "true" : "false";
      case 2:
      case 3:
        return number(depth) + " " + comparison() + " " + number(depth);
      case 4:
        return text_operand() + " " + comparison() + " " + text_operand();
      case 5:
        return words_comparison();
      case 6:
        return (one_in(2) ? attribute() : one_of(kTextIntrinsics)) + (one_in(2) ? " =~ " : " !~ ") +
               one_of(kPatterns);
      case 7:
        return one_in(4) ? "nil " + one_of(kEqualities) + " " + attribute_not_service()
                         : attribute_not_service() + " " + one_of(kEqualities) + " nil";
      case 8:
        return attribute() + " " + comparison() + " " + attribute();
      case 9:
        return "!(" + condition(depth - 1) + ")";
      case 10:
        return "!" + attribute();
      case 11:
        return "(" + condition(depth - 1) + ")";
      default:
        return condition(depth - 1) + (one_in(2) ? " && " : " || ") + condition(depth - 1);
    }
  }

 private:
  std::size_t below(std::size_t end) { return random_() % end; }

  bool one_in(std::size_t n) { return below(n) == 0; }

  std::string one_of(Words words) { return std::string(words.begin()[below(words.size())]); }

  std::string attribute() { return one_of(kAttributes); }

  // What is always there cannot be compared to nil with `=`.
  std::string attribute_not_service() {
    std::string text = attribute();
    while (text == "resource.service.name") text = attribute();
    return text;
  }

  std::string comparison() { return one_of(kComparisons); }

  std::string number(int depth) {
    switch (below(depth > 0 ? 9 : 6)) {
      case 0:
      case 1:
        return one_of(kNumbers);
      case 2:
      case 3:
        return one_of(kNumberIntrinsics);
      case 4:
      case 5:
        return attribute();
      case 6:
        return "-" + (one_in(2) ? attribute() : "(" + number(depth - 1) + ")");
      case 7:
        return "(" + number(depth - 1) + ")";
      default:
        return number(depth - 1) + " " + one_of(kArithmetic) + " " + number(depth - 1);
    }
  }

  std::string text_operand() {
    switch (below(3)) {
      case 0:
        return attribute();
      case 1:
        return one_of(kTextIntrinsics);
      default:
        return one_of(kTexts);
    }
  }

  std::string words_comparison() {
    const std::string op = " " + one_of(kEqualities) + " ";
    switch (below(4)) {
      case 0:
        return (one_in(2) ? "status" : "span:status") + op + one_of({"ok", "error", "unset"});
      case 1:
        return "kind" + op + one_of({"server", "client", "internal", "unspecified"});
      case 2:
        return one_of({"error", "consumer"}) + op + attribute();
      default:
        return attribute() + op + one_of({"true", "false"});
    }
  }

  std::string filter() {
    if (one_in(6)) return one_in(2) ? "{}" : "{ }";
    return "{ " + condition(2) + " }";
  }

  std::string spanset(int depth) {
    if (depth == 0 || one_in(2)) return filter();
    if (one_in(4)) return "(" + spanset(depth - 1) + ")";
    return spanset(depth - 1) + " " + one_of(kSpansetOps) + " " + spanset(depth - 1);
  }

  // Aggregates and groups must look at the span.
  std::string span_number() {
    switch (below(4)) {
      case 0:
        return one_of(kNumberIntrinsics);
      case 1:
        return attribute() + " " + one_of(kArithmetic) + " " + number(0);
      default:
        return attribute();
    }
  }

  std::string scalar_filter() {
    const std::string aggregate =
        one_in(2) ? "count()" : one_of(kAggregates) + "(" + span_number() + ")";
    return aggregate + " " + comparison() + " " +
           one_of({"0", "1", "2", "1.5", "1s", "-1", "1 + 1", "3 - 2 * 1", "50ms"});
  }

  std::string group_by() {
    switch (below(4)) {
      case 0:
        return "by(" + span_number() + ")";
      case 1:
        return "by(" + attribute() + " " + comparison() + " " + one_of(kNumbers) + ")";
      case 2:
        return "by(" + one_of({"name", "status", "kind", "span:childCount", "rootName"}) + ")";
      default:
        return "by(" + attribute() + ")";
    }
  }

  std::string stage() {
    switch (below(8)) {
      case 0:
      case 1:
        return spanset(1);
      case 2:
      case 3:
        return scalar_filter();
      case 4:
      case 5:
        return group_by();
      case 6:
        return "coalesce()";
      default:
        return "select(" + attribute() + ", name)";
    }
  }

  std::string pipeline() {
    std::string text;
    switch (below(10)) {
      case 0:
        text = scalar_filter();
        break;
      case 1:
        text = group_by();
        break;
      default:
        text = spanset(2);
    }
    while (one_in(3)) text += " | " + stage();
    return text;
  }

  // A pipeline that leaves one span set for each trace.
  std::string single_pipeline() {
    std::string text = "(" + spanset(1) + " | ";
    switch (below(3)) {
      case 0:
        text += spanset(1);
        break;
      case 1:
        text += scalar_filter();
        break;
      default:
        text += group_by() + " | " + scalar_filter() + " | coalesce()";
    }
    return text + ")";
  }

  std::string wrapped() {
    return single_pipeline() + " " + one_of(kSpansetOps) + " " + single_pipeline();
  }

  std::string function() {
    std::string text;
    std::size_t groups_max = 4;
    switch (below(4)) {
      case 0:
        text = "rate()";
        break;
      case 1:
        text = "count_over_time()";
        break;
      case 2:
        text = one_of(kValueFunctions) + "(" + value() + ")";
        break;
      default:
        text = "quantile_over_time(" + value() + ", " + one_of({"0", "0.5", ".9", "1"});
        if (one_in(2)) text += ", " + one_of({"0.25", "0.123456789", "0.99"});
        text += ")";
    }
    if (one_in(2)) return text;
    text += " by (" + group();
    while (--groups_max > 0 && one_in(2)) text += ", " + group();
    return text + ")";
  }

  std::string value() {
    return one_in(2) ? attribute()
                     : one_of({"duration", "traceDuration", "span:childCount", "name"});
  }

  std::string group() {
    return one_in(2) ? attribute()
                     : one_of({"name", "status", "kind", "rootServiceName", "nestedSetParent"});
  }

  std::string second() {
    switch (below(3)) {
      case 0:
        return " | topk(" + std::to_string(1 + below(3)) + ")";
      case 1:
        return " | bottomk(" + std::to_string(1 + below(3)) + ")";
      default:
        return " " + comparison() + " " + one_of({"0", "1", "-1", "0.5", "50ms", "(1 + 2) / 2"});
    }
  }

  // In a calculation, a pipeline is an operand in parentheses.
  std::string series(int depth) {
    if (depth > 0 && one_in(3)) return "(" + calculation(depth - 1) + ")";
    return "(" + pipeline() + " | " + function() + (one_in(4) ? second() : "") + ")";
  }

  std::string calculation(int depth) {
    const std::string op = " " + one_of({"+", "-", "*", "/"}) + " ";
    const std::string number = one_of({"0", "1", "2", "-1", "0.5", "(3 / 2)", "2 * 3"});
    switch (below(3)) {
      case 0:
        return series(depth) + op + number;
      case 1:
        return number + op + series(depth);
      default:
        return series(depth) + op + series(depth);
    }
  }

  std::mt19937_64 random_;
};

}  // namespace

std::string random_query(std::uint64_t seed, QueryKind kind) {
  QueryMaker maker(seed);
  return kind == QueryKind::Search ? maker.search() : maker.metrics();
}

std::string random_condition(std::uint64_t seed) {
  constexpr int kDepth = 3;
  return QueryMaker(seed).condition(kDepth);
}

}  // namespace gantry::traceql::testing
