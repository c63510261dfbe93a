#include "promql/eval/matrix.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "core/byte_size.h"
#include "promql/histogram/size.h"

namespace gantry::promql::eval {

Result<void> Budget::take(std::uint64_t samples, std::uint64_t bytes) {
  const std::uint64_t samples_now =
      samples_.fetch_add(samples, std::memory_order_relaxed) + samples;
  const std::uint64_t bytes_now = bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  if (samples_now > samples_max_) {
    give_back(samples, bytes);
    return fail(Code::ResourceExhausted,
                "query processing would load too many samples into memory in query execution");
  }
  if (bytes_now > bytes_max_) {
    give_back(samples, bytes);
    return fail(Code::ResourceExhausted,
                fmt::format("query processing would use more than {} of memory in query execution "
                            "(query.memory_bytes_max)",
                            core::format_byte_size(bytes_max_)));
  }
  std::uint64_t peak = samples_peak_.load(std::memory_order_relaxed);
  while (peak < samples_now &&
         !samples_peak_.compare_exchange_weak(peak, samples_now, std::memory_order_relaxed)) {
  }
  return {};
}

void Budget::give_back(std::uint64_t samples, std::uint64_t bytes) {
  samples_.fetch_sub(samples, std::memory_order_relaxed);
  bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

Result<void> Reservation::grow(std::uint64_t samples, std::uint64_t bytes) {
  GANTRY_CHECK(budget_->take(samples, bytes));
  samples_ += samples;
  bytes_ += bytes;
  return {};
}

void Reservation::shrink(std::uint64_t samples, std::uint64_t bytes) {
  budget_->give_back(samples, bytes);
  samples_ -= samples;
  bytes_ -= bytes;
}

void Reservation::absorb(Reservation other) {
  if (budget_ == nullptr) budget_ = other.budget_;
  samples_ += std::exchange(other.samples_, 0);
  bytes_ += std::exchange(other.bytes_, 0);
}

Rows::Rows(std::size_t count, std::size_t steps)
    : steps_(steps),
      words_(kernels::bitmap_words(steps)),
      values_(std::make_unique_for_overwrite<double[]>(count * steps)),
      present_(count * words_),
      histograms_(count) {}

bool Rows::is_empty(std::size_t i) const {
  return std::ranges::all_of(bits(i), [](std::uint64_t word) { return word == 0; }) &&
         std::ranges::none_of(histograms_[i], [](const HistogramPtr& h) { return h != nullptr; });
}

void Rows::set_histogram(std::size_t i, std::size_t step, HistogramPtr histogram) {
  if (histograms_[i].empty()) histograms_[i].resize(steps_);
  histograms_[i][step] = std::move(histogram);
}

void Rows::truncate(std::size_t count) {
  present_.resize(count * words_);
  histograms_.resize(count);
}

void Rows::move_row(std::size_t from, std::size_t to) {
  if (from == to) return;
  std::ranges::copy(row(from), row(to).begin());
  std::ranges::copy(bits(from), bits(to).begin());
  histograms_[to] = std::move(histograms_[from]);
  histograms_[from].clear();
}

std::uint64_t Rows::bytes(std::size_t count, std::size_t steps) {
  return static_cast<std::uint64_t>(count) *
         ((steps * sizeof(double)) + (kernels::bitmap_words(steps) * sizeof(std::uint64_t)) +
          sizeof(HistogramRow));
}

Result<Matrix> make_matrix(Budget& budget, std::size_t rows, std::size_t steps) {
  Matrix matrix;
  matrix.reservation = Reservation(budget);
  GANTRY_CHECK(matrix.reservation.grow(0, Rows::bytes(rows, steps)));
  matrix.rows = Rows(rows, steps);
  matrix.labels.resize(rows);
  matrix.drops_name.resize(rows);
  return matrix;
}

void occupied_bits(const Rows& rows, std::size_t row, std::span<std::uint64_t> out) {
  std::ranges::copy(rows.bits(row), out.begin());
  const HistogramRow& histograms = rows.histograms(row);
  for (std::size_t step = 0; step < histograms.size(); ++step) {
    if (histograms[step] != nullptr) kernels::set_bit(out, step);
  }
}

void remove_empty_rows(Matrix& matrix) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < matrix.count(); ++i) {
    if (matrix.rows.is_empty(i)) continue;
    matrix.rows.move_row(i, kept);
    matrix.labels[kept] = matrix.labels[i];
    matrix.drops_name[kept] = matrix.drops_name[i];
    ++kept;
  }
  matrix.rows.truncate(kept);
  matrix.labels.resize(kept);
  matrix.drops_name.resize(kept);
}

namespace {

/// Of two bitmaps that share no bit.
bool begins_before(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) {
  for (std::size_t w = 0; w < a.size(); ++w) {
    if ((a[w] | b[w]) != 0) return std::countr_zero(a[w]) < std::countr_zero(b[w]);
  }
  return false;
}

/// Row `from` moves into the free steps of row `to`; false when a step has both.
bool merge_row(Matrix& matrix, std::size_t from, std::size_t to) {
  Rows& rows = matrix.rows;
  const std::size_t words = kernels::bitmap_words(rows.steps());
  std::vector<std::uint64_t> from_bits(words);
  std::vector<std::uint64_t> to_bits(words);
  occupied_bits(rows, from, from_bits);
  occupied_bits(rows, to, to_bits);
  for (std::size_t w = 0; w < words; ++w) {
    if ((from_bits[w] & to_bits[w]) != 0) return false;
  }
  if (begins_before(from_bits, to_bits)) matrix.drops_name[to] = matrix.drops_name[from];
  for_each_bit(rows.bits(from), [&](std::size_t step) {
    rows.row(to)[step] = rows.row(from)[step];
    kernels::set_bit(rows.bits(to), step);
  });
  const HistogramRow& histograms = rows.histograms(from);
  for (std::size_t step = 0; step < histograms.size(); ++step) {
    if (histograms[step] != nullptr) rows.set_histogram(to, step, histograms[step]);
  }
  std::ranges::fill(rows.bits(from), 0);
  rows.histograms(from).clear();
  return true;
}

}  // namespace

Result<void> merge_equal_rows(Matrix& matrix) {
  std::unordered_map<LabelSetId, std::size_t> first_rows;
  first_rows.reserve(matrix.count());
  bool is_merged = false;
  for (std::size_t i = 0; i < matrix.count(); ++i) {
    const auto [place, is_new] = first_rows.emplace(matrix.labels[i], i);
    if (is_new) continue;
    if (!merge_row(matrix, i, place->second)) {
      return fail(Code::FailedPrecondition, "vector cannot contain metrics with the same labelset");
    }
    is_merged = true;
  }
  if (is_merged) remove_empty_rows(matrix);
  return {};
}

std::uint64_t count_samples(const RowsView& rows) {
  std::uint64_t samples = 0;
  for (std::size_t i = 0; i < rows.count; ++i) {
    for (const std::uint64_t word : rows.bits(i)) {
      samples += static_cast<std::uint64_t>(std::popcount(word));
    }
    for (const HistogramPtr& histogram : rows.histograms[i]) {
      if (histogram != nullptr) samples += histogram::count_samples(*histogram);
    }
  }
  return samples;
}

std::uint64_t histogram_bytes(const HistogramRow& histograms) {
  std::uint64_t bytes = histograms.size() * sizeof(HistogramPtr);
  const telemetry::FloatHistogram* last = nullptr;
  for (const HistogramPtr& histogram : histograms) {
    if (histogram != nullptr && histogram.get() != last) bytes += histogram::size_bytes(*histogram);
    last = histogram.get();
  }
  return bytes;
}

std::uint64_t histogram_bytes(const RowsView& rows) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < rows.count; ++i) bytes += histogram_bytes(rows.histograms[i]);
  return bytes;
}

Result<Matrix> broadcast(Budget& budget, Matrix matrix, std::size_t steps) {
  if (steps == 1) return matrix;
  GANTRY_TRY(Matrix wide, make_matrix(budget, matrix.count(), steps));
  wide.labels = matrix.labels;
  wide.drops_name = matrix.drops_name;
  for (std::size_t i = 0; i < matrix.count(); ++i) {
    if (kernels::test_bit(matrix.rows.bits(i), 0)) {
      std::ranges::fill(wide.rows.row(i), matrix.rows.row(i)[0]);
      const std::span<std::uint64_t> bits = wide.rows.bits(i);
      for (std::size_t w = 0; w < bits.size(); ++w) bits[w] = full_word(w, steps);
    }
    if (!matrix.rows.histograms(i).empty() && matrix.rows.histograms(i)[0] != nullptr) {
      wide.rows.histograms(i).assign(steps, matrix.rows.histograms(i)[0]);
    }
  }
  const RowsView view = wide.rows.view();
  GANTRY_CHECK(wide.reservation.grow(count_samples(view), histogram_bytes(view)));
  return wide;
}

}  // namespace gantry::promql::eval
