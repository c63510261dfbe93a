#include "promql/eval/info.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "promql/eval/instant_selector.h"
#include "promql/eval/label_table.h"
#include "promql/eval/row_producer.h"
#include "promql/kernels/window.h"
#include "telemetry/labels.h"

namespace gantry::promql::eval {
namespace {

using Bits = std::vector<std::uint64_t>;

/// The labels that an info series has in common with what it describes.
constexpr std::array<std::string_view, 2> kIdentifyingLabels = {"instance", "job"};

/// What the call's second argument says, or would say by default.
struct InfoSelector {
  std::vector<Matcher> names;       ///< Of the metric's name; never empty.
  std::vector<Matcher> labels;      ///< Of the labels that are asked for.
  std::vector<Symbol> label_names;  ///< Of `labels`; empty: all labels are asked for.

  [[nodiscard]] bool is_info_metric(std::string_view name) const {
    return std::ranges::all_of(names, [=](const Matcher& m) { return m.matches(name); });
  }

  /// Whether an element without info series may stay.
  [[nodiscard]] bool allows_none() const {
    return std::ranges::all_of(labels, [](const Matcher& m) { return m.matches_empty(); });
  }

  [[nodiscard]] bool asks_for(Symbol name) const {
    return label_names.empty() || std::ranges::find(label_names, name) != label_names.end();
  }
};

Result<InfoSelector> read_selector(LabelTable& table, const Call& call) {
  InfoSelector result;
  if (call.arguments.size() > 1) {
    for (const Matcher& matcher : std::get<VectorSelector>(call.arguments[1]->node).matchers) {
      if (matcher.name() == telemetry::kMetricNameLabel) {
        result.names.push_back(matcher);
      } else {
        result.labels.push_back(matcher);
        result.label_names.push_back(table.intern(matcher.name()));
      }
    }
  }
  const std::string name(telemetry::kMetricNameLabel);
  if (result.names.empty()) {
    GANTRY_TRY(Matcher target, Matcher::make(MatchOp::Equal, name, "target_info"));
    result.names.push_back(std::move(target));
    return result;
  }
  const bool is_any_positive = std::ranges::any_of(result.names, [](const Matcher& matcher) {
    return matcher.op() == MatchOp::Equal || matcher.op() == MatchOp::Regex;
  });
  if (!is_any_positive) {
    GANTRY_TRY(Matcher any_info, Matcher::make(MatchOp::Regex, name, ".+_info"));
    result.names.push_back(std::move(any_info));
  }
  return result;
}

/// Adds what moves the time that the first selector of `expr` looks at; an `@` hides what is
/// further out. False when there is no selector.
bool add_time(const Expr& expr, TimeModifiers& time) {
  const auto add = [&](const TimeModifiers& own) {
    if (time.at != AtKind::None) return;
    time.offset_ms += own.offset_ms;
    time.at = own.at;
    time.at_ms = own.at_ms;
  };
  if (const auto* selector = std::get_if<VectorSelector>(&expr.node)) {
    add(selector->time);
    return true;
  }
  if (const auto* selector = std::get_if<MatrixSelector>(&expr.node)) {
    add(selector->selector.time);
    return true;
  }
  // What is aggregated comes before the parameter, whatever the order in the text.
  const auto* aggregate = std::get_if<Aggregate>(&expr.node);
  if (aggregate != nullptr && add_time(*aggregate->expr, time)) return true;
  for (const Expr* child : children(expr)) {
    if (aggregate != nullptr && child == aggregate->expr.get()) continue;
    if (!add_time(*child, time)) continue;
    if (const auto* subquery = std::get_if<Subquery>(&expr.node)) add(subquery->time);
    return true;
  }
  return false;
}

/// The values of an identifying label.
std::vector<std::string> values_of(const LabelTable& table, Symbol label,
                                   std::span<const LabelSetId> sets) {
  std::vector<Symbol> symbols;
  for (const LabelSetId set : sets) {
    const Symbol value = table.value(set, label);
    if (value != kEmptySymbol) symbols.push_back(value);
  }
  std::ranges::sort(symbols);
  const auto repeated = std::ranges::unique(symbols);
  symbols.erase(repeated.begin(), repeated.end());
  std::vector<std::string> texts;
  texts.reserve(symbols.size());
  for (const Symbol symbol : symbols) texts.emplace_back(table.text(symbol));
  return texts;
}

/// The info series of `elements`' instances and jobs: the times of their newest samples. Without
/// rows when the elements have neither label.
Result<Matrix> read_info_series(QueryContext& context, const InfoSelector& selector,
                                const Expr& argument, const Grid& grid,
                                std::span<const LabelSetId> elements) {
  VectorSelector wanted;
  for (const std::string_view label : kIdentifyingLabels) {
    std::vector<std::string> values =
        values_of(context.labels, context.labels.intern(label), elements);
    if (values.empty()) continue;
    wanted.matchers.push_back(Matcher::make_one_of(std::string(label), std::move(values)));
  }
  if (wanted.matchers.empty()) return make_matrix(context.budget, 0, grid.count);
  std::ranges::copy(selector.labels, std::back_inserter(wanted.matchers));
  std::ranges::copy(selector.names, std::back_inserter(wanted.matchers));
  add_time(argument, wanted.time);
  const bool is_pinned = wanted.time.at != AtKind::None;
  const Grid times = is_pinned ? grid.first() : grid;
  GANTRY_TRY(const RowProducerPtr rows,
             make_instant_selector(context, wanted, times, InstantValue::FloatTimeMs, "info"));
  GANTRY_TRY(Matrix info, materialise(context, *rows, times.count));
  if (is_pinned) return broadcast(context.budget, std::move(info), grid.count);
  return info;
}

void intersect(std::span<std::uint64_t> bits, std::span<const std::uint64_t> others) {
  for (std::size_t w = 0; w < bits.size(); ++w) bits[w] &= others[w];
}

bool is_any_set(std::span<const std::uint64_t> bits) {
  return std::ranges::any_of(bits, [](std::uint64_t word) { return word != 0; });
}

/// Empties the cells outside `steps`; an empty bitmap leaves the row as it is.
void restrict_row(Rows& rows, std::size_t row, std::span<const std::uint64_t> steps) {
  if (steps.empty()) return;
  intersect(rows.bits(row), steps);
  HistogramRow& histograms = rows.histograms(row);
  for (std::size_t step = 0; step < histograms.size(); ++step) {
    if (!kernels::test_bit(steps, step)) histograms[step].reset();
  }
}

class InfoJoin {
 public:
  InfoJoin(QueryContext& context, const InfoSelector& selector, Matrix elements)
      : context_(context),
        selector_(selector),
        elements_(std::move(elements)),
        words_(elements_.rows.view().words),
        key_(Projection::Mode::Keep, {context.labels.intern(kIdentifyingLabels[0]),
                                      context.labels.intern(kIdentifyingLabels[1])}),
        scratch_(context.budget),
        occupied_(words_) {}

  /// The labels of those elements that are no info series themselves.
  [[nodiscard]] std::vector<LabelSetId> find_described();

  /// `info` has sample times as values.
  Result<Matrix> join(Matrix info);

 private:
  /// Info series of one name, instance and job.
  struct Group {
    Symbol name = kEmptySymbol;
    std::vector<std::uint32_t> rows;
  };

  /// Two info series of a group whose newest samples are of the same time.
  struct Tie {
    std::size_t step = 0;
    std::uint32_t row = 0;
    std::uint32_t existing_row = 0;
  };

  struct Addition {
    LabelPair label;
    bool is_disputed = false;  ///< Another info series has another value.
  };

  /// Info series, at most one of each name, that count together at some steps.
  struct Combination {
    std::vector<std::uint32_t> info_rows;
    Bits steps;
    std::optional<std::vector<Addition>> additions;  ///< Once needed.
  };

  /// Some steps of an element, under new labels.
  struct Piece {
    std::uint32_t row = 0;
    LabelSetId labels = kEmptyLabels;
    Bits steps;  ///< Empty: all that the element has.
  };

  Result<void> restrict_to_asked_steps();
  void group_info_series();
  Result<void> keep_newest();
  void keep_newest_of(const Group& group, std::optional<Tie>& first_tie);
  Result<std::vector<Combination>> combine(LabelSetId key);
  Result<void> refine(std::vector<Combination>& combinations, const Group& group);
  Result<void> cut(std::uint32_t row, std::span<Combination> combinations);
  [[nodiscard]] std::vector<Addition> additions_of(std::span<const std::uint32_t> info_rows) const;
  Result<LabelSetId> add_labels(LabelSetId own, std::span<const Addition> additions);
  Result<Matrix> assemble();
  void assemble_in_place();

  QueryContext& context_;
  const InfoSelector& selector_;
  Matrix elements_;
  Matrix info_;
  std::size_t words_;
  Projection key_;
  Reservation scratch_;
  Bits occupied_;  ///< Of the row at hand.
  Bits asked_;     ///< Steps at which there is any element.
  std::vector<std::uint32_t> described_rows_;
  std::unordered_map<LabelSetId, std::vector<Group>> groups_;  ///< By key.
  std::vector<Piece> pieces_;
  std::vector<LabelPair> pairs_;
};

std::vector<LabelSetId> InfoJoin::find_described() {
  std::unordered_map<Symbol, bool> is_info_metric;
  std::vector<LabelSetId> described;
  for (std::uint32_t row = 0; row < elements_.count(); ++row) {
    const LabelSetId labels = elements_.labels[row];
    const Symbol name = context_.labels.value(labels, context_.labels.metric_name());
    const auto [known, is_new] = is_info_metric.try_emplace(name, false);
    if (is_new) known->second = selector_.is_info_metric(context_.labels.text(name));
    if (known->second) {
      pieces_.push_back({.row = row, .labels = labels, .steps = {}});
    } else {
      described_rows_.push_back(row);
      described.push_back(labels);
    }
  }
  return described;
}

Result<Matrix> InfoJoin::join(Matrix info) {
  info_ = std::move(info);
  GANTRY_CHECK(restrict_to_asked_steps());
  group_info_series();
  GANTRY_CHECK(keep_newest());
  std::vector<std::pair<LabelSetId, std::uint32_t>> by_key;
  by_key.reserve(described_rows_.size());
  for (const std::uint32_t row : described_rows_) {
    by_key.emplace_back(key_.apply(context_.labels, elements_.labels[row]), row);
  }
  std::ranges::sort(by_key);
  std::vector<Combination> combinations;
  for (std::size_t i = 0; i < by_key.size(); ++i) {
    const auto [key, row] = by_key[i];
    if (i == 0 || key != by_key[i - 1].first) {
      GANTRY_CHECK(context_.check());
      GANTRY_TRY(combinations, combine(key));
    }
    GANTRY_CHECK(cut(row, combinations));
  }
  return assemble();
}

/// What info series hold where there is no element is of no consequence, not even if it is wrong.
Result<void> InfoJoin::restrict_to_asked_steps() {
  asked_.assign(words_, 0);
  for (std::size_t row = 0; row < elements_.count(); ++row) {
    occupied_bits(elements_.rows, row, occupied_);
    for (std::size_t w = 0; w < words_; ++w) asked_[w] |= occupied_[w];
  }
  for (std::size_t row = 0; row < info_.count(); ++row) {
    const HistogramRow& histograms = info_.rows.histograms(row);
    for (std::size_t step = 0; step < histograms.size(); ++step) {
      if (histograms[step] == nullptr || !kernels::test_bit(asked_, step)) continue;
      return fail(Code::FailedPrecondition, "info sample should be float");
    }
    intersect(info_.rows.bits(row), asked_);
  }
  return {};
}

void InfoJoin::group_info_series() {
  for (std::uint32_t row = 0; row < info_.count(); ++row) {
    const LabelSetId labels = info_.labels[row];
    const Symbol name = context_.labels.value(labels, context_.labels.metric_name());
    std::vector<Group>& groups = groups_[key_.apply(context_.labels, labels)];
    auto group = std::ranges::find(groups, name, &Group::name);
    if (group == groups.end()) {
      groups.push_back({.name = name, .rows = {}});
      group = groups.end() - 1;
    }
    group->rows.push_back(row);
  }
}

/// Takes from every info series the steps at which another of its group is newer.
Result<void> InfoJoin::keep_newest() {
  std::optional<Tie> tie;
  for (const auto& [key, groups] : groups_) {
    for (const Group& group : groups) {
      if (group.rows.size() > 1) keep_newest_of(group, tie);
    }
  }
  if (!tie) return {};
  const auto time_of = [&](std::uint32_t row) {
    return static_cast<std::int64_t>(info_.rows.row(row)[tie->step]);
  };
  return fail(Code::FailedPrecondition,
              fmt::format("found duplicate series for info metric: existing {} @ {}, new {} @ {}",
                          context_.labels.format(info_.labels[tie->existing_row]),
                          time_of(tie->existing_row),
                          context_.labels.format(info_.labels[tie->row]), time_of(tie->row)));
}

/// `first_tie`: the one of the earliest step, there of the first series.
void InfoJoin::keep_newest_of(const Group& group, std::optional<Tie>& first_tie) {
  constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> newest(info_.rows.steps(), kNone);
  for (const std::uint32_t row : group.rows) {
    for_each_bit(info_.rows.bits(row), [&](std::size_t step) {
      const std::uint32_t existing = newest[step];
      if (existing == kNone) {
        newest[step] = row;
        return;
      }
      const double existing_ms = info_.rows.row(existing)[step];
      const double own_ms = info_.rows.row(row)[step];
      if (existing_ms == own_ms) {
        const Tie tie{.step = step, .row = row, .existing_row = existing};
        if (!first_tie || std::pair(tie.step, tie.row) < std::pair(first_tie->step, first_tie->row))
          first_tie = tie;
      } else if (existing_ms < own_ms) {
        newest[step] = row;
      }
    });
  }
  for (const std::uint32_t row : group.rows) std::ranges::fill(info_.rows.bits(row), 0);
  for (std::size_t step = 0; step < newest.size(); ++step) {
    if (newest[step] != kNone) kernels::set_bit(info_.rows.bits(newest[step]), step);
  }
}

/// Every step belongs to one of the combinations.
Result<std::vector<InfoJoin::Combination>> InfoJoin::combine(LabelSetId key) {
  std::vector<Combination> combinations(1);
  combinations[0].steps = asked_;
  scratch_ = Reservation(context_.budget);
  GANTRY_CHECK(scratch_.grow(0, words_ * sizeof(std::uint64_t)));
  const auto groups = groups_.find(key);
  if (groups == groups_.end()) return combinations;
  for (const Group& group : groups->second) GANTRY_CHECK(refine(combinations, group));
  return combinations;
}

/// Splits each combination by which series of `group` counts at its steps.
Result<void> InfoJoin::refine(std::vector<Combination>& combinations, const Group& group) {
  std::vector<Combination> refined;
  for (Combination& combination : combinations) {
    for (const std::uint32_t row : group.rows) {
      Bits steps = combination.steps;
      intersect(steps, info_.rows.bits(row));
      if (!is_any_set(steps)) continue;
      GANTRY_CHECK(scratch_.grow(0, words_ * sizeof(std::uint64_t)));
      for (std::size_t w = 0; w < words_; ++w) combination.steps[w] &= ~steps[w];
      Combination& extended = refined.emplace_back();
      extended.info_rows = combination.info_rows;
      extended.info_rows.push_back(row);
      extended.steps = std::move(steps);
    }
    if (is_any_set(combination.steps)) refined.push_back(std::move(combination));
  }
  combinations = std::move(refined);
  return {};
}

/// Distributes the steps of an element over the combinations.
Result<void> InfoJoin::cut(std::uint32_t row, std::span<Combination> combinations) {
  occupied_bits(elements_.rows, row, occupied_);
  for (Combination& combination : combinations) {
    Bits steps = occupied_;
    intersect(steps, combination.steps);
    if (!is_any_set(steps)) continue;
    if (combination.info_rows.empty() && !selector_.allows_none()) continue;
    if (!combination.additions) combination.additions = additions_of(combination.info_rows);
    GANTRY_TRY(const LabelSetId labels, add_labels(elements_.labels[row], *combination.additions));
    if (steps == occupied_) steps = {};
    GANTRY_CHECK(elements_.reservation.grow(0, sizeof(Piece) + (steps.size() * sizeof(steps[0]))));
    pieces_.push_back({.row = row, .labels = labels, .steps = std::move(steps)});
  }
  return {};
}

/// What the info series say together, sorted by name.
std::vector<InfoJoin::Addition> InfoJoin::additions_of(
    std::span<const std::uint32_t> info_rows) const {
  const LabelTable& table = context_.labels;
  std::vector<Addition> all;
  for (const std::uint32_t row : info_rows) {
    for (const LabelPair label : table.labels(info_.labels[row])) {
      if (label.name == table.metric_name() || !selector_.asks_for(label.name)) continue;
      const auto known = std::ranges::find_if(
          all, [&](const Addition& addition) { return addition.label.name == label.name; });
      if (known == all.end()) {
        all.push_back({.label = label, .is_disputed = false});
      } else if (known->label.value != label.value) {
        known->is_disputed = true;
      }
    }
  }
  std::ranges::sort(all, {}, [&](const Addition& a) { return table.text(a.label.name); });
  return all;
}

/// Labels that the element has already stay as they are.
Result<LabelSetId> InfoJoin::add_labels(LabelSetId own, std::span<const Addition> additions) {
  if (additions.empty()) return own;
  LabelTable& table = context_.labels;
  const std::span<const LabelPair> labels = table.labels(own);
  pairs_.clear();
  auto next = labels.begin();
  for (const Addition& addition : additions) {
    const Symbol name = addition.label.name;
    while (next != labels.end() && table.text(next->name) < table.text(name)) {
      pairs_.push_back(*next++);
    }
    if (next != labels.end() && next->name == name) continue;
    if (addition.is_disputed) {
      return fail(Code::FailedPrecondition, fmt::format("conflicting label: {}", table.text(name)));
    }
    pairs_.push_back(addition.label);
  }
  pairs_.insert(pairs_.end(), next, labels.end());
  return table.intern_set(pairs_);
}

Result<Matrix> InfoJoin::assemble() {
  std::ranges::stable_sort(pieces_, {}, &Piece::row);
  const bool is_any_split = std::ranges::adjacent_find(pieces_, {}, &Piece::row) != pieces_.end();
  if (!is_any_split) {
    assemble_in_place();
    GANTRY_CHECK(merge_equal_rows(elements_));
    return std::move(elements_);
  }
  GANTRY_TRY(Matrix result, make_matrix(context_.budget, pieces_.size(), elements_.rows.steps()));
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const Piece& piece = pieces_[i];
    std::ranges::copy(elements_.rows.row(piece.row), result.rows.row(i).begin());
    std::ranges::copy(elements_.rows.bits(piece.row), result.rows.bits(i).begin());
    result.rows.histograms(i) = elements_.rows.histograms(piece.row);
    restrict_row(result.rows, i, piece.steps);
    result.labels[i] = piece.labels;
    result.drops_name[i] = elements_.drops_name[piece.row];
  }
  GANTRY_CHECK(result.reservation.grow(count_samples(result.rows.view()), 0));
  GANTRY_CHECK(merge_equal_rows(result));
  return result;
}

/// The common case: no values move.
void InfoJoin::assemble_in_place() {
  auto piece = pieces_.begin();
  for (std::uint32_t row = 0; row < elements_.count(); ++row) {
    if (piece != pieces_.end() && piece->row == row) {
      elements_.labels[row] = piece->labels;
      restrict_row(elements_.rows, row, piece->steps);
      ++piece;
    } else {
      std::ranges::fill(elements_.rows.bits(row), 0);
      elements_.rows.histograms(row).clear();
    }
  }
  remove_empty_rows(elements_);
}

}  // namespace

Result<Matrix> join_info_series(QueryContext& context, const Call& call, const Grid& grid,
                                Matrix elements) {
  if (elements.count() == 0) return elements;
  GANTRY_TRY(const InfoSelector selector, read_selector(context.labels, call));
  InfoJoin join(context, selector, std::move(elements));
  const std::vector<LabelSetId> described = join.find_described();
  GANTRY_TRY(Matrix info, read_info_series(context, selector, *call.arguments[0], grid, described));
  return join.join(std::move(info));
}

}  // namespace gantry::promql::eval
