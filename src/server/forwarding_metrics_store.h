#pragma once

// A metrics store in front of another, for those that look at what is appended.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/store.h"

namespace gantry::server {

/// Hands every call on. As thread-safe as what is behind it.
class ForwardingMetricsStore : public metrics::Store {
 public:
  explicit ForwardingMetricsStore(std::shared_ptr<metrics::Store> store)
      : store_(std::move(store)) {}

  Result<telemetry::AppendResult> append(const telemetry::MetricBatch& batch,
                                         const metrics::AppendOptions& options) override {
    return store_->append(batch, options);
  }

  [[nodiscard]] const promql::SeriesSource& source() const override { return store_->source(); }

  Result<void> delete_series(std::span<const promql::Matcher> matchers, std::int64_t start_ms,
                             std::int64_t end_ms) override {
    return store_->delete_series(matchers, start_ms, end_ms);
  }

  Result<void> clean_tombstones() override { return store_->clean_tombstones(); }

  [[nodiscard]] std::vector<std::pair<std::string, std::vector<metrics::MetadataEntry>>> metadata(
      std::string_view family) const override {
    return store_->metadata(family);
  }

  [[nodiscard]] metrics::CardinalityStatistics cardinality(std::size_t limit) const override {
    return store_->cardinality(limit);
  }

  [[nodiscard]] std::vector<metrics::PartStatistics> parts() const override {
    return store_->parts();
  }

  Result<void> flush() override { return store_->flush(); }

  Result<void> merge_all() override { return store_->merge_all(); }

  void reconfigure(const metrics::StoreOptions& options) override { store_->reconfigure(options); }

  Result<void> close() override { return store_->close(); }

 private:
  const std::shared_ptr<metrics::Store> store_;
};

}  // namespace gantry::server
