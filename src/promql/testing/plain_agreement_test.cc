// The engine against the plain evaluator: random queries over random series, compared to the bit.
//
//   GANTRY_PROPERTY_FACTOR=n   n times as many queries
//   GANTRY_PROPERTY_SEED=s     starts at s; the seed of a failure is printed
//   GANTRY_PROPERTY_COUNT=n    so many queries

#include "promql/testing/plain_agreement.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <random>

#include <gtest/gtest.h>

#include "core/worker_pool.h"
#include "promql/ast.h"
#include "promql/function_table.h"
#include "promql/parser.h"
#include "promql/testing/memory_source.h"
#include "promql/testing/random_query.h"
#include "promql/testing/random_series.h"

namespace gantry::promql::promqltest {

namespace {

constexpr std::uint64_t kQueries = 1000;
constexpr std::uint64_t kQueriesPerSource = 60;
constexpr std::uint64_t kLargeSourceEvery = 10;
constexpr int kFailuresShown = 10;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Around the data: at its samples, between them, before and after.
Question random_question(std::mt19937_64& random, std::string query) {
  const auto below = [&random](std::int64_t end) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(end));
  };
  Question question{.query = std::move(query)};
  question.start_ms = below(3'900'000) - 60'000;
  if (below(3) != 0) question.start_ms -= question.start_ms % 15'000;
  if (below(6) == 0) question.lookback_ms = 1 + below(600'000);
  if (below(3) == 0) {
    question.end_ms = question.start_ms;
    return question;
  }
  constexpr std::array<std::int64_t, 7> kSteps = {15'000, 60'000, 30'000, 17'000,
                                                  7'001,  1'000,  300'000};
  question.step_ms = kSteps[static_cast<std::size_t>(below(kSteps.size()))];
  const std::int64_t steps = below(10) == 0 ? 1 + below(200) : 1 + below(40);
  question.end_ms = question.start_ms + ((steps - 1) * question.step_ms) + below(question.step_ms);
  return question;
}

/// Whether elements may follow each other in another order in the plain evaluator, which looks at
/// one step at a time, than in the engine, where a row has one place over all steps. (In Prometheus
/// what functions and operators made comes in the order of a hash table.)
bool has_order_of_its_own(const Expr& expr) {
  if (std::holds_alternative<Aggregate>(expr.node)) return true;
  if (const auto* call = std::get_if<Call>(&expr.node)) {
    if (call->function->name.starts_with("histogram_") ||
        call->function->name.starts_with("label_"))
      return true;
  }
  if (const auto* binary = std::get_if<Binary>(&expr.node)) {
    if (binary->op == BinaryOp::Or) return true;
    if (binary->matching && (binary->matching->fill_left || binary->matching->fill_right))
      return true;
  }
  return std::ranges::any_of(children(expr),
                             [](const Expr* child) { return has_order_of_its_own(*child); });
}

/// Aggregations that choose by that order among equals, or whose last digits depend on it.
bool depends_on_order(const Expr& expr) {
  if (const auto* aggregate = std::get_if<Aggregate>(&expr.node)) {
    switch (aggregate->op) {
      case AggregateOp::TopK:
      case AggregateOp::BottomK:
      case AggregateOp::LimitK:
      case AggregateOp::Stddev:
      case AggregateOp::Stdvar:
        if (has_order_of_its_own(*aggregate->expr)) return true;
        break;
      default:
        break;
    }
  }
  return std::ranges::any_of(children(expr),
                             [](const Expr* child) { return depends_on_order(*child); });
}

/// Sums and means of such elements: their last digits depend on that order.
bool adds_in_order(const Expr& expr) {
  if (const auto* aggregate = std::get_if<Aggregate>(&expr.node)) {
    if ((aggregate->op == AggregateOp::Sum || aggregate->op == AggregateOp::Avg) &&
        has_order_of_its_own(*aggregate->expr))
      return true;
  }
  return std::ranges::any_of(children(expr),
                             [](const Expr* child) { return adds_in_order(*child); });
}

class Engines {
 public:
  Engines() : pool_({.thread_count = 4}) {
    for (std::size_t i = 0; i < engines_.size(); ++i) {
      EngineOptions options;
      options.parser = parser_options({});
      if ((i & 1) != 0) options.workers = &pool_;
      options.delayed_name_removal = (i & 2) != 0;
      options.use_start_timestamps = (i & 4) != 0;
      engines_[i] = std::make_unique<Engine>(options);
    }
  }

  [[nodiscard]] const Engine& at(std::uint64_t which) const {
    return *engines_[which % engines_.size()];
  }

 private:
  core::WorkerPool pool_;
  std::array<std::unique_ptr<Engine>, 8> engines_;
};

TEST(PlainAgreement, RandomQueriesHaveTheSameAnswers) {
  const std::uint64_t first = from_environment("GANTRY_PROPERTY_SEED", 1);
  const std::uint64_t count = from_environment(
      "GANTRY_PROPERTY_COUNT", kQueries * from_environment("GANTRY_PROPERTY_FACTOR", 1));
  const Engines engines;
  std::unique_ptr<MemorySource> source;
  std::uint64_t source_seed = 0;
  int failures = 0;
  QueryFeatures features;
  features.info = false;
  features.extended_ranges = false;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    if (!source || source_seed != seed / kQueriesPerSource) {
      source_seed = seed / kQueriesPerSource;
      source = std::make_unique<MemorySource>();
      RandomSeriesOptions options;
      // Enough for several batches of rows.
      if (source_seed % kLargeSourceEvery == 0) options.instances = 60;
      add_random_series(source_seed, options, *source);
    }
    std::mt19937_64 random(seed);
    const Engine& engine = engines.at(random());
    Question question = random_question(random, random_query(seed, features));
    const auto parsed = parse(question.query, engine.options().parser);
    if (!parsed || depends_on_order(**parsed)) continue;
    if (adds_in_order(**parsed)) question.precision = Precision::Digits;
    if (source_seed % kLargeSourceEvery == 0) {
      // Merged variances are off by more than rounding where they all but cancel out.
      if (question.query.contains("stddev") || question.query.contains("stdvar")) continue;
      question.precision = Precision::Digits;
    }
    if (!disagreement(engine, question, *source)) continue;
    const Question small = shrink(engine, question, *source);
    ADD_FAILURE() << "GANTRY_PROPERTY_SEED=" << seed << ", data of seed " << source_seed << "\n"
                  << question.query << "\nshrunk to " << small.query << "\nat " << small.start_ms
                  << " to " << small.end_ms << " step " << small.step_ms << " lookback "
                  << small.lookback_ms.value_or(-1) << " workers "
                  << (engine.options().workers != nullptr) << " delayed names "
                  << engine.options().delayed_name_removal << " start times "
                  << engine.options().use_start_timestamps << "\n"
                  << *disagreement(engine, small, *source);
    if (++failures == kFailuresShown) return;
  }
}

}  // namespace

}  // namespace gantry::promql::promqltest
