#include "promql/testing/promqltest.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "core/cancel.h"
#include "promql/parser.h"
#include "promql/printer.h"
#include "promql/testing/classic_conversion.h"
#include "promql/testing/expected_result.h"
#include "promql/testing/memory_source.h"
#include "promql/testing/pin_time.h"
#include "promql/testing/script.h"

namespace gantry::promql::promqltest {

namespace {

constexpr std::int64_t kMinuteMs = 60'000;

/// One evaluation of an instant case.
struct Variant {
  std::string query;
  std::int64_t time_ms = 0;
};

std::vector<Variant> variants_of(const Eval& eval, const ParserOptions& options) {
  const std::int64_t time = eval.expects_range_vector ? eval.grid.end_ms : eval.grid.start_ms;
  std::vector<Variant> variants{{.query = eval.query, .time_ms = time}};
  auto parsed = parse(eval.query, options);
  if (!parsed || depends_on_evaluation_time(**parsed)) return variants;
  pin_to_time(**parsed, time);
  const std::string pinned = print(**parsed);
  const std::array<std::int64_t, 5> times =
      time == 0 ? std::array<std::int64_t, 5>{-1000, 0, 1000, 0, 0}
                : std::array<std::int64_t, 5>{-10 * time, 0, time / 5, time, 10 * time};
  for (std::size_t i = 0; i < (time == 0 ? 3 : times.size()); ++i) {
    variants.push_back({.query = pinned, .time_ms = times[i]});
  }
  return variants;
}

bool may_run_as_range(const Eval& eval) {
  // These mean something else in a range query.
  constexpr std::array<std::string_view, 4> kQueryBounds{"start()", "end()", "range()", "step()"};
  return !eval.expects_range_vector && !eval.expected_string &&
         std::ranges::none_of(kQueryBounds,
                              [&eval](std::string_view text) { return eval.query.contains(text); });
}

class Runner {
 public:
  explicit Runner(const Engine& engine) : engine_(engine) {}

  Report run(std::string_view text) {
    for (const Command& command : parse_script(text)) {
      const bool is_eval = std::holds_alternative<Eval>(command.body);
      if (is_eval) ++report_.eval_count;
      Mismatch failure = command.error;
      if (!failure) {
        failure = std::visit([this](const auto& body) { return run(body); }, command.body);
      }
      if (failure) {
        report_.failures.push_back({.line = command.line, .message = std::move(*failure)});
      } else if (is_eval) {
        ++report_.passed_count;
      }
    }
    return std::move(report_);
  }

 private:
  Mismatch run(const Clear& /*command*/) {
    source_.clear();
    return std::nullopt;
  }

  Mismatch run(const Load& load) {
    std::vector<LoadedSeries> loaded;
    for (const LoadedLine& line : load.lines) {
      LoadedSeries& series = loaded.emplace_back();
      series.labels = line.labels;
      for (std::size_t i = 0; i < line.items.size(); ++i) {
        const Item& item = line.items[i];
        if (item.is_omitted) continue;
        const std::int64_t time = static_cast<std::int64_t>(i) * load.step_ms;
        const auto offset = line.start_offsets_ms.empty() ? std::nullopt : line.start_offsets_ms[i];
        series.samples.push_back({.timestamp_ms = time,
                                  .start_timestamp_ms = offset ? time + *offset : 0,
                                  .value = item.value,
                                  .histogram = item.histogram});
      }
      source_.append(series.labels, series.samples);
    }
    if (!load.converts_classic_histograms) return std::nullopt;
    const auto converted = convert_classic_histograms(loaded);
    if (!converted) return converted.error().message;
    for (const LoadedSeries& series : *converted) source_.append(series.labels, series.samples);
    return std::nullopt;
  }

  Mismatch run(const Eval& eval) {
    if (const auto errors = parse_errors(eval.query, engine_.options().parser); !errors.empty()) {
      return fmt::format("does not parse: {}", errors.front().message);
    }
    if (eval.is_range) return run_range(eval);
    for (const Variant& variant : variants_of(eval, engine_.options().parser)) {
      if (auto mismatch = run_instant(eval, variant)) {
        return fmt::format("{} (`{}` at {} ms)", *mismatch, variant.query, variant.time_ms);
      }
    }
    return std::nullopt;
  }

  Mismatch run_range(const Eval& eval) {
    const auto answer = engine_.range({.query = eval.query,
                                       .start_ms = eval.grid.start_ms,
                                       .end_ms = eval.grid.end_ms,
                                       .step_ms = eval.grid.step_ms,
                                       .lookback_ms = std::nullopt},
                                      source_, CancelToken());
    if (!answer) return compare_failure(eval, answer.error().message);
    if (eval.has(ExpectKind::Fail)) return "expected an error, got none";
    if (auto mismatch = compare_value(eval, answer->value)) return mismatch;
    return compare_annotations(eval, answer->annotations);
  }

  Mismatch run_instant(const Eval& eval, const Variant& variant) {
    const auto answer = engine_.instant(
        {.query = variant.query, .time_ms = variant.time_ms, .lookback_ms = std::nullopt}, source_,
        CancelToken());
    if (!answer) return compare_failure(eval, answer.error().message);
    if (eval.has(ExpectKind::Fail)) return "expected an error, got none";
    if (auto mismatch = compare_value(eval, answer->value)) return mismatch;
    if (auto mismatch = compare_annotations(eval, answer->annotations)) return mismatch;
    return may_run_as_range(eval) ? run_in_the_middle(eval, variant) : std::nullopt;
  }

  Mismatch run_in_the_middle(const Eval& eval, const Variant& variant) {
    const auto answer = engine_.range({.query = variant.query,
                                       .start_ms = variant.time_ms - kMinuteMs,
                                       .end_ms = variant.time_ms + kMinuteMs,
                                       .step_ms = kMinuteMs,
                                       .lookback_ms = std::nullopt},
                                      source_, CancelToken());
    if (!answer) return fmt::format("as a range query: error: {}", answer.error().message);
    // A range query's answer is sorted by labels, whatever the order of the instant one.
    if (eval.has(ExpectKind::Ordered)) return std::nullopt;
    auto mismatch = compare_at(eval, answer->value, variant.time_ms);
    if (mismatch) mismatch = "as a range query: " + *mismatch;
    return mismatch;
  }

  const Engine& engine_;
  MemorySource source_;
  Report report_;
};

}  // namespace

EngineOptions script_engine_options() {
  EngineOptions options;
  options.parser = {.experimental_functions = true,
                    .duration_expressions = true,
                    .extended_range_selectors = true,
                    .binop_fill_modifiers = true};
  options.delayed_name_removal = true;
  options.use_start_timestamps = true;
  options.samples_max = 10'000;
  return options;
}

Report run_script(std::string_view text, const Engine& engine) {
  return Runner(engine).run(text);
}

}  // namespace gantry::promql::promqltest
