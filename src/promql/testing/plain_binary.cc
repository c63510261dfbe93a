#include "promql/testing/plain_binary.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "promql/histogram/arithmetic.h"

namespace gantry::promql::promqltest {

namespace {

struct Note {
  bool is_warning = false;
  std::string text;
};

/// What an operator makes of two samples. Not kept: a comparison that is false.
struct Outcome {
  double value = 0;
  HistogramPointer histogram;
  bool is_kept = true;
  bool is_dropped = false;  ///< No result, not even of `bool`.
  std::optional<Note> note;
};

Outcome of_floats(BinaryOp op, double left, double right) {
  if (op == BinaryOp::TrimLower || op == BinaryOp::TrimUpper) return {.is_dropped = true};
  if (!is_comparison(op)) return {.value = scalar_operation(op, left, right)};
  return {.value = left, .is_kept = scalar_operation(op, left, right) == 1};
}

Outcome of_histograms(BinaryOp op, const HistogramPointer& left, const HistogramPointer& right) {
  if (op == BinaryOp::Equal || op == BinaryOp::NotEqual) {
    return {.histogram = left,
            .is_kept = histogram::equals(*left, *right) == (op == BinaryOp::Equal)};
  }
  if (op != BinaryOp::Add && op != BinaryOp::Subtract) return {.is_dropped = true};
  const bool is_sum = op == BinaryOp::Add;
  const std::string what = is_sum ? "addition" : "subtraction";
  telemetry::FloatHistogram result = *left;
  const auto done = is_sum ? histogram::add(result, *right) : histogram::subtract(result, *right);
  if (!done.is_possible) {
    return {.is_dropped = true,
            .note = Note{.is_warning = true,
                         .text = "incompatible bucket layout encountered for binary operator " +
                                 std::string(is_sum ? "+" : "-")}};
  }
  if (done.has_hint_conflict) {
    return {.is_dropped = true,
            .note = Note{.is_warning = true,
                         .text = "conflicting counter resets during histogram " + what}};
  }
  if (!is_sum) result.hint = telemetry::CounterResetHint::Gauge;
  histogram::compact(result);
  Outcome outcome{.histogram = share(std::move(result))};
  if (done.has_reconciled_bounds)
    outcome.note = Note{.is_warning = false,
                        .text = "mismatched custom buckets were reconciled during " + what};
  return outcome;
}

/// A histogram and a number.
Outcome of_scaling(BinaryOp op, const telemetry::FloatHistogram& histogram, double number,
                   bool is_number_right) {
  telemetry::FloatHistogram result = histogram;
  switch (op) {
    case BinaryOp::Multiply:
      histogram::multiply(result, number);
      histogram::compact(result);
      break;
    case BinaryOp::Divide:
      if (!is_number_right) return {.is_dropped = true};
      histogram::divide(result, number);
      histogram::compact(result);
      break;
    case BinaryOp::TrimUpper:
    case BinaryOp::TrimLower:
      if (!is_number_right) return {.is_dropped = true};
      histogram::trim(result, number,
                      op == BinaryOp::TrimUpper ? histogram::TrimSide::KeepBelow
                                                : histogram::TrimSide::KeepAbove);
      break;
    default:
      return {.is_dropped = true};
  }
  return {.histogram = share(std::move(result))};
}

Outcome operate(BinaryOp op, const PlainElement& left, const PlainElement& right) {
  Outcome outcome;
  if (left.histogram && right.histogram) {
    outcome = of_histograms(op, left.histogram, right.histogram);
  } else if (left.histogram) {
    outcome = of_scaling(op, *left.histogram, right.value, true);
  } else if (right.histogram) {
    outcome = of_scaling(op, *right.histogram, left.value, false);
  } else {
    outcome = of_floats(op, left.value, right.value);
  }
  if (outcome.is_dropped && !outcome.note) {
    const std::string sign(binary_op_text(op));
    outcome.note = Note{.is_warning = false,
                        .text = "incompatible sample types encountered for binary operator \"" +
                                sign + "\": " + (left.histogram ? "histogram " : "float ") + sign +
                                (right.histogram ? " histogram" : " float")};
  }
  return outcome;
}

bool changes_meaning(BinaryOp op) {
  switch (op) {
    case BinaryOp::Add:
    case BinaryOp::Subtract:
    case BinaryOp::Multiply:
    case BinaryOp::Divide:
    case BinaryOp::Modulo:
    case BinaryOp::Power:
    case BinaryOp::Atan2:
      return true;
    default:
      return false;
  }
}

bool is_listed(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

/// The labels that decide which elements match.
PlainLabels match_group(const VectorMatching& matching, const PlainLabels& labels) {
  PlainLabels group;
  for (const auto& [name, value] : labels) {
    const bool is_named = is_listed(matching.labels, name);
    if (matching.is_on ? is_named : !is_named && name != "__name__") group[name] = value;
  }
  return group;
}

PlainVector set_operation(BinaryOp op, const VectorMatching& matching, const PlainVector& left,
                          const PlainVector& right) {
  const PlainVector& others = op == BinaryOp::Or ? left : right;
  std::set<PlainLabels> groups;
  for (const PlainElement& element : others) groups.insert(match_group(matching, element.labels));
  PlainVector result;
  if (op == BinaryOp::Or) result = left;
  for (const PlainElement& element : op == BinaryOp::Or ? right : left) {
    if (groups.contains(match_group(matching, element.labels)) == (op == BinaryOp::And))
      result.push_back(element);
  }
  return result;
}

/// One step of an operation that pairs elements. `many` is the left side but with group_right.
class Pairing {
 public:
  Pairing(PlainContext& context, const Expr& expr)
      : context_(context),
        binary_(std::get<Binary>(expr.node)),
        matching_(*binary_.matching),
        position_(expr.position),
        is_swapped_(matching_.card == MatchCard::OneToMany) {}

  Result<PlainVector> run(const PlainVector& left, const PlainVector& right) {
    const bool has_fill = matching_.fill_left || matching_.fill_right;
    if ((left.empty() && right.empty()) || ((left.empty() || right.empty()) && !has_fill))
      return PlainVector{};
    const PlainVector& many = is_swapped_ ? right : left;
    const PlainVector& one = is_swapped_ ? left : right;
    for (const PlainElement& element : one) {
      const PlainLabels group = match_group(matching_, element.labels);
      const auto [place, is_new] = ones_.try_emplace(group, element);
      if (!is_new) return duplicate(group, element.labels, place->second.labels);
    }
    // The fills belong to the sides as written in the reference's order: many first.
    const auto& fill_one = matching_.fill_right;
    const auto& fill_many = matching_.fill_left;
    for (const PlainElement& element : many) {
      const PlainLabels group = match_group(matching_, element.labels);
      const auto found = ones_.find(group);
      if (found == ones_.end() && !fill_one) continue;
      GANTRY_CHECK(
          pair(element, found == ones_.end() ? filler(group, *fill_one) : found->second, group));
    }
    if (fill_many) {
      // Of several notes the last stays: in the order of the side that is there.
      for (const PlainElement& element : one) {
        const PlainLabels group = match_group(matching_, element.labels);
        if (!matched_.contains(group))
          GANTRY_CHECK(pair(filler(group, *fill_many), element, group));
      }
    }
    if (note_ && note_->is_warning) context_.notes.warn(note_->text, position_);
    if (note_ && !note_->is_warning) context_.notes.info(note_->text, position_);
    return std::move(result_);
  }

 private:
  static PlainElement filler(const PlainLabels& group, double value) {
    return {.labels = group, .drops_name = false, .value = value, .histogram = nullptr};
  }

  std::unexpected<Error> duplicate(const PlainLabels& group, const PlainLabels& a,
                                   const PlainLabels& b) const {
    const std::string first = std::min(labels_text(a), labels_text(b));
    const std::string second = std::max(labels_text(a), labels_text(b));
    return fail(
        Code::FailedPrecondition,
        "found duplicate series for the match group " + labels_text(group) + " on the " +
            (is_swapped_ ? "left" : "right") + " hand-side of the operation: [" + first + ", " +
            second +
            "];many-to-many matching not allowed: matching labels must be unique on one side");
  }

  [[nodiscard]] PlainLabels result_labels(const PlainElement& many, const PlainElement& one) const {
    PlainLabels labels = many.labels;
    if (changes_meaning(binary_.op) ||
        (binary_.returns_bool && !context_.options.delayed_name_removal))
      labels = without_metadata(labels);
    if (matching_.card == MatchCard::OneToOne) {
      std::erase_if(labels, [this](const auto& label) {
        return is_listed(matching_.labels, label.first) != matching_.is_on;
      });
    }
    for (const std::string& name : matching_.include)
      set_label(labels, name, label_of(one.labels, name));
    return labels;
  }

  Result<void> pair(const PlainElement& many, const PlainElement& one, const PlainLabels& group) {
    const Outcome outcome =
        is_swapped_ ? operate(binary_.op, one, many) : operate(binary_.op, many, one);
    if (outcome.note) note_ = outcome.note;
    if (outcome.is_dropped) return {};
    const PlainLabels labels = result_labels(many, one);
    const bool is_new_group = !matched_.contains(group);
    if (matching_.card == MatchCard::OneToOne && !is_new_group) {
      return fail(Code::FailedPrecondition,
                  "multiple matches for labels: many-to-one matching must be explicit "
                  "(group_left/group_right)");
    }
    if (!matched_[group].insert(labels).second) {
      return fail(Code::FailedPrecondition,
                  "multiple matches for labels: grouping labels must ensure unique matches");
    }
    if (!outcome.is_kept && !binary_.returns_bool) return {};
    PlainElement element{.labels = labels,
                         .drops_name = binary_.returns_bool,
                         .value = outcome.value,
                         .histogram = outcome.histogram};
    if (binary_.returns_bool) {
      element.histogram = nullptr;
      element.value = outcome.is_kept ? 1 : 0;
    }
    result_.push_back(std::move(element));
    return {};
  }

  PlainContext& context_;
  const Binary& binary_;
  const VectorMatching& matching_;
  Position position_;
  bool is_swapped_;
  std::map<PlainLabels, PlainElement> ones_;
  std::map<PlainLabels, std::set<PlainLabels>> matched_;
  std::optional<Note> note_;
  PlainVector result_;
};

}  // namespace

double scalar_operation(BinaryOp op, double left, double right) {
  switch (op) {
    case BinaryOp::Add:
      return left + right;
    case BinaryOp::Subtract:
      return left - right;
    case BinaryOp::Multiply:
      return left * right;
    case BinaryOp::Divide:
      return left / right;
    case BinaryOp::Modulo:
      return std::fmod(left, right);
    case BinaryOp::Power:
      return std::pow(left, right);
    case BinaryOp::Atan2:
      return std::atan2(left, right);
    case BinaryOp::Equal:
      return left == right ? 1 : 0;
    case BinaryOp::NotEqual:
      return left != right ? 1 : 0;
    case BinaryOp::Less:
      return left < right ? 1 : 0;
    case BinaryOp::LessOrEqual:
      return left <= right ? 1 : 0;
    case BinaryOp::Greater:
      return left > right ? 1 : 0;
    case BinaryOp::GreaterOrEqual:
      return left >= right ? 1 : 0;
    default:
      return std::nan("");
  }
}

Result<PlainVector> vector_operation(PlainContext& context, const Expr& expr,
                                     const PlainVector& left, const PlainVector& right) {
  const auto& binary = std::get<Binary>(expr.node);
  if (is_set_operator(binary.op)) return set_operation(binary.op, *binary.matching, left, right);
  return Pairing(context, expr).run(left, right);
}

PlainVector scalar_vector_operation(PlainContext& context, const Expr& expr,
                                    const PlainVector& vector, double scalar, ScalarSide side) {
  const auto& binary = std::get<Binary>(expr.node);
  const PlainElement number{
      .labels = {}, .drops_name = false, .value = scalar, .histogram = nullptr};
  std::optional<Note> note;
  PlainVector result;
  for (const PlainElement& element : vector) {
    const Outcome outcome = side == ScalarSide::Left ? operate(binary.op, number, element)
                                                     : operate(binary.op, element, number);
    if (outcome.note) note = outcome.note;
    if (outcome.is_dropped || (!outcome.is_kept && !binary.returns_bool)) continue;
    PlainElement answer = element;
    if (!is_comparison(binary.op)) {
      answer.value = outcome.value;
      answer.histogram = outcome.histogram;
    }
    if (binary.returns_bool) {
      answer.value = outcome.is_kept ? 1 : 0;
      answer.histogram = nullptr;
    }
    if (changes_meaning(binary.op) || binary.returns_bool) drop_name(context, answer);
    result.push_back(std::move(answer));
  }
  if (note && note->is_warning) context.notes.warn(note->text, expr.position);
  if (note && !note->is_warning) context.notes.info(note->text, expr.position);
  return result;
}

}  // namespace gantry::promql::promqltest
