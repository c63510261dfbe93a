#pragma once

// What a vector-valued node evaluates to: rows (series) by steps, dense. A presence bitmap says
// which cells hold a float (absent is not NaN); native histograms live in a side table. A cell
// holds a float, or a histogram, or nothing.

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/error.h"
#include "promql/eval/label_table.h"
#include "promql/kernels/window.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::eval {

using HistogramPtr = std::shared_ptr<const telemetry::FloatHistogram>;

/// Empty when the row has no histograms, else one per step, null where there is none.
using HistogramRow = std::vector<HistogramPtr>;

/// Memory and samples that one query holds. Thread-safe.
class Budget {
 public:
  Budget(std::uint64_t samples_max, std::uint64_t bytes_max)
      : samples_max_(samples_max), bytes_max_(bytes_max) {}

  /// Errors: ResourceExhausted with the text of the limit; then nothing was taken.
  Result<void> take(std::uint64_t samples, std::uint64_t bytes);
  void give_back(std::uint64_t samples, std::uint64_t bytes);

  [[nodiscard]] std::uint64_t samples_peak() const {
    return samples_peak_.load(std::memory_order_relaxed);
  }

 private:
  const std::uint64_t samples_max_;
  const std::uint64_t bytes_max_;
  std::atomic<std::uint64_t> samples_{0};
  std::atomic<std::uint64_t> samples_peak_{0};
  std::atomic<std::uint64_t> bytes_{0};
};

/// A share of a Budget, given back on destruction. The budget must outlive it.
class Reservation {
 public:
  Reservation() = default;

  explicit Reservation(Budget& budget) : budget_(&budget) {}

  Reservation(Reservation&& other) noexcept { swap(other); }

  Reservation& operator=(Reservation&& other) noexcept {
    swap(other);
    return *this;
  }

  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  ~Reservation() {
    if (budget_ != nullptr) budget_->give_back(samples_, bytes_);
  }

  Result<void> grow(std::uint64_t samples, std::uint64_t bytes);

  /// Gives back a part of what was taken.
  void shrink(std::uint64_t samples, std::uint64_t bytes);

  /// Takes over what `other`, of the same budget, has taken.
  void absorb(Reservation other);

 private:
  void swap(Reservation& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(samples_, other.samples_);
    std::swap(bytes_, other.bytes_);
  }

  Budget* budget_ = nullptr;
  std::uint64_t samples_ = 0;
  std::uint64_t bytes_ = 0;
};

/// Some rows of a matrix, or of a scratch buffer. Borrowed.
struct RowsView {
  std::size_t count = 0;
  std::size_t steps = 0;
  std::size_t words = 0;  ///< bitmap_words(steps)
  double* values = nullptr;
  std::uint64_t* present = nullptr;
  HistogramRow* histograms = nullptr;

  [[nodiscard]] std::span<double> row(std::size_t i) const { return {values + (i * steps), steps}; }

  [[nodiscard]] std::span<std::uint64_t> bits(std::size_t i) const {
    return {present + (i * words), words};
  }

  [[nodiscard]] RowsView sub(std::size_t first, std::size_t sub_count) const {
    return {.count = sub_count,
            .steps = steps,
            .words = words,
            .values = values + (first * steps),
            .present = present + (first * words),
            .histograms = histograms + first};
  }
};

/// Owns rows. Values start unspecified, presence starts cleared. Movable.
class Rows {
 public:
  Rows() = default;
  Rows(std::size_t count, std::size_t steps);

  [[nodiscard]] std::size_t count() const { return histograms_.size(); }

  [[nodiscard]] std::size_t steps() const { return steps_; }

  [[nodiscard]] RowsView view() {
    return {.count = count(),
            .steps = steps_,
            .words = words_,
            .values = values_.get(),
            .present = present_.data(),
            .histograms = histograms_.data()};
  }

  [[nodiscard]] std::span<double> row(std::size_t i) { return view().row(i); }

  [[nodiscard]] std::span<const double> row(std::size_t i) const {
    return {values_.get() + (i * steps_), steps_};
  }

  [[nodiscard]] std::span<std::uint64_t> bits(std::size_t i) { return view().bits(i); }

  [[nodiscard]] std::span<const std::uint64_t> bits(std::size_t i) const {
    return {present_.data() + (i * words_), words_};
  }

  [[nodiscard]] HistogramRow& histograms(std::size_t i) { return histograms_[i]; }

  [[nodiscard]] const HistogramRow& histograms(std::size_t i) const { return histograms_[i]; }

  /// Whether any cell of the row holds a float or a histogram.
  [[nodiscard]] bool is_empty(std::size_t i) const;

  /// Makes room for a histogram in the row and stores it.
  void set_histogram(std::size_t i, std::size_t step, HistogramPtr histogram);

  /// Forgets all but the first `count` rows.
  void truncate(std::size_t count);

  /// Row `to` takes what row `from` holds; both must be in range, `from` is unspecified afterwards.
  void move_row(std::size_t from, std::size_t to);

  /// The bytes of `count` rows of `steps` steps.
  static std::uint64_t bytes(std::size_t count, std::size_t steps);

 private:
  std::size_t steps_ = 0;
  std::size_t words_ = 0;
  std::unique_ptr<double[]> values_;
  std::vector<std::uint64_t> present_;
  std::vector<HistogramRow> histograms_;
};

struct Matrix {
  Rows rows;
  std::vector<LabelSetId> labels;
  /// 1: the metric name is dropped at the end of the query (delayed name removal).
  std::vector<std::uint8_t> drops_name;
  Reservation reservation;

  [[nodiscard]] std::size_t count() const { return labels.size(); }
};

/// A matrix without rows filled in, its memory accounted for.
Result<Matrix> make_matrix(Budget& budget, std::size_t rows, std::size_t steps);

/// Sets bit k for each step with a float or a histogram; `out` has the matrix's words.
void occupied_bits(const Rows& rows, std::size_t row, std::span<std::uint64_t> out);

/// Rows without any point are of no consequence: leaves them out, order kept.
void remove_empty_rows(Matrix& matrix);

/// Rows with equal labels become one when no step has both, in the first row's place; whether the
/// name is dropped says the row that begins first.
/// Errors: FailedPrecondition "vector cannot contain metrics with the same labelset".
Result<void> merge_equal_rows(Matrix& matrix);

/// The samples that the rows hold, as limits count them: a histogram by its size.
[[nodiscard]] std::uint64_t count_samples(const RowsView& rows);

/// The memory of a row's histograms. Neighbouring steps that share one histogram count it once.
[[nodiscard]] std::uint64_t histogram_bytes(const HistogramRow& histograms);

/// The memory of all rows' histograms; they are not in Rows::bytes.
[[nodiscard]] std::uint64_t histogram_bytes(const RowsView& rows);

/// The one step of `matrix` repeated over `steps`.
Result<Matrix> broadcast(Budget& budget, Matrix matrix, std::size_t steps);

/// Bits [0, n) of word `word` of a bitmap of `steps` steps.
[[nodiscard]] constexpr std::uint64_t full_word(std::size_t word, std::size_t steps) {
  const std::size_t left = steps - (word * 64);
  return left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
}

/// Calls body(step) for each set bit, ascending.
template <class Body>
void for_each_bit(std::span<const std::uint64_t> bits, Body&& body) {
  for (std::size_t w = 0; w < bits.size(); ++w) {
    for (std::uint64_t word = bits[w]; word != 0; word &= word - 1) {
      body((w * 64) + static_cast<std::size_t>(std::countr_zero(word)));
    }
  }
}

}  // namespace gantry::promql::eval
