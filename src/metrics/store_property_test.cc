// The store against a model that keeps every sample in a map.

#include <algorithm>
#include <map>
#include <optional>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "metrics/testing/store_fixture.h"

namespace gantry::metrics {
namespace {

using telemetry::DuplicatePolicy;
using telemetry::RejectReason;

constexpr std::int64_t kAll = std::int64_t{1} << 60;
constexpr std::int64_t kWindowMs = 3'600'000;
constexpr std::uint64_t kSeriesCount = 5;

struct Model {
  std::map<std::uint64_t, std::map<std::int64_t, double>> samples;
  /// Newest timestamp ever accepted, which deletions do not lower while the process lives.
  std::map<std::uint64_t, std::int64_t> newest;

  /// True if the store must take it.
  std::optional<RejectReason> append(std::uint64_t series, std::int64_t time, double value,
                                     DuplicatePolicy policy, bool is_import) {
    const auto last = newest.find(series);
    if (last != newest.end() && time < last->second && !is_import &&
        last->second - time > kWindowMs) {
      return RejectReason::TooOld;
    }
    auto& of_series = samples[series];
    const auto found = of_series.find(time);
    if (found != of_series.end() && found->second != value) {
      if (policy == DuplicatePolicy::Refuse) return RejectReason::Duplicate;
      if (policy == DuplicatePolicy::Ignore) return std::nullopt;
    }
    of_series[time] = value;
    auto& most = newest.try_emplace(series, time).first->second;
    most = std::max(most, time);
    return std::nullopt;
  }

  /// What a process that has just opened the store knows.
  void forget_newest() {
    newest.clear();
    for (const auto& [series, points] : samples) {
      if (!points.empty()) newest[series] = points.rbegin()->first;
    }
  }
};

class StorePropertyTest : public StoreFixture {
 protected:
  void expect_equal(const Model& model, std::int64_t start_ms, std::int64_t end_ms) {
    std::map<std::string, Points> expected;
    for (const auto& [series, points] : model.samples) {
      Points inside;
      for (const auto& [time, value] : points) {
        if (time >= start_ms && time <= end_ms) inside.emplace_back(time, value);
      }
      if (!inside.empty()) {
        expected["m{series=\"" + std::to_string(series) + "\"}"] = std::move(inside);
      }
    }
    RC_ASSERT(read_metric(store_->source(), "m", start_ms, end_ms) == expected);
  }

  static std::int64_t arbitrary_time() {
    // Few distinct times, so that duplicates are common, around the border of two days.
    return kTestDayMs + *rc::gen::inRange<std::int64_t>(-40, 40) * 300'000;
  }

  void append_some(Model& model, DuplicatePolicy policy, bool is_import) {
    TestBatch batch;
    std::map<RejectReason, std::uint64_t> refused;
    // One sample per series and batch: the order inside a request is another test's matter.
    std::uint64_t written = 0;
    for (std::uint64_t series = 0; series < kSeriesCount; ++series) {
      if (*rc::gen::inRange(0, 3) == 0) continue;
      const std::int64_t time = arbitrary_time();
      const double value = *rc::gen::inRange(0, 3);
      batch.add(numbered_series(series), time, value);
      if (const auto reason = model.append(series, time, value, policy, is_import)) {
        ++refused[*reason];
      } else {
        ++written;
      }
    }
    batch.set_policy(policy);
    const auto result = append(batch, {.is_import = is_import});
    RC_ASSERT(result.samples_written == written);
    for (const RejectReason reason : {RejectReason::TooOld, RejectReason::Duplicate}) {
      RC_ASSERT(result.rejected(reason) == refused[reason]);
    }
  }

  void erase_some(Model& model) {
    const auto series = *rc::gen::inRange<std::uint64_t>(0, kSeriesCount);
    const std::int64_t a = arbitrary_time();
    const std::int64_t b = arbitrary_time();
    const promql::Matcher matchers[] = {
        matcher(promql::MatchOp::Equal, "series", std::to_string(series))};
    RC_ASSERT(store_->delete_series(matchers, std::min(a, b), std::max(a, b)).has_value());
    auto& points = model.samples[series];
    points.erase(points.lower_bound(std::min(a, b)), points.upper_bound(std::max(a, b)));
  }

  void do_something(Model& model, const StoreOptions& options) {
    switch (*rc::gen::inRange(0, 20)) {
      case 0:
        RC_ASSERT(store_->flush().has_value());
        break;
      case 1:
        RC_ASSERT(store_->flush().has_value());
        RC_ASSERT(store_->merge_all().has_value());
        break;
      case 2:
        open(options);
        break;
      case 3:
        RC_ASSERT(store_->close().has_value());
        open(options);
        break;
      case 4:
        erase_some(model);
        break;
      case 5:
        RC_ASSERT(store_->clean_tombstones().has_value());
        break;
      case 6:
        store_.reset();
        files_.cut_power(storage::FaultyFileSystem::Unsynced::RandomPrefix,
                         *rc::gen::arbitrary<std::uint64_t>());
        open(options);
        break;
      case 7:
        store_->maintain();
        break;
      case 8:
      case 9:
        append_some(model, DuplicatePolicy::LastWins, true);
        break;
      case 10:
        append_some(model, DuplicatePolicy::Ignore, true);
        break;
      default:
        append_some(model, DuplicatePolicy::Refuse, true);
        break;
    }
  }
};

RC_GTEST_FIXTURE_PROP(StorePropertyTest, AgreesWithTheModel, ()) {
  StoreOptions options;
  options.out_of_order_window = {kWindowMs};
  options.limits.exemplars_max = 10;
  open(options);
  Model model;
  const int count = *rc::gen::inRange(1, 80);
  for (int i = 0; i < count; ++i) {
    do_something(model, options);
    expect_equal(model, -kAll, kAll);
    const std::int64_t a = arbitrary_time();
    const std::int64_t b = arbitrary_time();
    expect_equal(model, std::min(a, b), std::max(a, b));
  }
}

RC_GTEST_FIXTURE_PROP(StorePropertyTest, KeepsTheOutOfOrderWindowOverFlushesAndRestarts, ()) {
  StoreOptions options;
  options.out_of_order_window = {kWindowMs};
  open(options);
  Model model;
  const int count = *rc::gen::inRange(1, 40);
  for (int i = 0; i < count; ++i) {
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
        RC_ASSERT(store_->flush().has_value());
        break;
      case 1:
        open(options);
        model.forget_newest();
        break;
      default:
        append_some(model, DuplicatePolicy::Refuse, false);
        break;
    }
    expect_equal(model, -kAll, kAll);
  }
}

}  // namespace
}  // namespace gantry::metrics
