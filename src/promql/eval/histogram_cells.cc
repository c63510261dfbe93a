#include "promql/eval/histogram_cells.h"

#include <type_traits>
#include <utility>

#include "promql/histogram/size.h"
#include "promql/kernels/window.h"

namespace gantry::promql::eval {

void HistogramCells::reset(std::size_t groups) {
  groups_ = groups;
  cells_.clear();
  bytes_ = 0;
}

std::vector<HistogramCells::CellPtr>& HistogramCells::cells_of(std::size_t group) {
  if (cells_.empty()) cells_.resize(groups_);
  std::vector<CellPtr>& row = cells_[group];
  if (row.empty()) {
    row.resize(steps_);
    bytes_ += steps_ * sizeof(CellPtr);
  }
  return row;
}

std::uint64_t HistogramCells::bytes_of(const Cell& cell) {
  return sizeof(Cell) +
         std::visit([](const auto& value) { return value.heap_bytes(); }, cell.value);
}

void HistogramCells::add(std::size_t group, std::size_t step,
                         const telemetry::FloatHistogram& histogram, std::uint32_t row,
                         bool follows_float) {
  CellPtr& cell = cells_of(group)[step];
  if (cell == nullptr) {
    cell = std::make_unique<Cell>();
    if (kind_ == Kind::Mean) cell->value.emplace<histogram::Mean>();
    cell->first_row = row;
    cell->is_custom = histogram.uses_custom_buckets();
    cell->is_float_first = follows_float;
  } else {
    if (cell->misfit != kNone) return;
    if (cell->is_custom != histogram.uses_custom_buckets()) {
      cell->misfit = row;
      cell->had_float_at_misfit = follows_float;
      return;
    }
    bytes_ -= bytes_of(*cell);
  }
  std::visit([&](auto& value) { value.add(histogram); }, cell->value);
  bytes_ += bytes_of(*cell);
}

void HistogramCells::merge(std::size_t group, HistogramCells& partial, std::size_t from,
                           std::span<const std::uint64_t> floats) {
  if (partial.cells_.empty() || partial.cells_[from].empty()) return;
  std::vector<CellPtr>& row = cells_of(group);
  for (std::size_t step = 0; step < steps_; ++step) {
    CellPtr& later = partial.cells_[from][step];
    if (later == nullptr) continue;
    const bool has_float = kernels::test_bit(floats, step);
    if (row[step] != nullptr) {
      join(*row[step], *later, has_float);
      continue;
    }
    later->is_float_first = later->is_float_first || has_float;
    const std::uint64_t bytes = bytes_of(*later);
    partial.bytes_ -= bytes;
    bytes_ += bytes;
    row[step] = std::move(later);
  }
}

void HistogramCells::join(Cell& own, const Cell& later, bool has_float) {
  if (own.is_float_first || own.misfit != kNone) return;
  if (own.is_custom != later.is_custom) {
    own.misfit = later.first_row;
    own.had_float_at_misfit = has_float || later.is_float_first;
    return;
  }
  bytes_ -= bytes_of(own);
  std::visit(
      [&](auto& value) { value.merge(std::get<std::decay_t<decltype(value)>>(later.value)); },
      own.value);
  bytes_ += bytes_of(own);
  own.misfit = later.misfit;
  own.had_float_at_misfit = has_float || later.had_float_at_misfit;
}

void HistogramCells::finish_group(std::size_t group, std::span<std::uint64_t> floats,
                                  HistogramRow& out, HistogramFindings& findings) {
  if (cells_.empty()) return;
  // Freed cell by cell, so that cells and results are not both there at once.
  std::vector<CellPtr> row = std::move(cells_[group]);
  for (std::size_t step = 0; step < row.size(); ++step) {
    const CellPtr cell = std::move(row[step]);
    if (cell == nullptr) continue;
    const bool has_float = kernels::test_bit(floats, step);
    kernels::clear_bit(floats, step);
    if (cell->is_float_first) {
      findings.has_mix = true;
      continue;
    }
    std::visit(
        [&](const auto& value) {
          const histogram::Combination notes = value.notes();
          findings.has_reconciled_bounds |= notes.has_reconciled_bounds;
          if (cell->misfit != kNone) {
            findings.misfits.push_back(cell->misfit);
            findings.has_mix |= cell->had_float_at_misfit;
          } else if (has_float) {
            findings.has_mix = true;
          } else {
            findings.has_hint_conflict |= notes.has_hint_conflict;
            if (out.empty()) out.resize(steps_);
            out[step] = std::make_shared<const telemetry::FloatHistogram>(value.result());
          }
        },
        cell->value);
  }
}

}  // namespace gantry::promql::eval
