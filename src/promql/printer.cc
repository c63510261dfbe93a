#include "promql/printer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "core/duration.h"
#include "core/number_format.h"
#include "promql/function_table.h"
#include "telemetry/labels.h"

namespace gantry::promql {

namespace {

constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kIndentWidth = 2;

bool is_name_matcher(const VectorSelector& selector, const Matcher& matcher) {
  return !selector.name.empty() && matcher.name() == telemetry::kMetricNameLabel &&
         matcher.op() == MatchOp::Equal && matcher.value() == selector.name;
}

// `without` is the one word that cannot stand as a label unquoted, in whatever case.
bool is_without(std::string_view label) {
  constexpr std::string_view kWithout = "without";
  return std::ranges::equal(label, kWithout, [](char a, char b) { return (a | 0x20) == b; });
}

void append_label(std::string& out, std::string_view label, bool is_quoted) {
  if (is_quoted) {
    telemetry::append_go_quoted(out, label);
  } else {
    out += label;
  }
}

void append_grouping(std::string& out, const std::vector<std::string>& labels) {
  out += '(';
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (i > 0) out += ", ";
    append_label(out, labels[i],
                 !telemetry::is_legacy_label_name(labels[i]) || is_without(labels[i]));
  }
  out += ')';
}

constexpr std::string_view kInfinity = "Inf";

// A sign binds less than ^: "+Inf ^ 2" would be read as +(Inf ^ 2).
bool has_unsigned_infinity(const Binary& binary) {
  const auto* number = std::get_if<NumberLiteral>(&binary.left->node);
  return binary.op == BinaryOp::Power && number != nullptr && std::isinf(number->value);
}

// Seconds to "1h30m". Fractions of a millisecond are not written: no literal has them.
void append_duration_seconds(std::string& out, double seconds) {
  if (std::signbit(seconds)) out += '-';
  const double milliseconds = std::round(std::fabs(seconds) * 1000);
  out += core::format_duration({static_cast<std::int64_t>(milliseconds)});
}

void append_duration_ms(std::string& out, std::int64_t milliseconds) {
  if (milliseconds < 0) out += '-';
  out += core::format_duration({milliseconds < 0 ? -milliseconds : milliseconds});
}

std::string_view duration_op_text(DurationOp op) {
  switch (op) {
    case DurationOp::Add:
      return " + ";
    case DurationOp::Subtract:
      return " - ";
    case DurationOp::Multiply:
      return " * ";
    case DurationOp::Divide:
      return " / ";
    case DurationOp::Modulo:
      return " % ";
    case DurationOp::Power:
      return " ^ ";
    case DurationOp::Negate:
      return "-";
    case DurationOp::Plus:
      return "+";
    case DurationOp::Step:
      return "step()";
    case DurationOp::Range:
      return "range()";
    case DurationOp::MinOf:
      return "min_of";
    case DurationOp::MaxOf:
      return "max_of";
    case DurationOp::Literal:
      return "";
  }
  return "";
}

// Writes the one-line form. Stops soon after `limit` bytes: to learn whether a node fits its line,
// the rest of it need not be written.
class Writer {
 public:
  explicit Writer(std::size_t limit = kNoLimit) : limit_(limit) {}

  [[nodiscard]] std::string take() && { return std::move(out_); }

  [[nodiscard]] std::size_t size() const { return out_.size(); }

  void write(const Expr& expr) {
    if (out_.size() > limit_) return;
    std::visit([this](const auto& node) { write_node(node); }, expr.node);
  }

  void write_aggregate_head(const Aggregate& aggregate) {
    out_ += aggregate_op_text(aggregate.op);
    if (!aggregate.is_without && aggregate.grouping.empty()) return;
    out_ += aggregate.is_without ? " without " : " by ";
    append_grouping(out_, aggregate.grouping);
    out_ += ' ';
  }

  void write_operator(const Binary& binary) {
    out_ += binary_op_text(binary.op);
    if (binary.returns_bool) out_ += " bool";
    if (binary.matching) write_matching(*binary.matching);
  }

  void write_subquery_suffix(const Subquery& subquery) {
    out_ += '[';
    write_duration(subquery.range_ms, subquery.range_expr);
    out_ += ':';
    if (subquery.step_expr || subquery.step_ms != 0) {
      write_duration(subquery.step_ms, subquery.step_expr);
    }
    out_ += ']';
    write_time(subquery.time);
  }

 private:
  void write_node(const NumberLiteral& number) {
    if (number.is_duration) {
      append_duration_seconds(out_, number.value);
    } else {
      core::append_float_plain(out_, number.value);
    }
  }

  void write_node(const StringLiteral& string) { telemetry::append_go_quoted(out_, string.value); }

  void write_node(const VectorSelector& selector) {
    write_selector(selector);
    write_mode(selector.mode);
    write_time(selector.time);
  }

  void write_node(const MatrixSelector& matrix) {
    write_selector(matrix.selector);
    out_ += '[';
    write_duration(matrix.range_ms, matrix.range_expr);
    out_ += ']';
    write_mode(matrix.selector.mode);
    write_time(matrix.selector.time);
  }

  void write_node(const Subquery& subquery) {
    write(*subquery.expr);
    write_subquery_suffix(subquery);
  }

  void write_node(const Paren& paren) {
    out_ += '(';
    write(*paren.expr);
    out_ += ')';
  }

  void write_node(const Unary& unary) {
    out_ += unary.op == UnaryOp::Minus ? '-' : '+';
    write(*unary.expr);
  }

  void write_node(const Binary& binary) {
    if (has_unsigned_infinity(binary)) {
      out_ += kInfinity;
    } else {
      write(*binary.left);
    }
    out_ += ' ';
    write_operator(binary);
    out_ += ' ';
    write(*binary.right);
  }

  void write_node(const Aggregate& aggregate) {
    write_aggregate_head(aggregate);
    out_ += '(';
    if (aggregate.parameter) {
      write(*aggregate.parameter);
      out_ += ", ";
    }
    write(*aggregate.expr);
    out_ += ')';
  }

  void write_node(const Call& call) {
    out_ += call.function->name;
    out_ += '(';
    for (std::size_t i = 0; i < call.arguments.size(); ++i) {
      if (i > 0) out_ += ", ";
      write(*call.arguments[i]);
    }
    out_ += ')';
  }

  void write_matching(const VectorMatching& matching) {
    const bool is_grouped =
        matching.card == MatchCard::ManyToOne || matching.card == MatchCard::OneToMany;
    if (matching.is_on || !matching.labels.empty() || is_grouped) {
      out_ += matching.is_on ? " on " : " ignoring ";
      append_grouping(out_, matching.labels);
    }
    if (is_grouped) {
      out_ += matching.card == MatchCard::ManyToOne ? " group_left " : " group_right ";
      append_grouping(out_, matching.include);
    }
    if (matching.fill_left && matching.fill_right &&
        is_same_fill(*matching.fill_left, *matching.fill_right)) {
      write_fill(" fill (", *matching.fill_left);
      return;
    }
    if (matching.fill_left) write_fill(" fill_left (", *matching.fill_left);
    if (matching.fill_right) write_fill(" fill_right (", *matching.fill_right);
  }

  static bool is_same_fill(double left, double right) {
    if (std::isnan(left) || std::isnan(right)) return std::isnan(left) && std::isnan(right);
    return left == right && std::signbit(left) == std::signbit(right);
  }

  void write_fill(std::string_view head, double value) {
    out_ += head;
    core::append_float_plain(out_, value);
    out_ += ')';
  }

  void write_selector(const VectorSelector& selector) {
    std::vector<std::string> matchers;
    for (const Matcher& matcher : selector.matchers) {
      if (is_name_matcher(selector, matcher)) continue;
      std::string& text = matchers.emplace_back();
      append_label(text, matcher.name(), !telemetry::is_legacy_label_name(matcher.name()));
      text += match_op_text(matcher.op());
      telemetry::append_go_quoted(text, matcher.value());
    }
    std::ranges::sort(matchers);
    out_ += selector.name;
    if (matchers.empty() && !selector.name.empty()) return;
    out_ += fmt::format("{{{}}}", fmt::join(matchers, ","));
  }

  void write_mode(RangeMode mode) {
    if (mode == RangeMode::Anchored) out_ += " anchored";
    if (mode == RangeMode::Smoothed) out_ += " smoothed";
  }

  void write_time(const TimeModifiers& time) {
    switch (time.at) {
      case AtKind::None:
        break;
      case AtKind::Timestamp:
        write_timestamp(time.at_ms);
        break;
      case AtKind::Start:
        out_ += " @ start()";
        break;
      case AtKind::End:
        out_ += " @ end()";
        break;
    }
    if (time.offset_expr) {
      out_ += " offset ";
      write_duration_expr(*time.offset_expr);
    } else if (time.offset_ms != 0) {
      out_ += " offset ";
      append_duration_ms(out_, time.offset_ms);
    }
  }

  // Seconds with three decimals, exactly.
  void write_timestamp(std::int64_t timestamp_ms) {
    const auto bits = static_cast<std::uint64_t>(timestamp_ms);
    const std::uint64_t magnitude = timestamp_ms < 0 ? std::uint64_t{0} - bits : bits;
    out_ += fmt::format(" @ {}{}.{:03}", timestamp_ms < 0 ? "-" : "", magnitude / 1000,
                        magnitude % 1000);
  }

  void write_duration(std::int64_t value_ms, const std::unique_ptr<DurationExpr>& expr) {
    if (expr) {
      write_duration_expr(*expr);
    } else {
      append_duration_ms(out_, value_ms);
    }
  }

  void write_duration_expr(const DurationExpr& expr) {
    if (expr.is_wrapped) out_ += '(';
    switch (expr.op) {
      case DurationOp::Literal:
        write_duration_literal(expr);
        break;
      case DurationOp::Step:
      case DurationOp::Range:
        out_ += duration_op_text(expr.op);
        break;
      case DurationOp::MinOf:
      case DurationOp::MaxOf:
        out_ += duration_op_text(expr.op);
        out_ += '(';
        write_duration_expr(*expr.left);
        out_ += ", ";
        write_duration_expr(*expr.right);
        out_ += ')';
        break;
      case DurationOp::Add:
      case DurationOp::Subtract:
      case DurationOp::Multiply:
      case DurationOp::Divide:
      case DurationOp::Modulo:
      case DurationOp::Power:
      case DurationOp::Negate:
      case DurationOp::Plus:
        if (expr.left) write_duration_expr(*expr.left);
        out_ += duration_op_text(expr.op);
        write_duration_expr(*expr.right);
        break;
    }
    if (expr.is_wrapped) out_ += ')';
  }

  void write_duration_literal(const DurationExpr& expr) {
    if (expr.is_duration_literal) {
      append_duration_seconds(out_, expr.literal_seconds);
    } else {
      core::append_float_plain(out_, expr.literal_seconds);
    }
  }

  std::size_t limit_;
  std::string out_;
};

class PrettyWriter {
 public:
  explicit PrettyWriter(std::size_t width_max) : width_max_(width_max) {}

  [[nodiscard]] std::string take() && { return std::move(out_); }

  void write(const Expr& expr, std::size_t level) {
    // Selectors and literals have no place to break at.
    const bool is_split = !children(expr).empty() && is_too_wide(expr);
    if (is_split) {
      std::visit([&](const auto& node) { write_split(node, level); }, expr.node);
      return;
    }
    indent(level);
    Writer line;
    line.write(expr);
    out_ += std::move(line).take();
  }

 private:
  void indent(std::size_t level) { out_.append(level * kIndentWidth, ' '); }

  [[nodiscard]] bool is_too_wide(const Expr& expr) const {
    Writer line(width_max_);
    line.write(expr);
    return line.size() > width_max_;
  }

  template <class Leaf>
  void write_split(const Leaf& /*leaf*/, std::size_t /*level*/) {}

  void write_split(const Subquery& subquery, std::size_t level) {
    write(*subquery.expr, level);
    Writer suffix;
    suffix.write_subquery_suffix(subquery);
    out_ += std::move(suffix).take();
  }

  void write_split(const Paren& paren, std::size_t level) {
    indent(level);
    out_ += "(\n";
    write(*paren.expr, level + 1);
    close(level);
  }

  // The sign stands right before its operand, in the operand's first line.
  void write_split(const Unary& unary, std::size_t level) {
    PrettyWriter operand(width_max_);
    operand.write(*unary.expr, level);
    const std::string text = std::move(operand).take();
    indent(level);
    out_ += unary.op == UnaryOp::Minus ? '-' : '+';
    out_ += std::string_view(text).substr(std::min(text.find_first_not_of(' '), text.size()));
  }

  void write_split(const Binary& binary, std::size_t level) {
    if (has_unsigned_infinity(binary)) {
      indent(level + 1);
      out_ += kInfinity;
    } else {
      write(*binary.left, level + 1);
    }
    out_ += '\n';
    indent(level);
    Writer op;
    op.write_operator(binary);
    out_ += std::move(op).take();
    out_ += '\n';
    write(*binary.right, level + 1);
  }

  void write_split(const Aggregate& aggregate, std::size_t level) {
    indent(level);
    Writer head;
    head.write_aggregate_head(aggregate);
    out_ += std::move(head).take();
    out_ += "(\n";
    if (aggregate.parameter) {
      write(*aggregate.parameter, level + 1);
      out_ += ",\n";
    }
    write(*aggregate.expr, level + 1);
    close(level);
  }

  void write_split(const Call& call, std::size_t level) {
    indent(level);
    out_ += call.function->name;
    out_ += "(\n";
    for (std::size_t i = 0; i < call.arguments.size(); ++i) {
      if (i > 0) out_ += ",\n";
      write(*call.arguments[i], level + 1);
    }
    close(level);
  }

  void close(std::size_t level) {
    out_ += '\n';
    indent(level);
    out_ += ')';
  }

  std::size_t width_max_;
  std::string out_;
};

}  // namespace

std::string print(const Expr& expr) {
  Writer writer;
  writer.write(expr);
  return std::move(writer).take();
}

std::string print_pretty(const Expr& expr, std::size_t width_max) {
  PrettyWriter writer(width_max);
  writer.write(expr, 0);
  return std::move(writer).take();
}

}  // namespace gantry::promql
