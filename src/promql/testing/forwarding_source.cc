#include "promql/testing/forwarding_source.h"

#include <utility>

namespace gantry::promql::promqltest {

Result<std::unique_ptr<SeriesSet>> ForwardingSource::select(const SelectRequest& request,
                                                            const CancelToken& cancel) const {
  return source_.select(request, cancel);
}

Result<LabelStrings> ForwardingSource::label_names(std::span<const Matcher> matchers,
                                                   std::int64_t start_ms, std::int64_t end_ms,
                                                   std::size_t limit,
                                                   const CancelToken& cancel) const {
  return source_.label_names(matchers, start_ms, end_ms, limit, cancel);
}

Result<LabelStrings> ForwardingSource::label_values(std::string_view name,
                                                    std::span<const Matcher> matchers,
                                                    std::int64_t start_ms, std::int64_t end_ms,
                                                    std::size_t limit,
                                                    const CancelToken& cancel) const {
  return source_.label_values(name, matchers, start_ms, end_ms, limit, cancel);
}

Result<std::vector<ExemplarSeries>> ForwardingSource::exemplars(
    std::span<const std::vector<Matcher>> selectors, std::int64_t start_ms, std::int64_t end_ms,
    const CancelToken& cancel) const {
  return source_.exemplars(selectors, start_ms, end_ms, cancel);
}

ForwardingSet::ForwardingSet(std::unique_ptr<SeriesSet> set) : set_(std::move(set)) {}

std::size_t ForwardingSet::size() const {
  return set_->size();
}

std::span<const LabelSymbols> ForwardingSet::labels(std::size_t series) const {
  return set_->labels(series);
}

std::string_view ForwardingSet::symbol(std::uint32_t id) const {
  return set_->symbol(id);
}

Result<void> ForwardingSet::read(std::size_t series, std::int64_t start_ms, std::int64_t end_ms,
                                 SampleColumns& out) const {
  return set_->read(series, start_ms, end_ms, out);
}

bool ForwardingSet::is_truncated() const {
  return set_->is_truncated();
}

std::vector<std::string> ForwardingSet::warnings() const {
  return set_->warnings();
}

}  // namespace gantry::promql::promqltest
