#pragma once

// Batches, queries and a store over a file system in memory, for tests.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/hash.h"
#include "metrics/store.h"
#include "metrics/store_impl.h"
#include "storage/faulty_file_system.h"
#include "telemetry/metric_batch.h"

namespace gantry::metrics {

/// 2026-11-21 00:00:00 UTC.
inline constexpr std::int64_t kTestDayMs = 1'795'219'200'000;
inline constexpr std::int64_t kTestNowMs = kTestDayMs + 12 * 3'600'000;

/// A request under construction. Owns what its batch refers to.
class TestBatch final : public telemetry::SeriesResolver {
 public:
  TestBatch() { batch_.resolver = this; }

  /// The index of a series, added on first use.
  std::uint32_t series(const telemetry::Labels& labels);

  TestBatch& add(const telemetry::Labels& labels, std::int64_t timestamp_ms, double value,
                 std::int64_t start_timestamp_ms = 0);
  TestBatch& add(const telemetry::Labels& labels, std::int64_t timestamp_ms,
                 telemetry::NativeHistogram histogram, std::int64_t start_timestamp_ms = 0);
  TestBatch& add_exemplar(const telemetry::Labels& labels, std::int64_t timestamp_ms, double value,
                          std::string trace_id);
  TestBatch& add_metadata(std::string family, telemetry::MetricType type, std::string help);

  TestBatch& set_body_bytes(std::uint64_t bytes);

  /// For all series of the batch added so far.
  TestBatch& set_policy(telemetry::DuplicatePolicy policy);
  TestBatch& set_best_effort();

  [[nodiscard]] const telemetry::MetricBatch& batch() const { return batch_; }

  /// How often labels were asked for.
  [[nodiscard]] std::uint64_t resolve_count() const { return resolve_count_; }

  Result<void> resolve(std::uint32_t series, core::Arena& arena,
                       std::vector<telemetry::LabelView>& labels) const override;

 private:
  telemetry::MetricBatch batch_;
  std::vector<telemetry::Labels> labels_;
  std::map<telemetry::Labels, std::uint32_t> index_;
  std::deque<std::string> strings_;
  mutable std::uint64_t resolve_count_ = 0;
};

/// up{job="a"} from {"__name__", "up"}, {"job", "a"}.
telemetry::Labels make_test_labels(
    std::initializer_list<std::pair<std::string_view, std::string_view>> labels);

/// {__name__="m", series="<n>"}
telemetry::Labels numbered_series(std::uint64_t number);

/// A histogram with two buckets.
telemetry::NativeHistogram test_histogram(std::uint64_t count);

using Points = std::vector<std::pair<std::int64_t, double>>;

/// Everything that a selector finds, by the series' text.
std::map<std::string, Points> read_all(const promql::SeriesSource& source,
                                       std::span<const promql::Matcher> matchers,
                                       std::int64_t start_ms, std::int64_t end_ms);

promql::Matcher matcher(promql::MatchOp op, std::string name, std::string value);

/// All series named `name`.
std::map<std::string, Points> read_metric(const promql::SeriesSource& source, std::string_view name,
                                          std::int64_t start_ms, std::int64_t end_ms);

/// A store on a faulty file system, with a clock that stands still, without a background thread.
class StoreFixture : public testing::Test {
 protected:
  /// Opens (again): what is open is dropped as a crash would, but for what the log has enqueued.
  void open(StoreOptions options = {});

  [[nodiscard]] StoreEnvironment environment() {
    return {.files = files_, .clock = clock_, .registry = *registry_};
  }

  telemetry::AppendResult append(const TestBatch& batch, const AppendOptions& options = {});

  storage::FaultyFileSystem files_;
  ManualClock clock_{TimestampMs{kTestNowMs}};
  std::unique_ptr<core::MetricRegistry> registry_ = std::make_unique<core::MetricRegistry>();
  std::unique_ptr<StoreImpl> store_;
};

}  // namespace gantry::metrics
