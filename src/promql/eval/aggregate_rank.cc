// Aggregations that look at all rows of a step together: topk, bottomk, limitk, limit_ratio,
// quantile, count_values.

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "core/hash.h"
#include "core/number_format.h"
#include "core/utf8.h"
#include "promql/eval/aggregate.h"
#include "promql/eval/grouping.h"
#include "promql/kernels/quantile.h"
#include "telemetry/labels.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::eval {
namespace {

std::string general(double value) {
  std::string text;
  core::append_float_general(text, value);
  return text;
}

Grouping group_matrix(QueryContext& context, const Aggregate& aggregate, const Matrix& matrix) {
  Projection projection =
      make_grouping_projection(context.labels, aggregate.grouping, aggregate.is_without);
  return make_grouping(
      matrix.count(),
      [&](std::size_t row) { return projection.apply(context.labels, matrix.labels[row]); },
      [&](std::size_t row) { return matrix.drops_name[row] != 0; });
}

bool selects_something(double k) {
  return k >= 1;
}

/// topk and bottomk look at no element of a step where they select nothing.
bool ignores_histogram(const RankRequest& request, const Matrix& matrix) {
  const bool is_ranked = request.aggregate.op != AggregateOp::Quantile;
  for (std::size_t row = 0; row < matrix.count(); ++row) {
    const HistogramRow& histograms = matrix.rows.histograms(row);
    for (std::size_t step = 0; step < histograms.size(); ++step) {
      if (histograms[step] == nullptr) continue;
      if (!is_ranked || selects_something(request.parameter[step])) return true;
    }
  }
  return false;
}

void note_ignored_histograms(QueryContext& context, const RankRequest& request,
                             const Matrix& matrix, Position position) {
  if (!ignores_histogram(request, matrix)) return;
  context.annotations.info(
      fmt::format("ignored histogram in {} aggregation", aggregate_op_text(request.aggregate.op)),
      position);
}

struct Candidate {
  double value = 0;
  std::uint32_t row = 0;
};

/// Best first: numbers before NaN, larger (topk) or smaller first, then the earlier row.
struct IsBetter {
  bool wants_large = true;

  bool operator()(const Candidate& a, const Candidate& b) const {
    const bool a_nan = std::isnan(a.value);
    const bool b_nan = std::isnan(b.value);
    if (a_nan != b_nan) return b_nan;
    if (!a_nan && a.value != b.value) return wants_large ? a.value > b.value : a.value < b.value;
    return a.row < b.row;
  }
};

std::size_t clamp_k(double k, std::size_t rows) {
  if (!selects_something(k)) return 0;
  return k >= static_cast<double>(rows) ? rows : static_cast<std::size_t>(k);
}

/// The cells that stay, as bitmaps by row, and (for one step) the rows in the order of the answer.
struct Selection {
  std::vector<std::uint64_t> bits;
  std::vector<std::uint32_t> order;
};

void keep_candidates(std::span<const Candidate> kept, std::size_t step, std::size_t words,
                     Selection& selection) {
  for (const Candidate& candidate : kept) {
    kernels::set_bit(std::span(selection.bits).subspan(candidate.row * words, words), step);
  }
}

/// For a large k: the best of each step are separated from the rest.
void select_by_partition(const RankRequest& request, const Matrix& matrix,
                         const std::vector<std::uint32_t>& rows, Selection& selection) {
  const std::size_t words = kernels::bitmap_words(matrix.rows.steps());
  const IsBetter is_better{.wants_large = request.aggregate.op == AggregateOp::TopK};
  std::vector<Candidate> candidates;
  for (std::size_t step = 0; step < matrix.rows.steps(); ++step) {
    candidates.clear();
    for (const std::uint32_t row : rows) {
      if (!kernels::test_bit(matrix.rows.bits(row), step)) continue;
      candidates.push_back({.value = matrix.rows.row(row)[step], .row = row});
    }
    const std::size_t kept =
        std::min(clamp_k(request.parameter[step], rows.size()), candidates.size());
    const auto end = candidates.begin() + static_cast<std::ptrdiff_t>(kept);
    if (kept < candidates.size()) {
      std::nth_element(candidates.begin(), end, candidates.end(), is_better);
    }
    if (matrix.rows.steps() == 1) {
      std::sort(candidates.begin(), end, is_better);
      for (auto best = candidates.begin(); best != end; ++best) {
        selection.order.push_back(best->row);
      }
    }
    keep_candidates(std::span(candidates).first(kept), step, words, selection);
  }
}

/// For a small k: rows are read in order, as they lie in memory, into one heap per step with the
/// worst of its candidates on top.
void select_by_heaps(const RankRequest& request, const Matrix& matrix,
                     const std::vector<std::uint32_t>& rows, std::size_t k_max,
                     Selection& selection) {
  const std::size_t steps = matrix.rows.steps();
  const IsBetter is_better{.wants_large = request.aggregate.op == AggregateOp::TopK};
  std::vector<Candidate> heaps(steps * k_max);
  std::vector<std::size_t> sizes(steps);
  std::vector<std::size_t> limits(steps);
  for (std::size_t step = 0; step < steps; ++step) {
    limits[step] = clamp_k(request.parameter[step], rows.size());
  }
  for (const std::uint32_t row : rows) {
    const std::span<const double> values = matrix.rows.row(row);
    for_each_bit(matrix.rows.bits(row), [&](std::size_t step) {
      const Candidate candidate{.value = values[step], .row = row};
      Candidate* const heap = heaps.data() + (step * k_max);
      std::size_t& size = sizes[step];
      if (size < limits[step]) {
        heap[size++] = candidate;
        std::push_heap(heap, heap + size, is_better);
      } else if (size > 0 && is_better(candidate, heap[0])) {
        std::pop_heap(heap, heap + size, is_better);
        heap[size - 1] = candidate;
        std::push_heap(heap, heap + size, is_better);
      }
    });
  }
  const std::size_t words = kernels::bitmap_words(steps);
  for (std::size_t step = 0; step < steps; ++step) {
    keep_candidates(std::span(heaps).subspan(step * k_max, sizes[step]), step, words, selection);
  }
}

constexpr std::size_t kHeapSizeMax = 64;

void select_best(const RankRequest& request, const Matrix& matrix,
                 const std::vector<std::uint32_t>& rows, Selection& selection) {
  std::size_t k_max = 0;
  for (const double k : request.parameter) k_max = std::max(k_max, clamp_k(k, rows.size()));
  if (k_max == 0) return;
  if (k_max > kHeapSizeMax || matrix.rows.steps() == 1) {
    select_by_partition(request, matrix, rows, selection);
  } else {
    select_by_heaps(request, matrix, rows, k_max, selection);
  }
}

bool is_occupied(const Matrix& matrix, std::size_t row, std::size_t step) {
  const HistogramRow& histograms = matrix.rows.histograms(row);
  return kernels::test_bit(matrix.rows.bits(row), step) ||
         (!histograms.empty() && histograms[step] != nullptr);
}

void select_first(const RankRequest& request, const Matrix& matrix,
                  const std::vector<std::uint32_t>& rows, Selection& selection) {
  const std::size_t words = kernels::bitmap_words(matrix.rows.steps());
  for (std::size_t step = 0; step < matrix.rows.steps(); ++step) {
    std::size_t left = clamp_k(request.parameter[step], rows.size());
    for (const std::uint32_t row : rows) {
      if (left == 0) break;
      if (!is_occupied(matrix, row, step)) continue;
      kernels::set_bit(std::span(selection.bits).subspan(row * words, words), step);
      --left;
    }
  }
}

/// The fraction of the way through the range of 64-bit hashes that a label set falls on.
double label_fraction(const LabelTable& table, LabelSetId set) {
  std::string key;
  for (const LabelPair pair : table.labels(set)) {
    key += table.text(pair.name);
    key += '\xff';
    key += table.text(pair.value);
    key += '\xff';
  }
  return static_cast<double>(core::hash64(key)) / 0x1p64;
}

void select_ratio(QueryContext& context, const RankRequest& request, const Matrix& matrix,
                  Selection& selection) {
  const std::size_t words = kernels::bitmap_words(matrix.rows.steps());
  for (std::size_t row = 0; row < matrix.count(); ++row) {
    const double fraction = label_fraction(context.labels, matrix.labels[row]);
    for (std::size_t step = 0; step < matrix.rows.steps(); ++step) {
      const double ratio = std::clamp(request.parameter[step], -1.0, 1.0);
      const bool is_in = ratio >= 0 ? fraction < ratio : fraction >= 1 + ratio;
      if (is_in && is_occupied(matrix, row, step)) {
        kernels::set_bit(std::span(selection.bits).subspan(row * words, words), step);
      }
    }
  }
}

void apply_selection(Matrix& matrix, const Selection& selection) {
  const std::size_t words = kernels::bitmap_words(matrix.rows.steps());
  for (std::size_t row = 0; row < matrix.count(); ++row) {
    const auto kept = std::span(selection.bits).subspan(row * words, words);
    const std::span<std::uint64_t> bits = matrix.rows.bits(row);
    for (std::size_t w = 0; w < words; ++w) bits[w] &= kept[w];
    HistogramRow& histograms = matrix.rows.histograms(row);
    for (std::size_t step = 0; step < histograms.size(); ++step) {
      if (!kernels::test_bit(kept, step)) histograms[step] = nullptr;
    }
  }
}

/// The rows of a one-step matrix in another order; the rest is left out.
Result<Matrix> reorder(QueryContext& context, const Matrix& matrix,
                       const std::vector<std::uint32_t>& order) {
  GANTRY_TRY(Matrix result, make_matrix(context.budget, order.size(), 1));
  for (std::size_t i = 0; i < order.size(); ++i) {
    result.labels[i] = matrix.labels[order[i]];
    result.drops_name[i] = matrix.drops_name[order[i]];
    result.rows.row(i)[0] = matrix.rows.row(order[i])[0];
    kernels::set_bit(result.rows.bits(i), 0);
  }
  GANTRY_CHECK(result.reservation.grow(order.size(), 0));
  return result;
}

/// Of a parameter that varies from step to step, the extremes speak for all.
void warn_ratios(QueryContext& context, const RankRequest& request) {
  const auto warn = [&](double ratio, std::string_view cap) {
    context.annotations.warn(
        fmt::format("ratio value should be between -1 and 1, got {}, capping to {}", general(ratio),
                    cap),
        request.parameter_position);
  };
  const auto [least, most] = std::ranges::minmax(request.parameter);
  if (most > 1) warn(most, "1");
  if (least < -1) warn(least, "-1");
}

void warn_quantiles(QueryContext& context, const RankRequest& request) {
  const auto warn = [&](double phi) {
    context.annotations.warn("quantile value should be between 0 and 1, got " + general(phi),
                             request.parameter_position);
  };
  double least = 0;
  double most = 1;
  bool has_nan = false;
  for (const double phi : request.parameter) {
    has_nan = has_nan || std::isnan(phi);
    least = std::min(least, phi);
    most = std::max(most, phi);
  }
  if (has_nan) {
    // Any NaN makes the extremes NaN too, in Prometheus.
    warn(std::nan(""));
    return;
  }
  if (most > 1) warn(most);
  if (least < 0) warn(least);
}

}  // namespace

Result<bool> check_parameter(AggregateOp op, const std::vector<double>& parameter) {
  if (op == AggregateOp::LimitRatio) {
    if (std::ranges::any_of(parameter, [](double v) { return std::isnan(v); })) {
      return fail(Code::FailedPrecondition, "Ratio value is NaN");
    }
    return std::ranges::all_of(parameter, [](double v) { return v == 0; });
  }
  if (std::ranges::all_of(parameter, [](double v) { return v < 1; })) return true;
  if (std::ranges::any_of(parameter, [](double v) { return std::isnan(v); })) {
    return fail(Code::FailedPrecondition, "Parameter value is NaN");
  }
  const auto [least, most] = std::ranges::minmax(parameter);
  if (least <= -0x1p63) {
    return fail(Code::FailedPrecondition,
                fmt::format("Scalar value {} underflows int64", general(least)));
  }
  if (most >= 0x1p63) {
    return fail(Code::FailedPrecondition,
                fmt::format("Scalar value {} overflows int64", general(most)));
  }
  return false;
}

Result<Matrix> select_cells(QueryContext& context, const RankRequest& request, Matrix matrix) {
  const AggregateOp op = request.aggregate.op;
  const bool is_ranked = op == AggregateOp::TopK || op == AggregateOp::BottomK;
  if (is_ranked) note_ignored_histograms(context, request, matrix, request.position);
  if (op == AggregateOp::LimitRatio) warn_ratios(context, request);
  const std::size_t words = kernels::bitmap_words(matrix.rows.steps());
  Selection selection{.bits = std::vector<std::uint64_t>(matrix.count() * words), .order = {}};
  if (op == AggregateOp::LimitRatio) {
    select_ratio(context, request, matrix, selection);
  } else {
    for (const auto& rows : group_matrix(context, request.aggregate, matrix).members()) {
      GANTRY_CHECK(context.check());
      if (is_ranked) {
        select_best(request, matrix, rows, selection);
      } else {
        select_first(request, matrix, rows, selection);
      }
    }
  }
  if (is_ranked && matrix.rows.steps() == 1) return reorder(context, matrix, selection.order);
  apply_selection(matrix, selection);
  remove_empty_rows(matrix);
  return matrix;
}

Result<Matrix> group_quantiles(QueryContext& context, const RankRequest& request,
                               const Matrix& matrix) {
  const Grouping grouping = group_matrix(context, request.aggregate, matrix);
  warn_quantiles(context, request);
  note_ignored_histograms(context, request, matrix, request.expr_position);
  const std::size_t steps = matrix.rows.steps();
  GANTRY_TRY(Matrix result, make_matrix(context.budget, grouping.count(), steps));
  result.labels = grouping.labels;
  result.drops_name = grouping.drops_name;
  const std::vector<std::vector<std::uint32_t>> members = grouping.members();
  GANTRY_CHECK(run_batches(context, grouping.count(), [&](const Batch& batch, BatchScratch&) {
    std::vector<double> values;
    for (std::size_t group = batch.first; group < batch.first + batch.count; ++group) {
      for (std::size_t step = 0; step < steps; ++step) {
        values.clear();
        for (const std::uint32_t row : members[group]) {
          if (kernels::test_bit(matrix.rows.bits(row), step)) {
            values.push_back(matrix.rows.row(row)[step]);
          }
        }
        if (values.empty()) continue;
        result.rows.row(group)[step] = kernels::quantile(request.parameter[step], values);
        kernels::set_bit(result.rows.bits(group), step);
      }
    }
    return Result<void>();
  }));
  GANTRY_CHECK(result.reservation.grow(count_samples(result.rows.view()), 0));
  remove_empty_rows(result);
  return result;
}

namespace {

/// Counts equal values per group and step. Sparse while counting: there may be as many outputs as
/// there are cells.
class ValueCounter {
 public:
  ValueCounter(QueryContext& context, const RankRequest& request, const Matrix& matrix)
      : context_(context),
        matrix_(matrix),
        label_(context.labels.intern(request.label)),
        projection_(make_projection(context, request)),
        reservation_(context.budget) {}

  Result<void> count_row(std::size_t row) {
    GANTRY_CHECK(reservation_.grow(0, matrix_.rows.steps() * sizeof(cells_[0])));
    const std::span<const std::uint64_t> bits = matrix_.rows.bits(row);
    const HistogramRow& histograms = matrix_.rows.histograms(row);
    for (std::size_t step = 0; step < matrix_.rows.steps(); ++step) {
      if (kernels::test_bit(bits, step)) {
        GANTRY_CHECK(count(row, step, symbol_of(matrix_.rows.row(row)[step])));
      } else if (!histograms.empty() && histograms[step] != nullptr) {
        GANTRY_TRY(const Symbol text, symbol_of(*histograms[step]));
        GANTRY_CHECK(count(row, step, text));
      }
    }
    return {};
  }

  Result<Matrix> finish() const {
    GANTRY_TRY(Matrix result, make_matrix(context_.budget, labels_.size(), matrix_.rows.steps()));
    result.labels = labels_;
    for (const auto& [output, step] : cells_) {
      double& value = result.rows.row(output)[step];
      const bool is_first = !kernels::test_bit(result.rows.bits(output), step);
      value = is_first ? 1 : value + 1;
      kernels::set_bit(result.rows.bits(output), step);
    }
    GANTRY_CHECK(result.reservation.grow(count_samples(result.rows.view()), 0));
    return result;
  }

 private:
  /// What an output takes beside its row: labels, texts and their table entries.
  static constexpr std::uint64_t kOutputBytes = 256;

  static Projection make_projection(QueryContext& context, const RankRequest& request) {
    std::vector<std::string> names = request.aggregate.grouping;
    if (!request.aggregate.is_without) names.push_back(request.label);
    return make_grouping_projection(context.labels, names, request.aggregate.is_without);
  }

  /// The value without an exponent.
  Symbol symbol_of(double value) {
    const auto [place, is_new] = symbols_.emplace(std::bit_cast<std::uint64_t>(value), 0);
    if (is_new) {
      std::string text;
      core::append_float_plain(text, value);
      place->second = context_.labels.intern(text);
    }
    return place->second;
  }

  /// The text of a histogram. Neighbouring steps often see the same one.
  Result<Symbol> symbol_of(const telemetry::FloatHistogram& histogram) {
    if (&histogram == last_histogram_) return last_text_;
    const std::string text = telemetry::format_histogram(histogram);
    GANTRY_CHECK(reservation_.grow(0, text.size()));
    last_histogram_ = &histogram;
    last_text_ = context_.labels.intern(text);
    return last_text_;
  }

  Result<void> count(std::size_t row, std::size_t step, Symbol value) {
    LabelTable& table = context_.labels;
    const LabelSetId key = projection_.apply(table, table.with(matrix_.labels[row], label_, value));
    const auto [place, is_new] = index_.emplace(key, static_cast<std::uint32_t>(labels_.size()));
    if (is_new) {
      GANTRY_CHECK(reservation_.grow(0, kOutputBytes));
      labels_.push_back(key);
    }
    cells_.emplace_back(place->second, static_cast<std::uint32_t>(step));
    return {};
  }

  QueryContext& context_;
  const Matrix& matrix_;
  Symbol label_;
  Projection projection_;
  Reservation reservation_;
  std::unordered_map<std::uint64_t, Symbol> symbols_;
  std::unordered_map<LabelSetId, std::uint32_t> index_;
  std::vector<LabelSetId> labels_;  ///< Of the outputs. As in Prometheus, no name is to go.
  const telemetry::FloatHistogram* last_histogram_ = nullptr;
  Symbol last_text_ = kEmptySymbol;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> cells_;  ///< Output and step, one per cell.
};

}  // namespace

Result<Matrix> count_values(QueryContext& context, const RankRequest& request,
                            const Matrix& matrix) {
  if (request.label.empty() || !core::is_valid_utf8(request.label)) {
    std::string quoted;
    telemetry::append_go_quoted(quoted, request.label);
    return fail(Code::FailedPrecondition, "invalid label name " + quoted);
  }
  ValueCounter counter(context, request, matrix);
  for (std::size_t row = 0; row < matrix.count(); ++row) {
    GANTRY_CHECK(context.check());
    GANTRY_CHECK(counter.count_row(row));
  }
  return counter.finish();
}

}  // namespace gantry::promql::eval
