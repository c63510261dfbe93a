#pragma once

// The store as the PromQL engine reads it.

#include <memory>

#include "metrics/store_state.h"
#include "promql/series_source.h"

namespace gantry::metrics {

/// A set that is read after its samples were flushed reads them from the new part: the head is
/// clipped at each series' newest timestamp as of `select`, so that later in-order samples are not
/// seen. Samples that arrive late (out of order) for a set already made may be seen.
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
