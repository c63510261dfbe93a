#include "traceql/metrics/second_stage.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace gantry::traceql::metrics {

namespace {

constexpr double kNoSample = std::numeric_limits<double>::quiet_NaN();

bool holds(FieldOp op, double sample, double value) {
  switch (op) {
    case FieldOp::Equal:
      return sample == value;
    case FieldOp::NotEqual:
      return sample != value;
    case FieldOp::Less:
      return sample < value;
    case FieldOp::LessOrEqual:
      return sample <= value;
    case FieldOp::Greater:
      return sample > value;
    case FieldOp::GreaterOrEqual:
      return sample >= value;
    case FieldOp::Add:
    case FieldOp::Subtract:
    case FieldOp::Multiply:
    case FieldOp::Divide:
    case FieldOp::Modulo:
    case FieldOp::Power:
    case FieldOp::Regex:
    case FieldOp::NotRegex:
    case FieldOp::And:
    case FieldOp::Or:
      break;
  }
  GANTRY_ASSERT(false, "a metrics filter is a comparison");
}

void filter_samples(SeriesTable& table, const SecondStage& stage) {
  for (Series& series : table) {
    for (double& value : series.values) {
      if (!std::isnan(value) && !holds(stage.op, value, stage.value)) value = kNoSample;
    }
  }
}

/// Ranks the samples of one interval: the ones to keep first.
struct Ranked {
  double value = 0;
  std::size_t series = 0;
};

void keep_extremes(SeriesTable& table, const SecondStage& stage) {
  const auto limit = static_cast<std::size_t>(std::max<std::int64_t>(0, stage.limit));
  if (table.size() <= limit) return;
  const bool is_top = stage.kind == SecondStage::Kind::TopK;
  const auto is_better = [is_top](const Ranked& a, const Ranked& b) {
    if (a.value != b.value) return is_top ? a.value > b.value : a.value < b.value;
    return is_top ? a.series < b.series : a.series > b.series;
  };
  std::vector<Ranked> ranked;
  for (std::size_t interval = 0; interval < table.front().values.size(); ++interval) {
    ranked.clear();
    for (std::size_t s = 0; s < table.size(); ++s) {
      const double value = table[s].values[interval];
      if (!std::isnan(value)) ranked.push_back({.value = value, .series = s});
    }
    if (ranked.size() <= limit) continue;
    std::ranges::nth_element(ranked, ranked.begin() + static_cast<std::ptrdiff_t>(limit),
                             is_better);
    for (std::size_t i = limit; i < ranked.size(); ++i) {
      table[ranked[i].series].values[interval] = kNoSample;
    }
  }
}

}  // namespace

void apply_second_stages(SeriesTable& table, std::span<const SecondStage> stages) {
  for (const SecondStage& stage : stages) {
    if (stage.kind == SecondStage::Kind::Filter) {
      filter_samples(table, stage);
    } else {
      keep_extremes(table, stage);
    }
    drop_empty(table);
  }
}

}  // namespace gantry::traceql::metrics
