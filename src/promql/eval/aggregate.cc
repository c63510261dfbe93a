#include "promql/eval/aggregate.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "promql/eval/group_accumulator.h"
#include "promql/eval/grouping.h"

namespace gantry::promql::eval {
namespace {

/// Rows produced at a time within a batch: their values should still be in the cache when folded.
constexpr std::size_t kFoldRows = 16;

/// The groups that each batch touches, so that its partial accumulator holds no others.
struct BatchGroups {
  std::vector<std::uint32_t> local_of;             ///< By row: index into the batch's groups.
  std::vector<std::vector<std::uint32_t>> groups;  ///< By batch, in order of first appearance.
};

/// Batches of a fold are full ones, whatever their rows cost: where they end has an influence on
/// the bits of a sum.
std::size_t fold_batch_count(std::size_t rows) {
  return (rows + kBatchRows - 1) / kBatchRows;
}

BatchGroups find_batch_groups(const Grouping& grouping) {
  BatchGroups result;
  const std::size_t rows = grouping.group_of.size();
  result.local_of.resize(rows);
  result.groups.resize(fold_batch_count(rows));
  std::vector<std::uint32_t> local(grouping.count());
  std::vector<std::size_t> seen_in(grouping.count(), std::numeric_limits<std::size_t>::max());
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t batch = row / kBatchRows;
    const std::uint32_t group = grouping.group_of[row];
    if (seen_in[group] != batch) {
      seen_in[group] = batch;
      local[group] = static_cast<std::uint32_t>(result.groups[batch].size());
      result.groups[batch].push_back(group);
    }
    result.local_of[row] = local[group];
  }
  return result;
}

/// An accumulator, and its memory.
struct Fold {
  GroupAccumulator groups;
  Reservation reservation;
  std::uint64_t histogram_bytes = 0;  ///< What of the reservation is for histograms.

  /// Takes what histograms have needed since the last time.
  Result<void> account() {
    const std::uint64_t bytes = groups.histogram_bytes();
    if (bytes <= histogram_bytes) return {};
    GANTRY_CHECK(reservation.grow(0, bytes - histogram_bytes));
    histogram_bytes = bytes;
    return {};
  }
};

/// Forgets what `fold` has folded: it is for `groups` groups now.
Result<void> start_fold(QueryContext& context, AggregateOp op, std::size_t groups,
                        std::size_t steps, Fold& fold) {
  fold.reservation = Reservation(context.budget);
  fold.histogram_bytes = 0;
  GANTRY_CHECK(fold.reservation.grow(0, GroupAccumulator::bytes(op, groups, steps)));
  fold.groups.reset(groups);
  return {};
}

Result<void> fold_batch(QueryContext& context, const RowProducer& producer, const Batch& batch,
                        BatchScratch& scratch, std::span<const std::uint32_t> group_of, Fold& into,
                        std::size_t steps) {
  Rows rows(std::min(kFoldRows, batch.count), steps);
  for (std::size_t done = 0; done < batch.count; done += kFoldRows) {
    const std::size_t count = std::min(kFoldRows, batch.count - done);
    const RowsView view = rows.view().sub(0, count);
    std::fill_n(view.present, count * view.words, 0);
    GANTRY_CHECK(producer.produce(batch.first + done, view, scratch));
    Reservation reservation(context.budget);
    GANTRY_CHECK(reservation.grow(count_samples(view), 0));
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t row = batch.first + done + i;
      into.groups.fold(group_of[row], static_cast<std::uint32_t>(row), view.row(i), view.bits(i),
                       view.histograms[i]);
      GANTRY_CHECK(into.account());
      view.histograms[i].clear();
    }
    scratch.held = Reservation(context.budget);
  }
  return {};
}

/// A matrix's rows are there already: folded where they lie.
Result<void> fold_rows(const Matrix& matrix, const Batch& batch,
                       std::span<const std::uint32_t> group_of, Fold& into) {
  for (std::size_t row = batch.first; row < batch.first + batch.count; ++row) {
    into.groups.fold(group_of[row], static_cast<std::uint32_t>(row), matrix.rows.row(row),
                     matrix.rows.bits(row), matrix.rows.histograms(row));
    GANTRY_CHECK(into.account());
  }
  return {};
}

using FoldBatch = std::function<Result<void>(const Batch& batch, BatchScratch& scratch,
                                             std::span<const std::uint32_t> group_of, Fold& into)>;

/// Moves a batch's groups, `groups` of `into`, there.
Result<void> merge_fold(Fold& partial, const std::vector<std::uint32_t>& groups, Fold& into) {
  // Cells of histograms move as they are: their memory changes hands.
  partial.reservation.shrink(0, std::exchange(partial.histogram_bytes, 0));
  for (std::size_t local = 0; local < groups.size(); ++local) {
    into.groups.merge(groups[local], partial.groups, local);
    GANTRY_CHECK(into.account());
  }
  return {};
}

Result<void> fold_batches(QueryContext& context, const Grouping& grouping, AggregateOp op,
                          std::size_t steps, const FoldBatch& fold, Fold& into) {
  const std::size_t rows = grouping.group_of.size();
  const std::size_t batches = fold_batch_count(rows);
  if (batches <= 1) {
    return run_batches(context, {.rows = rows, .count = batches},
                       [&](const Batch& batch, BatchScratch& scratch) {
                         return fold(batch, scratch, grouping.group_of, into);
                       });
  }
  const BatchGroups batch_groups = find_batch_groups(grouping);
  // Waves bound the memory of partial results; their size has no influence on the bits, because
  // batches are merged in order.
  const std::size_t wave = std::min(batches, lane_count(context) * 4);
  std::vector<Fold> partials;
  for (std::size_t i = 0; i < wave; ++i) {
    partials.push_back({.groups = GroupAccumulator(op, 0, steps), .reservation = {}});
  }
  for (std::size_t first = 0; first < batches; first += wave) {
    const std::size_t count = std::min(wave, batches - first);
    GANTRY_CHECK(run_batches(
        context, {.rows = rows, .first = first, .count = count},
        [&](const Batch& batch, BatchScratch& scratch) {
          Fold& partial = partials[batch.index - first];
          Result<void> result =
              start_fold(context, op, batch_groups.groups[batch.index].size(), steps, partial);
          return result ? fold(batch, scratch, batch_groups.local_of, partial) : result;
        }));
    for (std::size_t i = 0; i < count; ++i) {
      GANTRY_CHECK(merge_fold(partials[i], batch_groups.groups[first + i], into));
    }
  }
  return {};
}

/// A batch of which all workers produce a part: where rows cover so much that one batch of them
/// would keep one worker busy for long.
Result<void> fold_in_parts(QueryContext& context, const RowProducer& producer, const Batch& batch,
                           std::span<const std::uint32_t> group_of, Fold& into, std::size_t steps) {
  Rows rows(batch.count, steps);
  Reservation reservation(context.budget);
  GANTRY_CHECK(reservation.grow(0, Rows::bytes(batch.count, steps)));
  const RowsView view = rows.view();
  std::vector<Reservation> held(batch_count(context, batch.count));
  GANTRY_CHECK(run_batches(context, batch.count, [&](const Batch& part, BatchScratch& scratch) {
    const RowsView out = view.sub(part.first, part.count);
    Result<void> result = producer.produce(batch.first + part.first, out, scratch);
    held[part.index] = std::move(scratch.held);
    return result;
  }));
  GANTRY_CHECK(reservation.grow(count_samples(view), 0));
  for (std::size_t i = 0; i < batch.count; ++i) {
    const std::size_t row = batch.first + i;
    into.groups.fold(group_of[row], static_cast<std::uint32_t>(row), view.row(i), view.bits(i),
                     view.histograms[i]);
    GANTRY_CHECK(into.account());
  }
  return {};
}

/// As fold_batches, to the bit: batches one after the other, each in parts.
Result<void> fold_batches_in_parts(QueryContext& context, const Grouping& grouping, AggregateOp op,
                                   std::size_t steps, const RowProducer& producer, Fold& into) {
  const std::size_t rows = grouping.group_of.size();
  if (rows <= kBatchRows) {
    const Batch all{.index = 0, .first = 0, .count = rows};
    return fold_in_parts(context, producer, all, grouping.group_of, into, steps);
  }
  const BatchGroups batch_groups = find_batch_groups(grouping);
  Fold partial{.groups = GroupAccumulator(op, 0, steps), .reservation = {}};
  for (std::size_t i = 0; i < batch_groups.groups.size(); ++i) {
    const std::vector<std::uint32_t>& groups = batch_groups.groups[i];
    const std::size_t first = i * kBatchRows;
    const Batch batch{.index = i, .first = first, .count = std::min(kBatchRows, rows - first)};
    GANTRY_CHECK(start_fold(context, op, groups.size(), steps, partial));
    GANTRY_CHECK(fold_in_parts(context, producer, batch, batch_groups.local_of, partial, steps));
    GANTRY_CHECK(merge_fold(partial, groups, into));
  }
  return {};
}

}  // namespace

bool is_folding(AggregateOp op) {
  switch (op) {
    case AggregateOp::Sum:
    case AggregateOp::Avg:
    case AggregateOp::Count:
    case AggregateOp::Min:
    case AggregateOp::Max:
    case AggregateOp::Group:
    case AggregateOp::Stddev:
    case AggregateOp::Stdvar:
      return true;
    case AggregateOp::TopK:
    case AggregateOp::BottomK:
    case AggregateOp::CountValues:
    case AggregateOp::Quantile:
    case AggregateOp::LimitK:
    case AggregateOp::LimitRatio:
      return false;
  }
  return false;
}

Result<Matrix> fold_groups(QueryContext& context, const Aggregate& aggregate, RowProducer& given,
                           std::size_t steps, Position position) {
  std::optional<Matrix> matrix = given.take_matrix();
  Projection projection =
      make_grouping_projection(context.labels, aggregate.grouping, aggregate.is_without);
  const std::size_t rows = matrix ? matrix->count() : given.count();
  const Grouping grouping =
      matrix ? make_grouping(
                   rows,
                   [&](std::size_t row) {
                     return projection.apply(context.labels, matrix->labels[row]);
                   },
                   [&](std::size_t row) { return matrix->drops_name[row] != 0; })
             : make_grouping(
                   rows, [&](std::size_t row) { return given.project(row, projection); },
                   [&](std::size_t row) { return given.drops_name(row); });
  Fold total{.groups = GroupAccumulator(aggregate.op, 0, steps), .reservation = {}};
  GANTRY_CHECK(start_fold(context, aggregate.op, grouping.count(), steps, total));
  if (!matrix && batch_rows(context, rows) < kBatchRows) {
    GANTRY_CHECK(fold_batches_in_parts(context, grouping, aggregate.op, steps, given, total));
  } else {
    GANTRY_CHECK(fold_batches(
        context, grouping, aggregate.op, steps,
        [&](const Batch& batch, BatchScratch& scratch, std::span<const std::uint32_t> group_of,
            Fold& into) -> Result<void> {
          if (!matrix) return fold_batch(context, given, batch, scratch, group_of, into, steps);
          return fold_rows(*matrix, batch, group_of, into);
        },
        total));
  }
  GANTRY_TRY(Matrix result, make_matrix(context.budget, grouping.count(), steps));
  result.labels = grouping.labels;
  result.drops_name = grouping.drops_name;
  total.groups.finish(result.rows.view(), context.annotations, position, [&](std::uint32_t row) {
    return context.labels.name_of(matrix ? matrix->labels[row] : given.labels(row));
  });
  total.reservation.shrink(0, total.histogram_bytes);  // What it held is in the result.
  const RowsView view = result.rows.view();
  GANTRY_CHECK(result.reservation.grow(count_samples(view), histogram_bytes(view)));
  remove_empty_rows(result);
  return result;
}

}  // namespace gantry::promql::eval
