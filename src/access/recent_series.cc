#include "access/recent_series.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/rfc3339.h"

namespace gantry::access {
namespace {

/// A set whose older samples are not there.
class RecentSet final : public promql::SeriesSet {
 public:
  RecentSet(std::unique_ptr<promql::SeriesSet> set, std::int64_t earliest_ms)
      : set_(std::move(set)), earliest_ms_(earliest_ms) {}

  [[nodiscard]] std::size_t size() const override { return set_->size(); }

  [[nodiscard]] std::span<const promql::LabelSymbols> labels(std::size_t series) const override {
    return set_->labels(series);
  }

  [[nodiscard]] std::string_view symbol(std::uint32_t id) const override {
    return set_->symbol(id);
  }

  Result<void> read(std::size_t series, std::int64_t start_ms, std::int64_t end_ms,
                    promql::SampleColumns& out) const override {
    start_ms = std::max(start_ms, earliest_ms_);
    if (start_ms <= end_ms) return set_->read(series, start_ms, end_ms, out);
    out.clear();
    return {};
  }

  [[nodiscard]] bool is_truncated() const override { return set_->is_truncated(); }

  [[nodiscard]] std::vector<std::string> warnings() const override {
    auto warnings = set_->warnings();
    warnings.push_back(fmt::format("this token may not look back before {}",
                                   core::format_rfc3339(TimestampMs{earliest_ms_})));
    return warnings;
  }

 private:
  const std::unique_ptr<promql::SeriesSet> set_;
  const std::int64_t earliest_ms_;
};

}  // namespace

RecentSeries::RecentSeries(std::shared_ptr<const promql::SeriesSource> source,
                           std::int64_t earliest_ms)
    : source_(std::move(source)), earliest_ms_(earliest_ms) {}

RecentSeries::~RecentSeries() = default;

Result<std::unique_ptr<promql::SeriesSet>> RecentSeries::select(
    const promql::SelectRequest& request, const CancelToken& cancel) const {
  if (request.start_ms >= earliest_ms_) return source_->select(request, cancel);
  promql::SelectRequest recent = request;
  recent.start_ms = earliest_ms_;
  // A range that ends before it begins selects nothing.
  recent.end_ms = std::max(recent.end_ms, recent.start_ms - 1);
  GANTRY_TRY(auto set, source_->select(recent, cancel));
  return std::make_unique<RecentSet>(std::move(set), earliest_ms_);
}

Result<promql::LabelStrings> RecentSeries::label_names(std::span<const promql::Matcher> matchers,
                                                       std::int64_t start_ms, std::int64_t end_ms,
                                                       std::size_t limit,
                                                       const CancelToken& cancel) const {
  start_ms = std::max(start_ms, earliest_ms_);
  if (end_ms < start_ms) return promql::LabelStrings{};
  return source_->label_names(matchers, start_ms, end_ms, limit, cancel);
}

Result<promql::LabelStrings> RecentSeries::label_values(std::string_view name,
                                                        std::span<const promql::Matcher> matchers,
                                                        std::int64_t start_ms, std::int64_t end_ms,
                                                        std::size_t limit,
                                                        const CancelToken& cancel) const {
  start_ms = std::max(start_ms, earliest_ms_);
  if (end_ms < start_ms) return promql::LabelStrings{};
  return source_->label_values(name, matchers, start_ms, end_ms, limit, cancel);
}

Result<std::vector<promql::ExemplarSeries>> RecentSeries::exemplars(
    std::span<const std::vector<promql::Matcher>> selectors, std::int64_t start_ms,
    std::int64_t end_ms, const CancelToken& cancel) const {
  start_ms = std::max(start_ms, earliest_ms_);
  if (end_ms < start_ms) return std::vector<promql::ExemplarSeries>{};
  return source_->exemplars(selectors, start_ms, end_ms, cancel);
}

}  // namespace gantry::access
