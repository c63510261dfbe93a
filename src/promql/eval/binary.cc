#include "promql/eval/binary.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <unordered_map>
#include <utility>

#include "promql/eval/binary_values.h"

namespace gantry::promql::eval {
namespace {

struct ScalarOperation {
  BinaryOp op;
  bool returns_bool;
  Position position;
  std::vector<double> scalar;
  ScalarSide side;

  [[nodiscard]] bool is_scalar_left() const { return side == ScalarSide::Left; }
};

bool same_bits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

/// Histograms meet the scalar one by one. Steps that see the same sample and scalar share a result.
Result<void> apply_to_histograms(const ScalarOperation& operation, const RowsView& rows,
                                 std::size_t row, BatchScratch& scratch) {
  HistogramRow& histograms = rows.histograms[row];
  if (histograms.empty()) return {};
  const std::uint64_t bytes_before = histogram_bytes(histograms);
  PairNote note = PairNote::None;
  Element cell;
  double last_scalar = 0;
  HistogramPtr last_result;
  for (std::size_t step = 0; step < histograms.size(); ++step) {
    if (histograms[step] == nullptr) continue;
    const Element scalar{.value = operation.scalar[step], .histogram = nullptr};
    if (last_result != nullptr && histograms[step] == cell.histogram &&
        same_bits(scalar.value, last_scalar)) {
      histograms[step] = last_result;
      continue;
    }
    cell.histogram = std::exchange(histograms[step], nullptr);
    last_result = nullptr;
    const Element& left = operation.is_scalar_left() ? scalar : cell;
    const Element& right = operation.is_scalar_left() ? cell : scalar;
    const PairNote refusal = find_refusal(operation.op, left, right);
    if (refusal != PairNote::None) {
      note = refusal;
      continue;
    }
    // No comparison has a histogram and a float: the result is a histogram.
    last_result =
        combine_elements(operation.op, operation.returns_bool, left, right, note)->histogram;
    last_scalar = scalar.value;
    histograms[step] = last_result;
  }
  annotate_pair(operation.op, note, scratch.annotations, operation.position);
  return hold_histograms(histograms, scratch, bytes_before);
}

/// The trims need a histogram on the left; floats have no result.
void refuse_floats(const ScalarOperation& operation, const RowsView& rows, std::size_t row,
                   AnnotationSet& annotations) {
  const std::span<std::uint64_t> bits = rows.bits(row);
  if (std::ranges::all_of(bits, [](std::uint64_t word) { return word == 0; })) return;
  annotate_pair(operation.op, PairNote::FloatFloat, annotations, operation.position);
  std::ranges::fill(bits, 0);
}

void apply_to_floats(const ScalarOperation& operation, const RowsView& rows, std::size_t row,
                     std::vector<std::uint64_t>& mask) {
  const std::span<double> values = rows.row(row);
  const std::span<const double> scalar = operation.scalar;
  const std::span<const double> cells = values;
  const std::span<const double> left = operation.is_scalar_left() ? scalar : cells;
  const std::span<const double> right = operation.is_scalar_left() ? cells : scalar;
  if (!is_comparison(operation.op)) {
    apply_arithmetic(operation.op, left, right, values);
    return;
  }
  mask.resize(rows.words);
  apply_comparison(operation.op, left, right, mask);
  const std::span<std::uint64_t> bits = rows.bits(row);
  if (!operation.returns_bool) {
    for (std::size_t w = 0; w < rows.words; ++w) bits[w] &= mask[w];
    return;
  }
  for (std::size_t step = 0; step < rows.steps; ++step) {
    values[step] = kernels::test_bit(mask, step) ? 1 : 0;
  }
}

/// `scalar </ vector` has no results, only notes, and they depend on what comes last at a step.
Result<RowProducerPtr> refuse_vector(QueryContext& context, const ScalarOperation& operation,
                                     RowProducer& vector) {
  const std::size_t steps = operation.scalar.size();
  GANTRY_TRY(const Matrix matrix, materialise(context, vector, steps));
  std::vector<PairNote> notes(steps, PairNote::None);
  for (std::size_t row = 0; row < matrix.count(); ++row) {
    for_each_bit(matrix.rows.bits(row),
                 [&](std::size_t step) { notes[step] = PairNote::FloatFloat; });
    const HistogramRow& histograms = matrix.rows.histograms(row);
    for (std::size_t step = 0; step < histograms.size(); ++step) {
      if (histograms[step] != nullptr) notes[step] = PairNote::FloatHistogram;
    }
  }
  annotate_steps(operation.op, notes, context.annotations, operation.position);
  GANTRY_TRY(Matrix none, make_matrix(context.budget, 0, steps));
  return make_matrix_producer(context, std::move(none));
}

}  // namespace

Result<RowProducerPtr> combine_with_scalar(QueryContext& context, const Binary& binary,
                                           Position position, RowProducerPtr vector,
                                           std::vector<double> scalar, ScalarSide side) {
  const auto operation =
      std::make_shared<const ScalarOperation>(ScalarOperation{.op = binary.op,
                                                              .returns_bool = binary.returns_bool,
                                                              .position = position,
                                                              .scalar = std::move(scalar),
                                                              .side = side});
  if (is_trim(binary.op) && side == ScalarSide::Left) {
    return refuse_vector(context, *operation, *vector);
  }
  RowsMap map = [operation](const RowsView& rows, BatchScratch& scratch) -> Result<void> {
    std::vector<std::uint64_t> mask;
    for (std::size_t row = 0; row < rows.count; ++row) {
      if (is_trim(operation->op)) {
        refuse_floats(*operation, rows, row, scratch.annotations);
      } else {
        apply_to_floats(*operation, rows, row, mask);
      }
      GANTRY_CHECK(apply_to_histograms(*operation, rows, row, scratch));
    }
    return {};
  };
  return make_mapped(
      context, std::move(vector), std::move(map),
      drops_metric_name(binary.op, binary.returns_bool) ? NameRule::Drop : NameRule::Keep);
}

Projection make_matching_projection(LabelTable& labels, const VectorMatching& matching) {
  std::vector<Symbol> names;
  names.reserve(matching.labels.size() + 1);
  for (const std::string& name : matching.labels) names.push_back(labels.intern(name));
  if (!matching.is_on) names.push_back(labels.metric_name());
  return {matching.is_on ? Projection::Mode::Keep : Projection::Mode::Remove, std::move(names)};
}

namespace {

/// By signature: the steps at which some row of a side has an element.
class SignatureSteps {
 public:
  SignatureSteps(QueryContext& context, Projection& projection, const Matrix& matrix)
      : words_(kernels::bitmap_words(matrix.rows.steps())), none_(words_) {
    std::vector<std::uint64_t> occupied(words_);
    for (std::size_t row = 0; row < matrix.count(); ++row) {
      const LabelSetId signature = projection.apply(context.labels, matrix.labels[row]);
      std::vector<std::uint64_t>& bits =
          bits_.try_emplace(signature, std::vector<std::uint64_t>(words_)).first->second;
      occupied_bits(matrix.rows, row, occupied);
      for (std::size_t w = 0; w < words_; ++w) bits[w] |= occupied[w];
    }
  }

  [[nodiscard]] const std::vector<std::uint64_t>& of(LabelSetId signature) const {
    const auto found = bits_.find(signature);
    return found == bits_.end() ? none_ : found->second;
  }

 private:
  std::size_t words_;
  std::vector<std::uint64_t> none_;
  std::unordered_map<LabelSetId, std::vector<std::uint64_t>> bits_;
};

enum class Keep : std::uint8_t { Inside, Outside };

/// Leaves only the cells at the steps in `steps`, or only those at other steps.
void filter_row(Rows& rows, std::size_t row, std::span<const std::uint64_t> steps, Keep keep) {
  const std::span<std::uint64_t> bits = rows.bits(row);
  for (std::size_t w = 0; w < bits.size(); ++w) {
    bits[w] &= keep == Keep::Inside ? steps[w] : ~steps[w];
  }
  HistogramRow& histograms = rows.histograms(row);
  for (std::size_t step = 0; step < histograms.size(); ++step) {
    if (kernels::test_bit(steps, step) != (keep == Keep::Inside)) histograms[step] = nullptr;
  }
}

void filter_matrix(QueryContext& context, Projection& projection, Matrix& matrix,
                   const SignatureSteps& other, Keep keep) {
  for (std::size_t row = 0; row < matrix.count(); ++row) {
    filter_row(matrix.rows, row, other.of(projection.apply(context.labels, matrix.labels[row])),
               keep);
  }
  remove_empty_rows(matrix);
}

Result<Matrix> concatenate(QueryContext& context, Matrix first, Matrix second) {
  const std::size_t steps = first.rows.steps();
  GANTRY_TRY(Matrix result, make_matrix(context.budget, first.count() + second.count(), steps));
  std::size_t to = 0;
  for (Matrix* part : {&first, &second}) {
    for (std::size_t row = 0; row < part->count(); ++row, ++to) {
      result.labels[to] = part->labels[row];
      result.drops_name[to] = part->drops_name[row];
      std::ranges::copy(part->rows.row(row), result.rows.row(to).begin());
      std::ranges::copy(part->rows.bits(row), result.rows.bits(to).begin());
      result.rows.histograms(to) = std::move(part->rows.histograms(row));
    }
  }
  const RowsView view = result.rows.view();
  GANTRY_CHECK(result.reservation.grow(count_samples(view), histogram_bytes(view)));
  // Rows of both sides with equal labels take turns: no step has both.
  GANTRY_CHECK(merge_equal_rows(result));
  return result;
}

}  // namespace

Result<Matrix> combine_sets(QueryContext& context, const Binary& binary, Matrix left,
                            Matrix right) {
  Projection projection = make_matching_projection(
      context.labels, binary.matching ? *binary.matching : VectorMatching{});
  if (binary.op == BinaryOp::Or) {
    const SignatureSteps left_steps(context, projection, left);
    filter_matrix(context, projection, right, left_steps, Keep::Outside);
    return concatenate(context, std::move(left), std::move(right));
  }
  const SignatureSteps right_steps(context, projection, right);
  filter_matrix(context, projection, left, right_steps,
                binary.op == BinaryOp::And ? Keep::Inside : Keep::Outside);
  return left;
}

}  // namespace gantry::promql::eval
