#pragma once

// What the plain evaluator computes with: one sample, one element, one step at a time, labels as
// maps.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "promql/engine.h"
#include "promql/series_source.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::promqltest {

using PlainLabels = std::map<std::string, std::string>;
using HistogramPointer = std::shared_ptr<const telemetry::FloatHistogram>;

struct PlainSample {
  std::int64_t time_ms = 0;
  std::int64_t start_ms = 0;  ///< 0: unknown.
  double value = 0;
  HistogramPointer histogram;  ///< Null for a float.
};

struct PlainSeries {
  PlainLabels labels;
  bool drops_name = false;           ///< The name goes at the end of the query.
  std::vector<PlainSample> samples;  ///< By time.
};

struct PlainElement {
  PlainLabels labels;
  bool drops_name = false;
  double value = 0;
  HistogramPointer histogram;
};

using PlainVector = std::vector<PlainElement>;
using PlainSteps = std::vector<PlainVector>;  ///< A vector for each time of a grid.

struct PlainGrid {
  std::int64_t start_ms = 0;
  std::int64_t step_ms = 0;
  std::size_t count = 1;

  [[nodiscard]] std::int64_t time_ms(std::size_t step) const {
    return start_ms + (static_cast<std::int64_t>(step) * step_ms);
  }

  [[nodiscard]] std::int64_t last_ms() const { return time_ms(count - 1); }
};

/// Warnings and infos by text: of equal ones the last keeps its position.
class PlainNotes {
 public:
  void warn(std::string text, Position position) {
    notes_["w" + std::move(text)].position = position;
  }

  void info(std::string text, Position position) {
    notes_["i" + std::move(text)].position = position;
  }

  /// A classic histogram whose buckets `first` to `last` were lifted by at most `difference`.
  struct Repair {
    double first = 0;
    double last = 0;
    double difference = 0;
  };

  /// A warning that says how often it was given.
  void warn_counted(std::string text, Position position);

  void repaired(std::string text, const Repair& repair, std::int64_t time_ms, Position position);

  [[nodiscard]] Annotations finish(std::string_view query) const;

 private:
  struct Note {
    Position position;
    Repair repair;
    std::int64_t first_ms = 0;
    std::int64_t last_ms = 0;
    std::uint64_t repairs = 0;
    std::uint64_t occurrences = 0;
  };

  std::map<std::string, Note> notes_;
};

struct PlainContext {
  const EngineOptions& options;
  const SeriesSource& source;
  std::int64_t lookback_ms = 0;
  std::int64_t query_start_ms = 0;
  std::int64_t query_end_ms = 0;
  std::int64_t query_step_ms = 0;
  bool is_range_query = false;
  PlainNotes notes;
};

[[nodiscard]] std::string label_of(const PlainLabels& labels, const std::string& name);

/// Sets, or removes when the value is empty.
void set_label(PlainLabels& labels, const std::string& name, const std::string& value);

/// Without __name__, __type__ and __unit__.
[[nodiscard]] PlainLabels without_metadata(PlainLabels labels);

/// `{a="b", c="d"}` or `x{a="b"}`, as errors write label sets.
[[nodiscard]] std::string labels_text(const PlainLabels& labels);

[[nodiscard]] std::string go_quoted(std::string_view text);

[[nodiscard]] std::string general_text(double value);

/// Drops the name now, or (with delayed removal) at the end of the query.
void drop_name(const PlainContext& context, PlainElement& element);

[[nodiscard]] HistogramPointer share(telemetry::FloatHistogram histogram);

/// FailedPrecondition when two elements have the same labels.
[[nodiscard]] Result<void> check_unique(const PlainVector& vector);

[[nodiscard]] std::unexpected<Error> same_labelset();

/// Go's math.Max and math.Min.
[[nodiscard]] double larger(double a, double b);
[[nodiscard]] double smaller(double a, double b);

}  // namespace gantry::promql::promqltest
