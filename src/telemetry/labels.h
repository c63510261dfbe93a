#pragma once

// Labels: what names a series. A label set is sorted by name (bytewise), has no empty values and no
// duplicate names.

#include <compare>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gantry::telemetry {

inline constexpr std::string_view kMetricNameLabel = "__name__";

/// A borrowed label; the batch or table that hands it out says for how long.
struct LabelView {
  std::string_view name;
  std::string_view value;

  friend auto operator<=>(const LabelView&, const LabelView&) = default;
};

struct Label {
  std::string name;
  std::string value;

  friend auto operator<=>(const Label&, const Label&) = default;
};

/// An owning label set. The invariant above holds for what `make_labels` returns.
using Labels = std::vector<Label>;

/// Sorts by name and drops empty values. Duplicate names keep the last one given.
[[nodiscard]] Labels make_labels(std::vector<Label> labels);

/// The value of `name`, or "" when absent.
[[nodiscard]] std::string_view find_label(std::span<const Label> labels, std::string_view name);

/// Prometheus order: pairwise by name, then value, bytewise; a prefix is smaller.
[[nodiscard]] int compare_labels(std::span<const Label> a, std::span<const Label> b);

/// As Prometheus prints it: {__name__="up", job="x"}; values quoted as Go does. Names that are not
/// legacy-valid are quoted.
[[nodiscard]] std::string format_labels(std::span<const Label> labels);

/// As PromQL writes a series: up{job="x"}; without a name {job="x"}.
[[nodiscard]] std::string format_series(std::span<const Label> labels);

/// [a-zA-Z_:][a-zA-Z0-9_:]*
[[nodiscard]] bool is_legacy_metric_name(std::string_view name);

/// [a-zA-Z_][a-zA-Z0-9_]*
[[nodiscard]] bool is_legacy_label_name(std::string_view name);

/// Go's strconv.Quote: double quotes, escapes for control and invalid bytes.
void append_go_quoted(std::string& out, std::string_view text);

}  // namespace gantry::telemetry
