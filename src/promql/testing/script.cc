#include "promql/testing/script.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <re2/re2.h>

#include "core/duration.h"
#include "core/error.h"
#include "core/number_format.h"
#include "promql/lexer.h"
#include "promql/series_description.h"
#include "telemetry/sample.h"

namespace gantry::promql::promqltest {

namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

/// Trimmed; a comment is an empty line.
std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trim(text.substr(0, end));
    lines.push_back(line.starts_with('#') ? std::string_view() : line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string first_word(std::string_view line) {
  std::string word(line.substr(0, line.find_first_of(" \t")));
  std::ranges::transform(word, word.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return word;
}

Result<std::int64_t> parse_milliseconds(const std::string& text) {
  GANTRY_TRY(const DurationMs duration, core::parse_duration(text));
  return duration.count;
}

Result<TimeGrid> parse_grid(const std::string& from, const std::string& to,
                            const std::string& step) {
  TimeGrid grid;
  GANTRY_TRY(grid.start_ms, parse_milliseconds(from));
  GANTRY_TRY(grid.end_ms, parse_milliseconds(to));
  GANTRY_TRY(grid.step_ms, parse_milliseconds(step));
  if (grid.end_ms < grid.start_ms) {
    return fail(Code::InvalidArgument, fmt::format("{} is before {}", to, from));
  }
  return grid;
}

// ---- series lines

Item to_item(const SeriesItem& item) {
  if (std::holds_alternative<OmittedItem>(item)) return {.is_omitted = true};
  if (std::holds_alternative<StaleItem>(item)) return {.value = telemetry::stale_nan()};
  if (const auto* value = std::get_if<double>(&item)) return {.value = *value};
  const auto& written = std::get<SeriesHistogram>(item);
  return {.histogram = written.histogram, .is_hint_written = written.is_hint_written};
}

Result<ExpectedSeries> parse_series_line(std::string_view line) {
  GANTRY_TRY(SeriesDescription description, parse_series_description(line));
  ExpectedSeries series{.labels = std::move(description.labels), .items = {}};
  std::ranges::transform(description.items, std::back_inserter(series.items), to_item);
  return series;
}

// ---- load

using Lines = std::span<const std::string_view>;

Result<Load> parse_load(std::string_view head, Lines lines) {
  static const RE2 kPattern(R"((?i)load(?:_(with_nhcb))?\s+(\S+))");
  Load load;
  std::string suffix;
  std::string step;
  if (!RE2::FullMatch(head, kPattern, &suffix, &step)) {
    return fail(Code::InvalidArgument, "expected `load <step>` or `load_with_nhcb <step>`");
  }
  load.converts_classic_histograms = !suffix.empty();
  GANTRY_TRY(load.step_ms, parse_milliseconds(step));
  std::optional<StartTimestampDescription> pending;
  for (const std::string_view line : lines) {
    if (is_start_timestamp_description(line)) {
      if (pending) return fail(Code::InvalidArgument, "@st line without a sample line");
      GANTRY_TRY(pending, parse_start_timestamp_description(line));
      continue;
    }
    GANTRY_TRY(ExpectedSeries series, parse_series_line(line));
    LoadedLine& loaded = load.lines.emplace_back();
    loaded.labels = std::move(series.labels);
    loaded.items = std::move(series.items);
    if (!pending) continue;
    if (pending->labels != loaded.labels || pending->offsets_ms.size() != loaded.items.size()) {
      return fail(Code::InvalidArgument,
                  fmt::format("@st line does not fit the line after it: {}", line));
    }
    loaded.start_offsets_ms = std::move(pending->offsets_ms);
    pending.reset();
  }
  if (pending) return fail(Code::InvalidArgument, "@st line without a sample line");
  return load;
}

// ---- eval

/// The old spellings eval_fail, eval_warn…
Result<void> add_modifier(std::string_view modifier, Eval& eval) {
  if (modifier.empty()) return {};
  constexpr std::array<std::pair<std::string_view, ExpectKind>, 4> kModifiers{
      {{"fail", ExpectKind::Fail},
       {"warn", ExpectKind::Warn},
       {"info", ExpectKind::Info},
       {"ordered", ExpectKind::Ordered}}};
  for (const auto& [name, kind] : kModifiers) {
    if (name != modifier) continue;
    eval.expectations.push_back({.kind = kind, .match = ExpectMatch::Any, .text = ""});
    return {};
  }
  return fail(Code::InvalidArgument, fmt::format("unknown command eval_{}", modifier));
}

Result<Eval> parse_eval_head(std::string_view head) {
  static const RE2 kInstant(R"((?i:eval(?:_(\w+))?\s+instant\s+at)\s+(\S+)\s+(.+))");
  static const RE2 kRange(
      R"((?i:eval(?:_(\w+))?\s+range\s+from)\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+))");
  Eval eval;
  std::string modifier;
  std::string from;
  std::string to;
  std::string step;
  if (RE2::FullMatch(head, kInstant, &modifier, &from, &eval.query)) {
    GANTRY_TRY(eval.grid.start_ms, parse_milliseconds(from));
  } else if (RE2::FullMatch(head, kRange, &modifier, &from, &to, &step, &eval.query)) {
    eval.is_range = true;
    GANTRY_TRY(eval.grid, parse_grid(from, to, step));
  } else {
    return fail(Code::InvalidArgument,
                "expected `eval instant at <time> <query>` or `eval range from <start> to <end> "
                "step <step> <query>`");
  }
  GANTRY_CHECK(add_modifier(modifier, eval));
  return eval;
}

Result<Expectation> parse_expectation(std::string_view line) {
  static const RE2 kPattern(R"(expect\s+(\w+)(?:\s+(msg|regex):(.*))?)");
  constexpr std::array<std::pair<std::string_view, ExpectKind>, 6> kKinds{
      {{"fail", ExpectKind::Fail},
       {"warn", ExpectKind::Warn},
       {"no_warn", ExpectKind::NoWarn},
       {"info", ExpectKind::Info},
       {"no_info", ExpectKind::NoInfo},
       {"ordered", ExpectKind::Ordered}}};
  std::string kind;
  std::string match;
  std::string text;
  if (RE2::FullMatch(line, kPattern, &kind, &match, &text)) {
    for (const auto& [name, value] : kKinds) {
      if (name != kind) continue;
      const ExpectMatch how = match.empty()    ? ExpectMatch::Any
                              : match == "msg" ? ExpectMatch::Equals
                                               : ExpectMatch::Regex;
      return Expectation{.kind = value, .match = how, .text = std::string(trim(text))};
    }
  }
  return fail(Code::InvalidArgument, fmt::format("not an expect line: {}", line));
}

Result<void> parse_expect_line(std::string_view line, Eval& eval) {
  static const RE2 kRangeVector(
      R"(expect\s+range\s+vector\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+))");
  static const RE2 kString(R"re(expect\s+string\s+(".*"|`.*`))re");
  std::string from;
  std::string to;
  std::string step;
  std::string quoted;
  if (RE2::FullMatch(line, kRangeVector, &from, &to, &step)) {
    if (eval.is_range) {
      return fail(Code::InvalidArgument, "`expect range vector` belongs to an instant query");
    }
    eval.expects_range_vector = true;
    GANTRY_TRY(eval.grid, parse_grid(from, to, step));
    return {};
  }
  if (RE2::FullMatch(line, kString, &quoted)) {
    eval.expected_string = unquote(quoted);
    return {};
  }
  GANTRY_TRY(Expectation expectation, parse_expectation(line));
  eval.expectations.push_back(std::move(expectation));
  return {};
}

/// The line that fixes the error of an eval_fail.
bool parse_failure_text(std::string_view line, Eval& eval) {
  constexpr std::array<std::pair<std::string_view, ExpectMatch>, 2> kPrefixes{
      {{"expected_fail_message", ExpectMatch::Equals},
       {"expected_fail_regexp", ExpectMatch::Regex}}};
  for (const auto& [prefix, match] : kPrefixes) {
    if (!eval.has(ExpectKind::Fail) || !line.starts_with(prefix)) continue;
    eval.expectations = {{.kind = ExpectKind::Fail,
                          .match = match,
                          .text = std::string(trim(line.substr(prefix.size())))}};
    return true;
  }
  return false;
}

Result<void> check_expectations(const Eval& eval) {
  if ((eval.has(ExpectKind::Warn) && eval.has(ExpectKind::NoWarn)) ||
      (eval.has(ExpectKind::Info) && eval.has(ExpectKind::NoInfo))) {
    return fail(Code::InvalidArgument, "expects annotations of a kind, and none of it");
  }
  if (std::ranges::count(eval.expectations, ExpectKind::Fail, &Expectation::kind) > 1) {
    return fail(Code::InvalidArgument, "more than one `expect fail`");
  }
  return {};
}

Result<Eval> parse_eval(std::string_view head, Lines lines) {
  GANTRY_TRY(Eval eval, parse_eval_head(head));
  for (const std::string_view line : lines) {
    if (parse_failure_text(line, eval)) continue;
    if (line.substr(0, line.find(' ')) == "expect") {
      GANTRY_CHECK(parse_expect_line(line, eval));
      continue;
    }
    if (eval.expected_scalar) {
      return fail(Code::InvalidArgument, "nothing may follow an expected scalar");
    }
    if (const auto number = core::parse_float(line)) {
      eval.expected_scalar = *number;
      continue;
    }
    GANTRY_TRY(ExpectedSeries series, parse_series_line(line));
    if (!eval.is_range && !eval.expects_range_vector && series.items.size() != 1) {
      return fail(Code::InvalidArgument,
                  fmt::format("an instant query has one value per series: {}", line));
    }
    eval.expected.push_back(std::move(series));
  }
  GANTRY_CHECK(check_expectations(eval));
  return eval;
}

template <class Body>
Command make_command(int line, Result<Body> parsed) {
  Command command{.line = line, .error = std::nullopt, .body = Body{}};
  if (parsed) {
    command.body = std::move(*parsed);
  } else {
    command.error = std::move(parsed.error().message);
  }
  return command;
}

}  // namespace

bool Eval::has(ExpectKind kind) const {
  return std::ranges::find(expectations, kind, &Expectation::kind) != expectations.end();
}

std::vector<Command> parse_script(std::string_view text) {
  const auto lines = split_lines(text);
  std::vector<Command> commands;
  std::size_t index = 0;
  while (index < lines.size()) {
    if (lines[index].empty()) {
      ++index;
      continue;
    }
    const std::string word = first_word(lines[index]);
    const auto number = static_cast<int>(index + 1);
    std::size_t end = index + 1;
    if (word == "clear") {
      commands.push_back({.line = number, .error = std::nullopt, .body = Clear{}});
    } else if (word.starts_with("load") || word.starts_with("eval")) {
      while (end < lines.size() && !lines[end].empty()) ++end;
      const Lines block = Lines(lines).subspan(index + 1, end - index - 1);
      commands.push_back(word.starts_with("load")
                             ? make_command(number, parse_load(lines[index], block))
                             : make_command(number, parse_eval(lines[index], block)));
    } else {
      commands.push_back({.line = number,
                          .error = fmt::format("no command starts with: {}", lines[index]),
                          .body = Clear{}});
    }
    index = end;
  }
  return commands;
}

}  // namespace gantry::promql::promqltest
