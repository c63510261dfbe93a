#pragma once

// Warnings and infos of one evaluation: Prometheus's texts, one entry per text, with the position
// of the expression concerned.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "promql/ast.h"
#include "promql/engine.h"
#include "promql/kernels/classic_histogram.h"

namespace gantry::promql::eval {

enum class Severity : std::uint8_t { Warning, Info };

/// Not thread-safe: each batch has its own, merged in batch order. Of equal texts the one added
/// last keeps its position.
class AnnotationSet {
 public:
  void warn(std::string text, Position position) {
    add(Severity::Warning, std::move(text), position);
  }

  void info(std::string text, Position position) { add(Severity::Info, std::move(text), position); }

  /// A repaired classic histogram at one step; all steps and groups become one info.
  void add_monotonicity_fix(std::string_view metric_name, const kernels::MonotonicityFix& fix,
                            std::int64_t timestamp_ms, Position position);

  /// `count` steps of series at which start times overlap; of one metric name they become one
  /// warning.
  void add_start_time_overlaps(std::string_view metric_name, std::uint64_t count,
                               Position position);

  void merge(const AnnotationSet& other);

  [[nodiscard]] bool is_empty() const { return entries_.empty(); }

  /// As the API prints them, positions worked out against `query`.
  [[nodiscard]] Annotations finish(std::string_view query) const;

 private:
  struct Repairs {
    kernels::MonotonicityFix fix;
    std::uint64_t count = 0;
    std::int64_t first_ms = 0;
    std::int64_t last_ms = 0;
  };

  struct Entry {
    Severity severity = Severity::Warning;
    std::string text;
    Position position;
    Repairs repairs;                ///< Details follow the text when count > 0.
    std::uint64_t occurrences = 0;  ///< Follow the text when above 1.
  };

  Entry& add(Severity severity, std::string text, Position position);
  static void join(Repairs& into, const Repairs& other);
  static std::string render(const Entry& entry);

  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::size_t> index_;
};

/// ` for metric name "x"`, or nothing when the name is not known.
[[nodiscard]] std::string for_metric_name(std::string_view name);

/// `prefix "x"` with the name quoted as Go does.
[[nodiscard]] std::string with_quoted(std::string_view prefix, std::string_view name);

}  // namespace gantry::promql::eval
