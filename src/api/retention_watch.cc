#include "api/retention_watch.h"

namespace gantry::api {

Result<std::unique_ptr<promql::SeriesSet>> RetentionWatch::select(
    const promql::SelectRequest& request, const CancelToken& cancel) const {
  (request.end_ms < kept_since_ms_ ? has_old_ : has_kept_) = true;
  return source_.select(request, cancel);
}

Result<promql::LabelStrings> RetentionWatch::label_names(std::span<const promql::Matcher> matchers,
                                                         std::int64_t start_ms, std::int64_t end_ms,
                                                         std::size_t limit,
                                                         const CancelToken& cancel) const {
  return source_.label_names(matchers, start_ms, end_ms, limit, cancel);
}

Result<promql::LabelStrings> RetentionWatch::label_values(std::string_view name,
                                                          std::span<const promql::Matcher> matchers,
                                                          std::int64_t start_ms,
                                                          std::int64_t end_ms, std::size_t limit,
                                                          const CancelToken& cancel) const {
  return source_.label_values(name, matchers, start_ms, end_ms, limit, cancel);
}

Result<std::vector<promql::ExemplarSeries>> RetentionWatch::exemplars(
    std::span<const std::vector<promql::Matcher>> selectors, std::int64_t start_ms,
    std::int64_t end_ms, const CancelToken& cancel) const {
  return source_.exemplars(selectors, start_ms, end_ms, cancel);
}

}  // namespace gantry::api
