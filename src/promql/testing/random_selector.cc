#include "promql/testing/random_selector.h"

#include "promql/testing/vocabulary.h"

namespace gantry::promql::promqltest {

namespace {

constexpr Words kGroupings = {"job",       "instance", "job, instance", "code",
                              "job, code", "le",       "job, le",       "queue",
                              "",          "__name__", "job, nope"};
constexpr Words kOffsets = {"1m", "30s", "7s", "5m", "2m"};

}  // namespace

std::size_t RandomSelector::below(std::size_t end) {
  return random_() % end;
}

bool RandomSelector::one_in(std::size_t n) {
  return below(n) == 0;
}

std::string RandomSelector::one_of(Words words) {
  return std::string(words.begin()[below(words.size())]);
}

std::string RandomSelector::joined(std::initializer_list<std::string> parts) {
  std::string text;
  for (const std::string& part : parts) text += part;
  return text;
}

std::string RandomSelector::matcher() {
  switch (below(10)) {
    case 0:
    case 1:
    case 2:
      return "job=\"" + one_of(kJobs) + "\"";
    case 3:
    case 4:
      return "instance=~\"" + one_of({"i0|i1", "i.*", "i[12]", ".+"}) + "\"";
    case 5:
      return "instance!=\"" + one_of(kInstances) + "\"";
    case 6:
      return "job!~\"" + one_of({"api", "d.", "nope|web"}) + "\"";
    case 7:
      return "code=~\"" + one_of({"", "2..", ".*", "200|500"}) + "\"";
    case 8:
      return "nope=\"\"";
    default:
      return one_of({"code!=\"404\"", "queue=\"in\"", "le=\"+Inf\"", "nope=\"x\"", "queue!=\"\""});
  }
}

std::string RandomSelector::braced(const std::string& name) {
  if (!one_in(3)) return name;
  std::string text = name + "{" + matcher();
  while (one_in(3)) text += ", " + matcher();
  return text + "}";
}

std::string RandomSelector::name_of_any() {
  if (features_.histograms && !features_.prometheus_2_42 && one_in(3))
    return one_of(kNativeMetrics);
  switch (below(8)) {
    case 0:
    case 1:
      return std::string(kCodeMetric);
    case 2:
      return std::string(kQueueMetric);
    case 3:
      return std::string(kBucketMetric);
    case 4:
      return one_in(2) ? one_of(kInfoMetrics) : "latency_seconds_count";
    default:
      return one_of(kPairMetrics);
  }
}

std::string RandomSelector::selector_without_time() {
  if (one_in(40)) return braced("nothing_here");
  if (features_.quoted_names && !features_.prometheus_2_42 && one_in(12)) {
    return one_of({R"({"http.requests"})", R"({"http.requests", "service.name"="a"})",
                   R"({"http.requests", "service.name"=~".*c", job!="db"})",
                   R"({"errors_total"})"});
  }
  if (one_in(25)) {
    return one_of({R"({__name__=~"errors_total|hits"})", R"({job="api", instance="i0"})",
                   R"({__name__=~"up|temperature", job!="web"})", R"({__name__=~"late.*"})"});
  }
  return braced(name_of_any());
}

std::string RandomSelector::at() {
  switch (below(4)) {
    case 0:
      return " @ start()";
    case 1:
      return " @ end()";
    default: {
      const auto span = features_.data_end_seconds - features_.data_start_seconds + 1;
      return " @ " +
             std::to_string(features_.data_start_seconds +
                            static_cast<std::int64_t>(below(static_cast<std::size_t>(span))));
    }
  }
}

std::string RandomSelector::offset() {
  if (features_.duration_expressions && !features_.prometheus_2_42 && one_in(4)) {
    return " offset " + one_of({"(1m-7s)", "min_of(1m, 20)", "(2*step())", "-(30s/2)",
                                "(range()/10)", "(61 % 1m)"});
  }
  const std::string sign = features_.time_modifiers && one_in(4) ? "-" : "";
  return " offset " + sign + one_of(kOffsets);
}

std::string RandomSelector::time_modifiers() {
  std::string text;
  if (one_in(8)) text = offset();
  if (features_.time_modifiers && one_in(12)) text = one_in(2) ? text + at() : at() + text;
  return text;
}

std::string RandomSelector::selector() {
  std::string text = joined({selector_without_time(), time_modifiers()});
  if (has_extended_ranges() && one_in(15)) text += one_in(5) ? " anchored" : " smoothed";
  return text;
}

bool RandomSelector::has_extended_ranges() const {
  return features_.extended_ranges && !features_.prometheus_2_42;
}

std::string RandomSelector::range_duration() {
  if (features_.duration_expressions && !features_.prometheus_2_42 && one_in(10)) {
    return one_of({"2*45s", "max_of(step(), 2m)", "5m-17s", "(range()+1m)/2", "step()*3+1m", "2^7",
                   "-(1-4m)", "300"});
  }
  return one_of(kRanges);
}

std::string RandomSelector::number() {
  if (!features_.prometheus_2_42 && one_in(12))
    return one_of({"1_000", "5m", "0x_1f", "017", "1m30s"});
  if (one_in(12)) return one_of({"NaN", "Inf", "-Inf", "+inf", "1e300", "-1e-300", "-0", "0x1F"});
  return one_of(
      {"0", "1", "2", "0.5", "-1", "3", "1e3", "0.1", "100", "2.5", "-0.25", ".75", "10."});
}

std::string RandomSelector::grouping() {
  if (features_.quoted_names && !features_.prometheus_2_42 && one_in(15))
    return R"re(("service.name", job))re";
  return "(" + one_of(kGroupings) + ")";
}

std::string RandomSelector::label_replacement() {
  return one_of({R"re("dst", "$1", "job", "(.*)")re", R"re("job", "x-${1}", "instance", "i(.)")re",
                 R"re("instance", "", "instance", ".*")re",
                 R"re("dst", "$1$2", "nope", "(.*)(b?)")re",
                 R"re("__name__", "renamed", "job", "api|db")re",
                 R"re("dst", "${name}y", "__name__", "(?P<name>[a-z]+)_.*")re",
                 R"re("code", "$1abc", "code", "(.)..")re", R"re("dst", "a$$b", "job", "")re"});
}

std::string RandomSelector::fill() {
  if (!features_.fill || features_.prometheus_2_42 || !one_in(5)) return "";
  return one_of({"fill(0) ", "fill_left(1) ", "fill_right(-2.5) ", "fill_left(0) fill_right(3) ",
                 "fill(NaN) "});
}

std::string RandomSelector::arithmetic() {
  // In 2.42 a name stays after atan2; and remainders make much of a last digit, which functions of
  // the C library have otherwise.
  if (features_.prometheus_2_42) return one_of({"+", "-", "*", "/", "^"});
  return one_of(kArithmetic);
}

std::string RandomSelector::element_operator() {
  if (features_.histograms && !features_.prometheus_2_42 && one_in(10))
    return one_of({"</", ">/"}) + " ";
  if (!one_in(3)) return arithmetic() + " ";
  return joined({one_of(kComparisons), " ", one_in(3) ? "bool " : ""});
}

// Where several elements may match one. Whether a pair that a comparison drops is a match has
// changed.
std::string RandomSelector::many_operator() {
  const std::string op = element_operator();
  if (!features_.prometheus_2_42 || op.ends_with("bool ")) return op;
  return std::string_view("=!<>").contains(op.front()) ? op + "bool " : op;
}

}  // namespace gantry::promql::promqltest
