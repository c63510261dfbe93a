#include "promql/eval/group_accumulator.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <utility>

#include "promql/kernels/sum.h"
#include "promql/kernels/window.h"

namespace gantry::promql::eval {
namespace {

bool has_second(AggregateOp op) {
  return op == AggregateOp::Sum || op == AggregateOp::Avg || op == AggregateOp::Stddev ||
         op == AggregateOp::Stdvar;
}

bool has_counts(AggregateOp op) {
  return op == AggregateOp::Avg || op == AggregateOp::Count || op == AggregateOp::Stddev ||
         op == AggregateOp::Stdvar;
}

/// Hot: per sample. kernels::neumaier_add over columns, without branches.
void neumaier_columns(std::size_t n, const double* values, double* sums, double* compensations) {
  for (std::size_t i = 0; i < n; ++i) {
    const double value = values[i];
    const double sum = sums[i];
    const double total = sum + value;
    const double of_value = (sum - total) + value;
    const double of_sum = (value - total) + sum;
    const double change = std::abs(sum) >= std::abs(value) ? of_value : of_sum;
    compensations[i] = std::isinf(total) ? 0 : compensations[i] + change;
    sums[i] = total;
  }
}

/// Hot: per sample. NaN loses to any number: `value < best` is false for it, and a NaN that came
/// first is replaced.
void minimum_columns(std::size_t n, const double* values, double* best) {
  for (std::size_t i = 0; i < n; ++i) {
    best[i] = ((values[i] < best[i]) | (best[i] != best[i])) ? values[i] : best[i];
  }
}

void maximum_columns(std::size_t n, const double* values, double* best) {
  for (std::size_t i = 0; i < n; ++i) {
    best[i] = ((values[i] > best[i]) | (best[i] != best[i])) ? values[i] : best[i];
  }
}

bool replaces_minimum(double best, double value) {
  return value < best || std::isnan(best);
}

bool replaces_maximum(double best, double value) {
  return value > best || std::isnan(best);
}

HistogramCells::Kind cell_kind(AggregateOp op) {
  return op == AggregateOp::Avg ? HistogramCells::Kind::Mean : HistogramCells::Kind::Sum;
}

}  // namespace

GroupAccumulator::GroupAccumulator(AggregateOp op, std::size_t groups, std::size_t steps)
    : op_(op), steps_(steps), words_(kernels::bitmap_words(steps)), cells_(cell_kind(op), steps) {
  reset(groups);
}

void GroupAccumulator::reset(std::size_t groups) {
  groups_ = groups;
  const std::size_t cells = groups * steps_;
  if (op_ != AggregateOp::Count && op_ != AggregateOp::Group) first_.resize(cells);
  if (has_second(op_)) second_.resize(cells);
  if (has_counts(op_)) counts_.resize(cells);
  if (op_ == AggregateOp::Avg) is_mean_.assign(cells, 0);
  seen_.assign(groups * words_, 0);
  cells_.reset(groups);
  has_ignored_histograms_ = false;
}

std::uint64_t GroupAccumulator::bytes(AggregateOp op, std::size_t groups, std::size_t steps) {
  const std::uint64_t columns = 1U + (has_second(op) ? 1U : 0U) + (has_counts(op) ? 1U : 0U);
  return groups * ((steps * sizeof(double) * columns) + (kernels::bitmap_words(steps) * 8));
}

void GroupAccumulator::fold(std::size_t group, std::uint32_t row, std::span<const double> values,
                            std::span<const std::uint64_t> bits, const HistogramRow& histograms) {
  std::uint64_t* const seen = seen_.data() + (group * words_);
  for (std::size_t w = 0; w < words_; ++w) {
    const std::uint64_t present = bits[w];
    if (present == 0) continue;
    const std::size_t base = w * 64;
    const std::size_t offset = (group * steps_) + base;
    if (op_ == AggregateOp::Sum) {
      fold_sum(offset, std::min<std::size_t>(64, steps_ - base), values.data() + base, present,
               seen[w]);
    } else if (op_ != AggregateOp::Group &&
               !fold_full(offset, std::min<std::size_t>(64, steps_ - base), values.data() + base,
                          present, seen[w])) {
      for (std::uint64_t left = present; left != 0; left &= left - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(left));
        fold_cell(offset + i, values[base + i], ((seen[w] >> i) & 1) == 0);
      }
    }
    seen[w] |= present;
  }
  if (!histograms.empty()) fold_histograms(group, row, histograms);
}

bool GroupAccumulator::fold_full(std::size_t offset, std::size_t n, const double* values,
                                 std::uint64_t present, std::uint64_t seen) {
  const std::uint64_t full = full_word(0, n);
  if (present != full || (seen != 0 && seen != full)) return false;
  const bool is_first = seen == 0;
  switch (op_) {
    case AggregateOp::Count:
      for (std::size_t i = 0; i < n; ++i) {
        counts_[offset + i] = is_first ? 1 : counts_[offset + i] + 1;
      }
      return true;
    case AggregateOp::Min:
    case AggregateOp::Max:
      if (is_first) {
        std::copy_n(values, n, first_.data() + offset);
      } else if (op_ == AggregateOp::Min) {
        minimum_columns(n, values, first_.data() + offset);
      } else {
        maximum_columns(n, values, first_.data() + offset);
      }
      return true;
    default:
      return false;
  }
}

void GroupAccumulator::fold_sum(std::size_t offset, std::size_t n, const double* values,
                                std::uint64_t present, std::uint64_t seen) {
  double* const sums = first_.data() + offset;
  double* const compensations = second_.data() + offset;
  const std::uint64_t full = full_word(0, n);
  if (present == full && seen == full) {
    neumaier_columns(n, values, sums, compensations);
    return;
  }
  if (present == full && seen == 0) {
    std::copy_n(values, n, sums);
    std::fill_n(compensations, n, 0.0);
    return;
  }
  for (; present != 0; present &= present - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(present));
    if (((seen >> i) & 1) == 0) {
      sums[i] = values[i];
      compensations[i] = 0;
    } else {
      kernels::neumaier_add(values[i], sums[i], compensations[i]);
    }
  }
}

void GroupAccumulator::fold_cell(std::size_t cell, double value, bool is_first) {
  switch (op_) {
    case AggregateOp::Count:
      counts_[cell] = is_first ? 1 : counts_[cell] + 1;
      return;
    case AggregateOp::Min:
      if (is_first || replaces_minimum(first_[cell], value)) first_[cell] = value;
      return;
    case AggregateOp::Max:
      if (is_first || replaces_maximum(first_[cell], value)) first_[cell] = value;
      return;
    case AggregateOp::Avg: {
      kernels::Mean mean;
      if (!is_first) {
        mean = {.sum = first_[cell],
                .compensation = second_[cell],
                .count = counts_[cell],
                .is_incremental = is_mean_[cell] != 0};
      }
      mean.add(value);
      first_[cell] = mean.sum;
      second_[cell] = mean.compensation;
      counts_[cell] = mean.count;
      is_mean_[cell] = mean.is_incremental ? 1 : 0;
      return;
    }
    default: {
      kernels::Variance variance;
      if (!is_first) {
        variance = {.mean = first_[cell], .squares = second_[cell], .count = counts_[cell]};
      }
      variance.add(value);
      first_[cell] = variance.mean;
      second_[cell] = variance.squares;
      counts_[cell] = variance.count;
      return;
    }
  }
}

void GroupAccumulator::fold_histograms(std::size_t group, std::uint32_t row,
                                       const HistogramRow& histograms) {
  const std::span<std::uint64_t> seen = std::span(seen_).subspan(group * words_, words_);
  for (std::size_t step = 0; step < histograms.size(); ++step) {
    if (histograms[step] == nullptr) continue;
    switch (op_) {
      case AggregateOp::Sum:
      case AggregateOp::Avg:
        cells_.add(group, step, *histograms[step], row, kernels::test_bit(seen, step));
        break;
      case AggregateOp::Count:
        fold_cell((group * steps_) + step, 0, !kernels::test_bit(seen, step));
        [[fallthrough]];
      case AggregateOp::Group:
        kernels::set_bit(seen, step);
        break;
      default:
        has_ignored_histograms_ = true;
    }
  }
}

void GroupAccumulator::merge(std::size_t group, GroupAccumulator& partial, std::size_t from) {
  // Before the floats: the cells go by which floats came before.
  cells_.merge(group, partial.cells_, from, std::span(seen_).subspan(group * words_, words_));
  has_ignored_histograms_ = has_ignored_histograms_ || partial.has_ignored_histograms_;
  for (std::size_t w = 0; w < words_; ++w) {
    std::uint64_t& seen = seen_[(group * words_) + w];
    const std::uint64_t present = partial.seen_[(from * words_) + w];
    const std::size_t n = std::min<std::size_t>(64, steps_ - (w * 64));
    const std::size_t offset = (group * steps_) + (w * 64);
    const std::size_t from_offset = (from * steps_) + (w * 64);
    if (op_ == AggregateOp::Sum && present == full_word(0, n) && (seen == 0 || seen == present)) {
      const double* const compensations = partial.second_.data() + from_offset;
      fold_sum(offset, n, partial.first_.data() + from_offset, present, seen);
      for (std::size_t i = 0; i < n; ++i) {
        if (!std::isinf(first_[offset + i])) second_[offset + i] += compensations[i];
      }
      seen = present;
      continue;
    }
    for (std::uint64_t left = present; left != 0; left &= left - 1) {
      const auto i = static_cast<std::size_t>(std::countr_zero(left));
      if (((seen >> i) & 1) != 0) {
        merge_cell(offset + i, partial, from_offset + i);
        continue;
      }
      if (!first_.empty()) first_[offset + i] = partial.first_[from_offset + i];
      if (!second_.empty()) second_[offset + i] = partial.second_[from_offset + i];
      if (!counts_.empty()) counts_[offset + i] = partial.counts_[from_offset + i];
      if (!is_mean_.empty()) is_mean_[offset + i] = partial.is_mean_[from_offset + i];
    }
    seen |= present;
  }
}

void GroupAccumulator::merge_cell(std::size_t cell, const GroupAccumulator& partial,
                                  std::size_t from) {
  switch (op_) {
    case AggregateOp::Count:
      counts_[cell] += partial.counts_[from];
      return;
    case AggregateOp::Group:
      return;
    case AggregateOp::Min:
    case AggregateOp::Max:
      fold_cell(cell, partial.first_[from], false);
      return;
    case AggregateOp::Sum:
      kernels::neumaier_add(partial.first_[from], first_[cell], second_[cell]);
      if (!std::isinf(first_[cell])) second_[cell] += partial.second_[from];
      return;
    case AggregateOp::Avg:
      merge_mean(cell, partial, from);
      return;
    default: {
      // Chan, Golub, LeVeque: "Updating Formulae and a Pairwise Algorithm for Computing Sample
      // Variances", 1979.
      const double count = counts_[cell] + partial.counts_[from];
      const double difference = partial.first_[from] - first_[cell];
      first_[cell] += difference * partial.counts_[from] / count;
      second_[cell] += partial.second_[from] +
                       (difference * difference * counts_[cell] * partial.counts_[from] / count);
      counts_[cell] = count;
      return;
    }
  }
}

void GroupAccumulator::merge_mean(std::size_t cell, const GroupAccumulator& partial,
                                  std::size_t from) {
  const double count = counts_[cell] + partial.counts_[from];
  if (is_mean_[cell] == 0 && partial.is_mean_[from] == 0) {
    double sum = first_[cell];
    double compensation = second_[cell];
    kernels::neumaier_add(partial.first_[from], sum, compensation);
    if (!std::isinf(sum)) {
      first_[cell] = sum;
      second_[cell] = compensation + partial.second_[from];
      counts_[cell] = count;
      return;
    }
  }
  // One of the sums does not fit: go on with means.
  const double own = result(cell);
  const double other = partial.result(from);
  const double weight = partial.counts_[from] / count;
  first_[cell] = (own * (1 - weight)) + (other * weight);
  second_[cell] = 0;
  counts_[cell] = count;
  is_mean_[cell] = 1;
}

double GroupAccumulator::result(std::size_t cell) const {
  switch (op_) {
    case AggregateOp::Sum:
      return first_[cell] + second_[cell];
    case AggregateOp::Avg:
      return kernels::Mean{.sum = first_[cell],
                           .compensation = second_[cell],
                           .count = counts_[cell],
                           .is_incremental = is_mean_[cell] != 0}
          .result();
    case AggregateOp::Count:
      return counts_[cell];
    case AggregateOp::Group:
      return 1;
    case AggregateOp::Stdvar:
      return second_[cell] / counts_[cell];
    case AggregateOp::Stddev:
      return std::sqrt(second_[cell] / counts_[cell]);
    default:
      return first_[cell];
  }
}

void GroupAccumulator::finish(const RowsView& out, AnnotationSet& annotations, Position position,
                              const NameOf& name_of) {
  HistogramFindings findings;
  for (std::size_t group = 0; group < groups_; ++group) {
    const std::span<std::uint64_t> bits = out.bits(group);
    std::ranges::copy(std::span(seen_).subspan(group * words_, words_), bits.begin());
    cells_.finish_group(group, bits, out.histograms[group], findings);
    const std::span<double> values = out.row(group);
    for_each_bit(bits, [&](std::size_t step) { values[step] = result((group * steps_) + step); });
  }
  annotate(std::move(findings), annotations, position, name_of);
}

void GroupAccumulator::annotate(HistogramFindings findings, AnnotationSet& annotations,
                                Position position, const NameOf& name_of) const {
  if (findings.has_mix) {
    annotations.warn("encountered a mix of histograms and floats for aggregation", position);
  }
  if (findings.has_hint_conflict) {
    annotations.warn("conflicting counter resets during histogram aggregation", position);
  }
  if (findings.has_reconciled_bounds) {
    annotations.info("mismatched custom buckets were reconciled during aggregation", position);
  }
  std::ranges::sort(findings.misfits);
  const auto repeated = std::ranges::unique(findings.misfits);
  findings.misfits.erase(repeated.begin(), repeated.end());
  for (const std::uint32_t row : findings.misfits) {
    annotations.warn(with_quoted("vector contains a mix of histograms with exponential and custom "
                                 "buckets schemas for metric name",
                                 name_of(row)),
                     position);
  }
  if (has_ignored_histograms_) {
    annotations.info("ignored histogram in " + std::string(aggregate_op_text(op_)) + " aggregation",
                     position);
  }
}

}  // namespace gantry::promql::eval
