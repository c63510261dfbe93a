// Vector matching: pairs rows by signature once, then computes whole rows. What the reference
// decides per step (duplicates, missing partners) is decided on bitmaps.

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "promql/eval/binary.h"
#include "promql/eval/binary_values.h"

namespace gantry::promql::eval {
namespace {

using Bits = std::vector<std::uint64_t>;

constexpr std::uint32_t kFill = std::numeric_limits<std::uint32_t>::max();

/// Rows of both sides with one signature.
struct MatchGroup {
  LabelSetId signature = kEmptyLabels;
  std::vector<std::uint32_t> many;
  std::vector<std::uint32_t> one;
};

/// Two rows whose elements meet at `steps`; kFill stands for a missing side.
struct Pair {
  std::uint32_t many = kFill;
  std::uint32_t one = kFill;
  std::uint32_t group = 0;
  std::size_t out = 0;
  Bits steps;
  /// Steps at which they meet too, but that the operator refuses: no match, as in Prometheus, so
  /// that another pair may take the step. Empty for none.
  Bits refused;
};

void join_bits(Bits& into, std::span<const std::uint64_t> other) {
  for (std::size_t w = 0; w < into.size(); ++w) into[w] |= other[w];
}

/// The first step that is set in all three.
std::optional<std::size_t> first_common(std::span<const std::uint64_t> a,
                                        std::span<const std::uint64_t> b,
                                        std::span<const std::uint64_t> c) {
  for (std::size_t w = 0; w < a.size(); ++w) {
    const std::uint64_t word = a[w] & b[w] & c[w];
    if (word != 0) return (w * 64) + static_cast<std::size_t>(std::countr_zero(word));
  }
  return std::nullopt;
}

bool is_common(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) {
  return first_common(a, b, b).has_value();
}

bool is_any(std::span<const std::uint64_t> bits) {
  return std::ranges::any_of(bits, [](std::uint64_t word) { return word != 0; });
}

/// One binary operation between two matrices. "many" is the left side, except with group_right. As
/// in Prometheus, sides are swapped before they are filled: fill_left always fills the many side.
class VectorMatcher {
 public:
  VectorMatcher(QueryContext& context, const Binary& binary, Position position, const Matrix& left,
                const Matrix& right)
      : context_(context),
        binary_(binary),
        matching_(binary.matching ? *binary.matching : VectorMatching{}),
        position_(position),
        is_swapped_(matching_.card == MatchCard::OneToMany),
        many_(is_swapped_ ? right : left),
        one_(is_swapped_ ? left : right),
        fill_many_(matching_.fill_left),
        fill_one_(matching_.fill_right),
        steps_(left.rows.steps()),
        words_(kernels::bitmap_words(steps_)),
        projection_(make_matching_projection(context.labels, matching_)) {}

  Result<Matrix> run() {
    find_groups();
    find_occupied();
    GANTRY_CHECK(check_one_side());
    GANTRY_CHECK(find_pairs());
    assign_outputs();
    return compute();
  }

 private:
  void find_groups() {
    std::unordered_map<LabelSetId, std::uint32_t> index;
    const auto group_of = [&](LabelSetId labels) {
      const LabelSetId signature = projection_.apply(context_.labels, labels);
      const auto [place, is_new] =
          index.emplace(signature, static_cast<std::uint32_t>(groups_.size()));
      if (is_new) groups_.push_back({.signature = signature, .many = {}, .one = {}});
      return place->second;
    };
    many_group_.resize(many_.count());
    for (std::size_t row = 0; row < many_.count(); ++row) {
      many_group_[row] = group_of(many_.labels[row]);
      groups_[many_group_[row]].many.push_back(static_cast<std::uint32_t>(row));
    }
    one_group_.resize(one_.count());
    for (std::size_t row = 0; row < one_.count(); ++row) {
      one_group_[row] = group_of(one_.labels[row]);
      groups_[one_group_[row]].one.push_back(static_cast<std::uint32_t>(row));
    }
  }

  void find_occupied() {
    many_bits_.resize(many_.count() * words_);
    one_bits_.resize(one_.count() * words_);
    Bits any_many(words_);
    Bits any_one(words_);
    for (std::size_t row = 0; row < many_.count(); ++row) {
      occupied_bits(many_.rows, row, std::span(many_bits_).subspan(row * words_, words_));
      join_bits(any_many, many_bits(row));
    }
    for (std::size_t row = 0; row < one_.count(); ++row) {
      occupied_bits(one_.rows, row, std::span(one_bits_).subspan(row * words_, words_));
      join_bits(any_one, one_bits(row));
    }
    // Where one side is empty nothing is matched, and duplicates do no harm, unless it is filled.
    active_.resize(words_);
    for (std::size_t w = 0; w < words_; ++w) {
      active_[w] = any_many[w] & any_one[w];
      if (fill_many_) active_[w] |= any_one[w];
      if (fill_one_) active_[w] |= any_many[w];
    }
  }

  [[nodiscard]] std::span<const std::uint64_t> many_bits(std::size_t row) const {
    return std::span(many_bits_).subspan(row * words_, words_);
  }

  [[nodiscard]] std::span<const std::uint64_t> one_bits(std::size_t row) const {
    return std::span(one_bits_).subspan(row * words_, words_);
  }

  /// One side of a pair, as a column of elements.
  struct Column {
    std::span<const double> values;
    const HistogramRow* histograms = nullptr;  ///< Null for a fill value, at every step.

    [[nodiscard]] bool has_histograms() const {
      return histograms != nullptr && !histograms->empty();
    }

    [[nodiscard]] Element at(std::size_t step) const {
      if (histograms == nullptr) return {.value = values[0], .histogram = nullptr};
      return {.value = values[step],
              .histogram = histograms->empty() ? nullptr : (*histograms)[step]};
    }
  };

  [[nodiscard]] static Column column(const Matrix& matrix, std::uint32_t row,
                                     const std::optional<double>& fill) {
    if (row == kFill) return {.values = {&*fill, 1}, .histograms = nullptr};
    return {.values = matrix.rows.row(row), .histograms = &matrix.rows.histograms(row)};
  }

  /// What stands to the left and to the right of the operator.
  [[nodiscard]] std::pair<Column, Column> columns(std::uint32_t many, std::uint32_t one) const {
    std::pair<Column, Column> result(column(many_, many, fill_many_), column(one_, one, fill_one_));
    if (is_swapped_) std::swap(result.first, result.second);
    return result;
  }

  Result<void> check_one_side() {
    // Of several the earliest, and of these the one with the first row, is reported.
    std::optional<std::pair<std::size_t, std::uint32_t>> first;
    std::string message;
    for (const MatchGroup& group : groups_) {
      if (group.one.size() < 2) continue;
      Bits seen(words_);
      for (const std::uint32_t row : group.one) {
        const std::optional<std::size_t> step = first_common(seen, one_bits(row), active_);
        if (step && (!first || std::pair(*step, row) < *first)) {
          first = std::pair(*step, row);
          message = duplicate_text(group, row, *step);
        }
        join_bits(seen, one_bits(row));
      }
    }
    if (!first) return {};
    return fail(Code::FailedPrecondition, std::move(message));
  }

  [[nodiscard]] std::string duplicate_text(const MatchGroup& group, std::uint32_t row,
                                           std::size_t step) const {
    std::string first;
    for (const std::uint32_t other : group.one) {
      if (kernels::test_bit(one_bits(other), step)) {
        first = context_.labels.format(one_.labels[other]);
        break;
      }
    }
    std::string second = context_.labels.format(one_.labels[row]);
    if (second < first) std::swap(first, second);
    return fmt::format(
        "found duplicate series for the match group {} on the {} hand-side of the operation: "
        "[{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
        context_.labels.format(group.signature), is_swapped_ ? "left" : "right", first, second);
  }

  /// Elements of the many side in row order, then those that only the one side has, in its order.
  Result<void> find_pairs() {
    // By group: the steps at which one of its pairs is combined, where that matters.
    std::vector<Bits> matched(groups_.size());
    for (std::uint32_t row = 0; row < many_.count(); ++row) {
      const std::uint32_t g = many_group_[row];
      if (groups_[g].one.empty() && !fill_one_) continue;
      const std::size_t first_pair = pairs_.size();
      Bits missing(many_bits(row).begin(), many_bits(row).end());
      for (const std::uint32_t one : groups_[g].one) {
        add_pair(row, one, g, many_bits(row), one_bits(one));
        for (std::size_t w = 0; w < words_; ++w) missing[w] &= ~one_bits(one)[w];
      }
      if (fill_one_) add_pair(row, kFill, g, missing, missing);
      const bool is_checked = matching_.card == MatchCard::OneToOne && groups_[g].many.size() > 1;
      if (!is_checked && !fill_many_) continue;
      matched[g].resize(words_);
      for (std::size_t i = first_pair; i < pairs_.size(); ++i) {
        if (is_checked && is_common(matched[g], pairs_[i].steps)) {
          return fail(Code::FailedPrecondition,
                      "multiple matches for labels: many-to-one matching must be explicit "
                      "(group_left/group_right)");
        }
        join_bits(matched[g], pairs_[i].steps);
      }
    }
    if (!fill_many_) return {};
    for (std::uint32_t row = 0; row < one_.count(); ++row) {
      const std::uint32_t g = one_group_[row];
      Bits missing(one_bits(row).begin(), one_bits(row).end());
      for (std::size_t w = 0; w < matched[g].size(); ++w) missing[w] &= ~matched[g][w];
      add_pair(kFill, row, g, missing, missing);
    }
    return {};
  }

  void add_pair(std::uint32_t many, std::uint32_t one, std::uint32_t group,
                std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) {
    Bits steps(words_);
    for (std::size_t w = 0; w < words_; ++w) steps[w] = a[w] & b[w];
    if (!is_any(steps)) return;
    Bits refused = take_refused(many, one, steps);
    pairs_.push_back({.many = many,
                      .one = one,
                      .group = group,
                      .out = 0,
                      .steps = std::move(steps),
                      .refused = std::move(refused)});
  }

  /// Moves the steps that the operator refuses out of `steps`.
  [[nodiscard]] Bits take_refused(std::uint32_t many, std::uint32_t one, Bits& steps) const {
    const auto [left, right] = columns(many, one);
    Bits refused;
    if (!left.has_histograms() && !right.has_histograms() && !is_trim(binary_.op)) return refused;
    for_each_bit(Bits(steps), [&](std::size_t step) {
      if (find_refusal(binary_.op, left.at(step), right.at(step)) == PairNote::None) return;
      refused.resize(words_);
      kernels::set_bit(refused, step);
      kernels::clear_bit(steps, step);
    });
    return refused;
  }

  [[nodiscard]] LabelSetId result_labels(const Pair& pair) {
    LabelTable& table = context_.labels;
    const LabelSetId signature = groups_[pair.group].signature;
    LabelSetId labels = pair.many == kFill ? signature : many_.labels[pair.many];
    const bool drops_now = drops_metric_name(binary_.op, false) ||
                           (binary_.returns_bool && context_.drops_names_at_once());
    if (drops_now) labels = table.without_metadata(labels);
    if (matching_.card == MatchCard::OneToOne) {
      if (matching_.is_on) {
        labels = projection_.apply(table, labels);
      } else {
        for (const std::string& name : matching_.labels) {
          labels = table.with(labels, table.intern(name), kEmptySymbol);
        }
      }
      return labels;
    }
    const LabelSetId one_labels = pair.one == kFill ? signature : one_.labels[pair.one];
    for (const std::string& name : matching_.include) {
      const Symbol symbol = table.intern(name);
      labels = table.with(labels, symbol, table.value(one_labels, symbol));
    }
    return labels;
  }

  /// Pairs with equal labels share a row of the answer.
  void assign_outputs() {
    std::unordered_map<LabelSetId, std::size_t> index;
    for (Pair& pair : pairs_) {
      const LabelSetId labels = result_labels(pair);
      const auto [place, is_new] = index.emplace(labels, output_labels_.size());
      if (is_new) {
        output_labels_.push_back(labels);
        // As in Prometheus, the flag of an input row ends here, even with operators that keep the
        // name.
        const bool is_flagged = binary_.returns_bool && !context_.drops_names_at_once();
        output_flags_.push_back(is_flagged ? 1 : 0);
      }
      pair.out = place->second;
    }
  }

  Result<Matrix> compute() {
    GANTRY_TRY(Matrix result, make_matrix(context_.budget, output_labels_.size(), steps_));
    result.labels = output_labels_;
    result.drops_name = output_flags_;
    // The steps that pairs of an output have taken, before filters: within one match group a second
    // one is an error even where the comparison drops it.
    std::vector<std::pair<std::uint32_t, Bits>> taken(output_labels_.size());
    std::vector<double> values(steps_);
    std::size_t done = 0;
    for (const Pair& pair : pairs_) {
      if (done++ % kBatchRows == 0) GANTRY_CHECK(context_.check());
      auto& [group, steps] = taken[pair.out];
      if (steps.empty()) {
        group = pair.group;
        steps.resize(words_);
      }
      if (group == pair.group && is_common(steps, pair.steps)) {
        return fail(Code::FailedPrecondition,
                    "multiple matches for labels: grouping labels must ensure unique matches");
      }
      join_bits(steps, pair.steps);
      const std::uint64_t bytes_before = histogram_bytes(result.rows.histograms(pair.out));
      if (!compute_pair(pair, values, result.rows)) {
        return fail(Code::FailedPrecondition,
                    "vector cannot contain metrics with the same labelset");
      }
      GANTRY_CHECK(result.reservation.grow(
          0, histogram_bytes(result.rows.histograms(pair.out)) - bytes_before));
    }
    annotate_steps(binary_.op, notes_, context_.annotations, position_);
    GANTRY_CHECK(result.reservation.grow(count_samples(result.rows.view()), 0));
    remove_empty_rows(result);
    return result;
  }

  /// False when a step of the output is taken.
  bool compute_pair(const Pair& pair, std::vector<double>& values, Rows& out) {
    const auto [left, right] = columns(pair.many, pair.one);
    if (left.has_histograms() || right.has_histograms() || is_trim(binary_.op)) {
      return compute_mixed(pair, left, right, out);
    }
    const std::vector<double> fill(
        pair.many == kFill || pair.one == kFill ? steps_ : 0,
        pair.many == kFill ? fill_many_.value_or(0) : fill_one_.value_or(0));
    const std::span<const double> left_values = left.histograms == nullptr ? fill : left.values;
    const std::span<const double> right_values = right.histograms == nullptr ? fill : right.values;
    Bits kept = pair.steps;
    std::span<const double> source = values;
    if (!is_comparison(binary_.op)) {
      apply_arithmetic(binary_.op, left_values, right_values, values);
    } else if (binary_.returns_bool) {
      for (std::size_t i = 0; i < steps_; ++i) {
        values[i] = apply_operator(binary_.op, left_values[i], right_values[i]);
      }
    } else {
      apply_comparison(binary_.op, left_values, right_values, kept);
      for (std::size_t w = 0; w < words_; ++w) kept[w] &= pair.steps[w];
      source = left_values;
    }
    return store(pair.out, source, kept, out);
  }

  static bool store(std::size_t row, std::span<const double> values, const Bits& kept, Rows& out) {
    const std::span<std::uint64_t> bits = out.bits(row);
    const bool is_fresh = !is_any(bits) && out.histograms(row).empty();
    if (is_fresh) {
      std::ranges::copy(values, out.row(row).begin());
      std::ranges::copy(kept, bits.begin());
      return true;
    }
    bool is_free = true;
    for_each_bit(kept, [&](std::size_t step) {
      is_free = is_free && put(row, step, {.value = values[step], .histogram = nullptr}, out);
    });
    return is_free;
  }

  static bool put(std::size_t row, std::size_t step, Element element, Rows& out) {
    const HistogramRow& histograms = out.histograms(row);
    if (kernels::test_bit(out.bits(row), step) ||
        (!histograms.empty() && histograms[step] != nullptr)) {
      return false;
    }
    if (element.histogram != nullptr) {
      out.set_histogram(row, step, std::move(element.histogram));
    } else {
      out.row(row)[step] = element.value;
      kernels::set_bit(out.bits(row), step);
    }
    return true;
  }

  bool compute_mixed(const Pair& pair, const Column& left, const Column& right, Rows& out) {
    for_each_bit(pair.refused, [&](std::size_t step) {
      note(step, find_refusal(binary_.op, left.at(step), right.at(step)));
    });
    bool is_free = true;
    for_each_bit(pair.steps, [&](std::size_t step) {
      PairNote found = PairNote::None;
      std::optional<Element> result =
          combine_elements(binary_.op, binary_.returns_bool, left.at(step), right.at(step), found);
      if (found != PairNote::None) note(step, found);
      if (result) is_free = is_free && put(pair.out, step, *std::move(result), out);
    });
    return is_free;
  }

  /// Of several notes at a step the last pair's counts.
  void note(std::size_t step, PairNote found) {
    notes_.resize(steps_, PairNote::None);
    notes_[step] = found;
  }

  QueryContext& context_;
  const Binary& binary_;
  const VectorMatching matching_;
  const Position position_;
  const bool is_swapped_;
  const Matrix& many_;
  const Matrix& one_;
  const std::optional<double> fill_many_;
  const std::optional<double> fill_one_;
  const std::size_t steps_;
  const std::size_t words_;
  Projection projection_;

  std::vector<MatchGroup> groups_;
  std::vector<std::uint32_t> many_group_;  ///< By row.
  std::vector<std::uint32_t> one_group_;
  Bits many_bits_;  ///< By row: steps with an element.
  Bits one_bits_;
  Bits active_;
  std::vector<Pair> pairs_;
  std::vector<PairNote> notes_;  ///< By step; empty for none.
  std::vector<LabelSetId> output_labels_;
  std::vector<std::uint8_t> output_flags_;
};

}  // namespace

Result<Matrix> match_vectors(QueryContext& context, const Binary& binary, Position position,
                             const Matrix& left, const Matrix& right) {
  return VectorMatcher(context, binary, position, left, right).run();
}

}  // namespace gantry::promql::eval
