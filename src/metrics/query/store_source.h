#pragma once

// The store as the PromQL engine reads it.

#include <memory>

#include "metrics/store_state.h"
#include "promql/series_source.h"

namespace gantry::metrics {

/// A set shows the samples of the moment of `select`: appends that begin later are not seen,
/// whether in order, late or in the place of others, and wherever flushes and merges have put them.
/// Only when more than LateReaders::kChangesMax late samples arrive while queries run may some of
/// these be seen. A deletion that begins later may be seen.
class StoreSource final : public promql::SeriesSource {
 public:
  explicit StoreSource(std::shared_ptr<StoreState> state) : state_(std::move(state)) {}

  Result<std::unique_ptr<promql::SeriesSet>> select(const promql::SelectRequest& request,
                                                    const CancelToken& cancel) const override;
  Result<promql::LabelStrings> label_names(std::span<const promql::Matcher> matchers,
                                           std::int64_t start_ms, std::int64_t end_ms,
                                           std::size_t limit,
                                           const CancelToken& cancel) const override;
  Result<promql::LabelStrings> label_values(std::string_view name,
                                            std::span<const promql::Matcher> matchers,
                                            std::int64_t start_ms, std::int64_t end_ms,
                                            std::size_t limit,
                                            const CancelToken& cancel) const override;
  Result<std::vector<promql::ExemplarSeries>> exemplars(
      std::span<const std::vector<promql::Matcher>> selectors, std::int64_t start_ms,
      std::int64_t end_ms, const CancelToken& cancel) const override;

 private:
  Result<std::vector<std::uint32_t>> match(std::span<const promql::Matcher> matchers,
                                           const CancelToken& cancel) const;

  std::shared_ptr<StoreState> state_;
};

}  // namespace gantry::metrics
