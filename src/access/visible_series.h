#pragma once

// A metrics source as a restricted principal sees it: the series that its label policies show, and
// no trace of any other. A query over it answers as over a store that never had the others.

#include <memory>

#include "access/label_policy.h"
#include "core/metrics.h"
#include "promql/series_source.h"

namespace gantry::access {

/// Thread-safe, as the source below it.
class VisibleSeries final : public promql::SeriesSource {
 public:
  struct Options {
    /// Holds each series that leaves against LabelPolicySet::shows once more. One that should not
    /// leave is an error of the whole request (Internal), logged as lbac.policy_error.
    bool rechecks = false;
    core::Counter* leaks = nullptr;  ///< Counts what the second check found; outlives the source.
  };

  /// `source` must outlive it. `policies` is not null.
  VisibleSeries(const promql::SeriesSource& source, std::shared_ptr<const LabelPolicySet> policies,
                Options options);

  /// The order is that of the source below. A limit counts visible series only.
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
  /// The policies' prefilter holds exactly for what is visible, and nobody asks to look twice.
  [[nodiscard]] bool trusts_prefilter() const;
  [[nodiscard]] std::unexpected<Error> leak() const;
  Result<void> recheck(const promql::SeriesSet& set) const;

  const promql::SeriesSource& source_;
  std::shared_ptr<const LabelPolicySet> policies_;
  Options options_;
};

}  // namespace gantry::access
