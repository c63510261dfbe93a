#pragma once

// Tells a query that found nothing because it looked too far back from one whose names are wrong.

#include <atomic>
#include <cstdint>

#include "promql/series_source.h"

namespace gantry::api {

/// Hands everything on to another source and notes what was selected. A query's own range says
/// less: `offset`, `@` and subqueries look elsewhere. Thread-safe.
class RetentionWatch final : public promql::SeriesSource {
 public:
  /// `source` outlives it. Samples before `kept_since_ms` are not kept.
  RetentionWatch(const promql::SeriesSource& source, std::int64_t kept_since_ms)
      : source_(source), kept_since_ms_(kept_since_ms) {}

  /// Something was selected, and nothing of it could be there any more.
  [[nodiscard]] bool is_all_too_old() const { return has_old_ && !has_kept_; }

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
  const promql::SeriesSource& source_;
  const std::int64_t kept_since_ms_;
  mutable std::atomic<bool> has_old_ = false;
  mutable std::atomic<bool> has_kept_ = false;
};

}  // namespace gantry::api
