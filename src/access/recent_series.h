#pragma once

// A source without its older samples: for tokens that may look back only so far.

#include <cstdint>
#include <memory>

#include "promql/series_source.h"

namespace gantry::access {

/// Shows what is not older than `earliest_ms`. A selection that asked for more says so in its
/// warnings; look-ups are cut without a word.
class RecentSeries final : public promql::SeriesSource {
 public:
  RecentSeries(std::shared_ptr<const promql::SeriesSource> source, std::int64_t earliest_ms);
  ~RecentSeries() override;

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
  const std::shared_ptr<const promql::SeriesSource> source_;
  const std::int64_t earliest_ms_;
};

}  // namespace gantry::access
