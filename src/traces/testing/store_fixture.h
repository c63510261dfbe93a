#pragma once

// A store over a file system in memory, for tests.

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "storage/faulty_file_system.h"
#include "traces/store_impl.h"
#include "traces/testing/span_batches.h"

namespace gantry::traces {

/// A store on a faulty file system, with a clock that stands still, without a background thread.
class StoreFixture : public testing::Test {
 protected:
  /// Opens (again): what is open is dropped as a crash would, but for what the log has enqueued.
  void open(StoreOptions options = {});

  /// As a power cut does: only what was synced is left.
  void cut_power_and_open(StoreOptions options = {});

  [[nodiscard]] StoreEnvironment environment() {
    return {.files = files_, .clock = clock_, .registry = *registry_};
  }

  telemetry::SpanAppendResult append(const telemetry::SpanBatch& batch);
  telemetry::SpanAppendResult append(std::initializer_list<TestSpan> spans);

  /// Everything that the source shows, sorted.
  [[nodiscard]] std::vector<std::string> all() const { return describe_source(store_->source()); }

  /// The ids of the trace's spans, in order.
  [[nodiscard]] std::vector<telemetry::SpanId> trace(std::uint64_t number) const;

  storage::FaultyFileSystem files_;
  ManualClock clock_{TimestampMs{static_cast<std::int64_t>(kTestNowNs / 1'000'000)}};
  std::unique_ptr<core::MetricRegistry> registry_ = std::make_unique<core::MetricRegistry>();
  std::unique_ptr<StoreImpl> store_;
};

}  // namespace gantry::traces
