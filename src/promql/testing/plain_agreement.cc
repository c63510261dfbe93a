#include "promql/testing/plain_agreement.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "promql/ast.h"
#include "promql/parser.h"
#include "promql/testing/plain_evaluator.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::promqltest {

namespace {

class AnswerText {
 public:
  explicit AnswerText(Precision precision) : precision_(precision) {}

  [[nodiscard]] std::string operator()(const std::vector<VectorElement>& vector) const {
    std::string text;
    for (const VectorElement& element : vector) {
      text += labels(element.labels) + " @" + std::to_string(element.timestamp_ms) + " " +
              (element.histogram ? histogram(*element.histogram) : number(element.value)) + "\n";
    }
    return text;
  }

  [[nodiscard]] std::string operator()(const std::vector<ResultSeries>& matrix) const {
    std::string text;
    for (const ResultSeries& series : matrix) {
      text += labels(series.labels) + "\n";
      for (const Point& point : series.points)
        text += fmt::format("  @{} {}\n", point.timestamp_ms, number(point.value));
      for (const HistogramPoint& point : series.histograms) {
        text += fmt::format("  @{} {}\n", point.timestamp_ms, histogram(*point.histogram));
      }
    }
    return text;
  }

  [[nodiscard]] std::string operator()(const ScalarValue& scalar) const {
    return number(scalar.value) + "\n";
  }

  [[nodiscard]] std::string operator()(const StringValue& text) const { return text.value + "\n"; }

 private:
  [[nodiscard]] std::string number(double value) const {
    if (std::isnan(value)) return "NaN";
    if (precision_ == Precision::Digits) return fmt::format("{:.12g}", value);
    return fmt::format("{} ({:016x})", value, std::bit_cast<std::uint64_t>(value));
  }

  [[nodiscard]] std::string histogram(const telemetry::FloatHistogram& h) const {
    std::string text =
        fmt::format("schema {} zero {} hint {} count {} sum {}", h.schema, number(h.zero_threshold),
                    static_cast<int>(h.hint), number(h.count), number(h.sum));
    for (const double bound : h.custom_values) text += " le " + number(bound);
    for (const telemetry::Bucket& bucket : telemetry::list_buckets(h)) {
      text += fmt::format(" [{}, {}]: {}", bucket.lower, bucket.upper, number(bucket.count));
    }
    return text;
  }

  static std::string labels(const LabelPairs& labels) {
    std::string text = "{";
    for (const auto& [name, value] : labels) text += name + "=" + value + ",";
    return text + "}";
  }

  Precision precision_;
};

/// Vectors have no order, but for queries that sort.
void sort_vector(Result<Answer>& answer) {
  if (!answer) return;
  if (auto* vector = std::get_if<std::vector<VectorElement>>(&answer->value))
    std::ranges::sort(*vector, {}, [](const VectorElement& e) { return e.labels; });
}

Result<Answer> ask_engine(const Engine& engine, const Question& question,
                          const SeriesSource& source) {
  if (question.step_ms == 0) {
    return engine.instant({.query = question.query,
                           .time_ms = question.start_ms,
                           .lookback_ms = question.lookback_ms,
                           .samples_max = {}},
                          source, CancelToken{});
  }
  return engine.range({.query = question.query,
                       .start_ms = question.start_ms,
                       .end_ms = question.end_ms,
                       .step_ms = question.step_ms,
                       .lookback_ms = question.lookback_ms,
                       .samples_max = {}},
                      source, CancelToken{});
}

Result<Answer> ask_plain(const Engine& engine, const Question& question,
                         const SeriesSource& source) {
  if (question.step_ms == 0) {
    return plain_instant(engine.options(),
                         {.query = question.query,
                          .time_ms = question.start_ms,
                          .lookback_ms = question.lookback_ms,
                          .samples_max = {}},
                         source);
  }
  return plain_range(engine.options(),
                     {.query = question.query,
                      .start_ms = question.start_ms,
                      .end_ms = question.end_ms,
                      .step_ms = question.step_ms,
                      .lookback_ms = question.lookback_ms,
                      .samples_max = {}},
                     source);
}

/// Where elements of both sides are too many, and at different steps, either error may be given.
bool is_matching_error(const Result<Answer>& answer) {
  return !answer &&
         (answer.error().message.starts_with("multiple matches for labels") ||
          answer.error().message.starts_with("found duplicate series for the match group"));
}

}  // namespace

std::string answer_text(const Result<Answer>& answer, Precision precision) {
  if (!answer) return "error: " + answer.error().message + "\n";
  std::string text = std::visit(AnswerText(precision), answer->value);
  std::vector<std::string> notes = answer->annotations.warnings;
  notes.insert(notes.end(), answer->annotations.infos.begin(), answer->annotations.infos.end());
  std::ranges::sort(notes);
  for (const std::string& note : notes) text += note + "\n";
  return text;
}

std::optional<std::string> disagreement(const Engine& engine, const Question& question,
                                        const SeriesSource& source) {
  Result<Answer> plain = ask_plain(engine, question, source);
  if (!plain && plain.error().code == Code::Unimplemented) return std::nullopt;
  Result<Answer> fast = ask_engine(engine, question, source);
  sort_vector(plain);
  sort_vector(fast);
  const std::string expected = answer_text(plain, question.precision);
  const std::string actual = answer_text(fast, question.precision);
  if (expected == actual || (is_matching_error(plain) && is_matching_error(fast)))
    return std::nullopt;
  return "---- plain\n" + expected + "---- engine\n" + actual;
}

Question shrink(const Engine& engine, const Question& question, const SeriesSource& source) {
  Question best = question;
  for (bool is_smaller = true; is_smaller;) {
    is_smaller = false;
    const auto parsed = parse(best.query, engine.options().parser);
    if (!parsed) break;
    // Every sub-tree, by the text it was written with.
    std::vector<const Expr*> pending = children(**parsed);
    while (!pending.empty() && !is_smaller) {
      const Expr* part = pending.back();
      pending.pop_back();
      Question candidate = best;
      candidate.query =
          best.query.substr(part->position.start, part->position.end - part->position.start);
      if (candidate.query.size() < best.query.size() && disagreement(engine, candidate, source)) {
        best = candidate;
        is_smaller = true;
        break;
      }
      for (const Expr* child : children(*part)) pending.push_back(child);
    }
  }
  return best;
}

}  // namespace gantry::promql::promqltest
