#include "promql/testing/plain_functions.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <set>

#include <re2/re2.h>

#include "promql/histogram/statistics.h"

namespace gantry::promql::promqltest {

namespace {

using Id = FunctionId;

/// The functions of one number, and no others.
std::optional<double> of_number(Id function, double v) {
  switch (function) {
    case Id::Abs:
      return std::fabs(v);
    case Id::Ceil:
      return std::ceil(v);
    case Id::Floor:
      return std::floor(v);
    case Id::Exp:
      return std::exp(v);
    case Id::Sqrt:
      return std::sqrt(v);
    case Id::Ln:
      return std::log(v);
    case Id::Log2:
      return std::log2(v);
    case Id::Log10:
      return std::log10(v);
    case Id::Sgn:
      return v < 0 ? -1 : v > 0 ? 1 : v;
    case Id::Deg:
      return v * 180 / std::numbers::pi;
    case Id::Rad:
      return v * std::numbers::pi / 180;
    default:
      return std::nullopt;
  }
}

std::optional<double> of_angle(Id function, double v) {
  switch (function) {
    case Id::Sin:
      return std::sin(v);
    case Id::Cos:
      return std::cos(v);
    case Id::Tan:
      return std::tan(v);
    case Id::Asin:
      return std::asin(v);
    case Id::Acos:
      return std::acos(v);
    case Id::Atan:
      return std::atan(v);
    case Id::Sinh:
      return std::sinh(v);
    case Id::Cosh:
      return std::cosh(v);
    case Id::Tanh:
      return std::tanh(v);
    case Id::Asinh:
      return std::asinh(v);
    case Id::Acosh:
      return std::acosh(v);
    case Id::Atanh:
      return std::atanh(v);
    default:
      return std::nullopt;
  }
}

bool is_of_calendar(Id function) {
  return function == Id::DayOfMonth || function == Id::DayOfWeek || function == Id::DayOfYear ||
         function == Id::DaysInMonth || function == Id::Hour || function == Id::Minute ||
         function == Id::Month || function == Id::Year;
}

double of_calendar(Id function, double seconds) {
  using std::chrono::days;
  if (!(std::fabs(seconds) < 9.2e18)) return std::nan("");
  // The calendar repeats after 400 years, and years of std::chrono end soon.
  constexpr std::int64_t kYearsPerEra = 400;
  constexpr std::int64_t kSecondsPerEra = std::int64_t{146'097} * 86'400;
  const auto whole = static_cast<std::int64_t>(seconds);
  const std::int64_t era = whole / kSecondsPerEra;
  const std::chrono::sys_seconds when{std::chrono::seconds(whole % kSecondsPerEra)};
  const auto day = std::chrono::floor<days>(when);
  const std::chrono::year_month_day date(day);
  switch (function) {
    case Id::DayOfMonth:
      return static_cast<unsigned>(date.day());
    case Id::DayOfWeek:
      return std::chrono::weekday(day).c_encoding();
    case Id::DayOfYear:
      return static_cast<double>((day - std::chrono::sys_days(date.year() / 1 / 1)).count() + 1);
    case Id::DaysInMonth:
      return static_cast<unsigned>((date.year() / date.month() / std::chrono::last).day());
    case Id::Hour:
      return static_cast<double>(std::chrono::floor<std::chrono::hours>(when - day).count());
    case Id::Minute:
      return static_cast<double>(std::chrono::floor<std::chrono::minutes>(when - day).count() % 60);
    case Id::Month:
      return static_cast<unsigned>(date.month());
    default:
      return static_cast<double>(static_cast<int>(date.year()) + (era * kYearsPerEra));
  }
}

/// round, clamp and its kin, and the functions of one number or time.
std::optional<double> of_float(const PlainArguments& arguments, double v) {
  const Id function = arguments.call.function->id;
  switch (function) {
    case Id::Round: {
      const double inverse = 1.0 / (arguments.scalars.size() > 1 ? arguments.scalars[1] : 1);
      return std::floor((v * inverse) + 0.5) / inverse;
    }
    case Id::Clamp:
      return larger(arguments.scalars[1], smaller(arguments.scalars[2], v));
    case Id::ClampMin:
      return larger(arguments.scalars[1], smaller(std::numeric_limits<double>::infinity(), v));
    case Id::ClampMax:
      return larger(-std::numeric_limits<double>::infinity(), smaller(arguments.scalars[1], v));
    default:
      if (is_of_calendar(function)) return of_calendar(function, v);
      if (const auto answer = of_number(function, v)) return answer;
      return of_angle(function, v);
  }
}

std::optional<double> of_histogram(Id function, const telemetry::FloatHistogram& h) {
  switch (function) {
    case Id::HistogramCount:
      return h.count;
    case Id::HistogramSum:
      return h.sum;
    case Id::HistogramAvg:
      return h.sum / h.count;
    case Id::HistogramStdvar:
      return histogram::variance(h);
    case Id::HistogramStddev:
      return std::sqrt(histogram::variance(h));
    default:
      return std::nullopt;
  }
}

/// Digit runs compare as numbers.
bool is_naturally_less(std::string_view a, std::string_view b) {
  std::size_t i = 0;
  std::size_t j = 0;
  const auto digits = [](std::string_view text, std::size_t from) {
    std::size_t end = from;
    while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end])) != 0) ++end;
    return text.substr(from, end - from);
  };
  while (i < a.size() && j < b.size()) {
    const std::string_view x = digits(a, i);
    const std::string_view y = digits(b, j);
    if (!x.empty() && !y.empty()) {
      const double left = std::stod(std::string(x));
      const double right = std::stod(std::string(y));
      if (left != right) return left < right;
      i += x.size();
      j += y.size();
      continue;
    }
    if (a[i] != b[j]) return a[i] < b[j];
    ++i;
    ++j;
  }
  return a.size() - i < b.size() - j;
}

PlainVector sorted(const PlainArguments& arguments) {
  const Id function = arguments.call.function->id;
  PlainVector vector = arguments.vectors[0];
  if (function == Id::Sort || function == Id::SortDesc) {
    std::erase_if(vector, [](const PlainElement& element) { return element.histogram != nullptr; });
  }
  if (!arguments.is_instant) return vector;
  if (function == Id::SortByLabel || function == Id::SortByLabelDesc) {
    std::ranges::stable_sort(vector, [&](const PlainElement& a, const PlainElement& b) {
      const bool is_up = function == Id::SortByLabel;
      for (std::size_t i = 1; i < arguments.texts.size(); ++i) {
        const std::string left = label_of(a.labels, arguments.texts[i]);
        const std::string right = label_of(b.labels, arguments.texts[i]);
        if (left != right) return is_naturally_less(left, right) == is_up;
      }
      return is_up ? a.labels < b.labels : b.labels < a.labels;
    });
    return vector;
  }
  std::ranges::stable_sort(vector, [&](const PlainElement& a, const PlainElement& b) {
    if (std::isnan(a.value) || std::isnan(b.value))
      return !std::isnan(a.value) && std::isnan(b.value);
    return function == Id::Sort ? a.value < b.value : a.value > b.value;
  });
  return vector;
}

PlainElement bare(double value) {
  return {.labels = {}, .drops_name = false, .value = value, .histogram = nullptr};
}

/// $1, ${1}, $name, ${name}, $$, as Go's regexp.Expand has them.
std::string expand(const std::string& pattern, const RE2& regex,
                   const std::vector<re2::StringPiece>& groups) {
  std::string result;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '$' || i + 1 == pattern.size()) {
      result += pattern[i];
      continue;
    }
    if (pattern[i + 1] == '$') {
      result += '$';
      ++i;
      continue;
    }
    const bool is_braced = pattern[i + 1] == '{';
    std::size_t end = i + 1 + (is_braced ? 1 : 0);
    const std::size_t begin = end;
    while (end < pattern.size() &&
           (std::isalnum(static_cast<unsigned char>(pattern[end])) != 0 || pattern[end] == '_'))
      ++end;
    const bool is_closed = !is_braced || (end < pattern.size() && pattern[end] == '}');
    if (end == begin || !is_closed) {
      result += '$';
      continue;
    }
    const std::string name = pattern.substr(begin, end - begin);
    const bool is_number =
        std::ranges::all_of(name, [](unsigned char c) { return std::isdigit(c) != 0; });
    std::size_t group = groups.size();
    if (is_number) {
      group = std::stoul(name);
    } else if (const auto found = regex.NamedCapturingGroups().find(name);
               found != regex.NamedCapturingGroups().end()) {
      group = static_cast<std::size_t>(found->second);
    }
    if (group < groups.size()) result += std::string(groups[group]);
    i = is_braced ? end : end - 1;
  }
  return result;
}

Result<PlainVector> replaced(const PlainArguments& arguments) {
  const auto& texts = arguments.texts;
  RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  const RE2 regex(texts[4], options);
  if (!regex.ok())
    return fail(Code::FailedPrecondition,
                "invalid regular expression in label_replace(): " + texts[4]);
  PlainVector result;
  for (PlainElement element : arguments.vectors[0]) {
    const std::string source = label_of(element.labels, texts[3]);
    std::vector<re2::StringPiece> groups(static_cast<std::size_t>(regex.NumberOfCapturingGroups()) +
                                         1);
    if (regex.Match(source, 0, source.size(), RE2::ANCHOR_BOTH, groups.data(),
                    static_cast<int>(groups.size()))) {
      set_label(element.labels, texts[1], expand(texts[2], regex, groups));
      if (texts[1] == "__name__") element.drops_name = false;
    }
    result.push_back(std::move(element));
  }
  return result;
}

PlainVector joined(const PlainArguments& arguments) {
  const auto& texts = arguments.texts;
  PlainVector result;
  for (PlainElement element : arguments.vectors[0]) {
    std::string text;
    for (std::size_t i = 3; i < texts.size(); ++i)
      text += (i > 3 ? texts[2] : "") + label_of(element.labels, texts[i]);
    set_label(element.labels, texts[1], text);
    if (texts[1] == "__name__") element.drops_name = false;
    result.push_back(std::move(element));
  }
  return result;
}

}  // namespace

Position PlainArguments::argument_position(std::size_t index) const {
  return strip_parens(*call.arguments[index]).position;
}

PlainLabels absent_labels(const Expr& argument) {
  const Expr& inside = strip_parens(argument);
  const VectorSelector* selector = std::get_if<VectorSelector>(&inside.node);
  if (const auto* range = std::get_if<MatrixSelector>(&inside.node)) selector = &range->selector;
  PlainLabels labels;
  if (selector == nullptr) return labels;
  std::set<std::string> seen;
  for (const Matcher& matcher : selector->matchers) {
    if (matcher.name() == "__name__") continue;
    if (matcher.op() == MatchOp::Equal && seen.insert(matcher.name()).second) {
      set_label(labels, matcher.name(), matcher.value());
    } else {
      labels.erase(matcher.name());
    }
  }
  return labels;
}

Result<PlainVector> call_step(PlainContext& context, const PlainArguments& arguments) {
  const Id function = arguments.call.function->id;
  switch (function) {
    case Id::Absent:
      if (!arguments.vectors[0].empty()) return PlainVector{};
      return PlainVector{{.labels = absent_labels(*arguments.call.arguments[0]),
                          .drops_name = false,
                          .value = 1,
                          .histogram = nullptr}};
    case Id::Vector:
      return PlainVector{bare(arguments.scalars[0])};
    case Id::HistogramQuantile:
    case Id::HistogramQuantiles:
    case Id::HistogramFraction:
      return histogram_call(context, arguments);
    case Id::Sort:
    case Id::SortDesc:
    case Id::SortByLabel:
    case Id::SortByLabelDesc:
      return sorted(arguments);
    default:
      break;
  }
  if (is_of_calendar(function) && arguments.call.arguments.empty()) {
    return PlainVector{
        bare(of_calendar(function, std::trunc(static_cast<double>(arguments.step_ms) / 1000)))};
  }
  PlainVector result;
  if (function == Id::Clamp && arguments.scalars[2] < arguments.scalars[1]) return result;
  for (PlainElement element : arguments.vectors[0]) {
    const std::optional<double> value = element.histogram
                                            ? of_histogram(function, *element.histogram)
                                            : of_float(arguments, element.value);
    if (!value) continue;
    drop_name(context, element);
    element.value = *value;
    element.histogram = nullptr;
    result.push_back(std::move(element));
  }
  return result;
}

Result<PlainVector> label_call(const PlainArguments& arguments) {
  if (arguments.call.function->id == Id::LabelReplace) return replaced(arguments);
  return joined(arguments);
}

}  // namespace gantry::promql::promqltest
