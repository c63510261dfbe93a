#pragma once

// Scripts that test the engine, in the language of Prometheus's promqltest: blocks of `load`,
// `eval` and `clear`.
//
//   load 5m
//     requests_total{job="api"} 0+10x10
//
//   eval instant at 50m sum(rate(requests_total[10m]))
//     expect no_warn
//     {} 0.03333333333333333
//
// Reading never stops at a broken block: the block says what is wrong with it.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "promql/testing/memory_source.h"
#include "telemetry/labels.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::promqltest {

/// One position of a series line.
struct Item {
  bool is_omitted = false;
  double value = 0;
  std::shared_ptr<const telemetry::FloatHistogram> histogram;  ///< Null for a float.
  bool is_hint_written = false;
};

struct LoadedLine {
  telemetry::Labels labels;
  std::vector<Item> items;
  /// Empty, or one per item: start time less the sample's time; absent: unknown.
  std::vector<std::optional<std::int64_t>> start_offsets_ms;
};

struct Clear {};

struct Load {
  std::int64_t step_ms = 0;
  bool converts_classic_histograms = false;
  std::vector<LoadedLine> lines;
};

enum class ExpectKind : std::uint8_t { Fail, Warn, NoWarn, Info, NoInfo, Ordered };
enum class ExpectMatch : std::uint8_t { Any, Equals, Regex };

struct Expectation {
  ExpectKind kind = ExpectKind::Fail;
  ExpectMatch match = ExpectMatch::Any;
  std::string text;
};

struct ExpectedSeries {
  telemetry::Labels labels;
  std::vector<Item> items;
};

/// Item k of an expected series is for start + k * step.
struct TimeGrid {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;
};

struct Eval {
  std::string query;
  bool is_range = false;
  TimeGrid grid;  ///< Instant: start is the time, or the written grid of `expect range vector`.
  bool expects_range_vector = false;
  std::vector<Expectation> expectations;
  std::optional<std::string> expected_string;
  std::optional<double> expected_scalar;
  std::vector<ExpectedSeries> expected;  ///< In written order.

  [[nodiscard]] bool has(ExpectKind kind) const;
};

struct Command {
  int line = 0;                      ///< 1-based, of the command.
  std::optional<std::string> error;  ///< The block does not parse: what and where.
  std::variant<Clear, Load, Eval> body;
};

/// A line where no command starts is a Clear with an error.
[[nodiscard]] std::vector<Command> parse_script(std::string_view text);

}  // namespace gantry::promql::promqltest
