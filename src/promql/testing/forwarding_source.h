#pragma once

// A source, and a set of series, that hand on to others: for tests that watch what the engine asks.
//
//   class CountingSource final : public ForwardingSource {
//    public:
//     using ForwardingSource::ForwardingSource;
//     Result<std::unique_ptr<SeriesSet>> select(…) const override {
//       ++selects;
//       return ForwardingSource::select(request, cancel);
//     }
//     mutable std::atomic<int> selects{0};
//   };

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "promql/series_source.h"

namespace gantry::promql::promqltest {

/// As thread-safe as what it hands on to.
class ForwardingSource : public SeriesSource {
 public:
  /// `source` must outlive this.
  explicit ForwardingSource(const SeriesSource& source) : source_(source) {}

  Result<std::unique_ptr<SeriesSet>> select(const SelectRequest& request,
                                            const CancelToken& cancel) const override;
  Result<LabelStrings> label_names(std::span<const Matcher> matchers, std::int64_t start_ms,
                                   std::int64_t end_ms, std::size_t limit,
                                   const CancelToken& cancel) const override;
  Result<LabelStrings> label_values(std::string_view name, std::span<const Matcher> matchers,
                                    std::int64_t start_ms, std::int64_t end_ms, std::size_t limit,
                                    const CancelToken& cancel) const override;
  Result<std::vector<ExemplarSeries>> exemplars(std::span<const std::vector<Matcher>> selectors,
                                                std::int64_t start_ms, std::int64_t end_ms,
                                                const CancelToken& cancel) const override;

 private:
  const SeriesSource& source_;
};

class ForwardingSet : public SeriesSet {
 public:
  explicit ForwardingSet(std::unique_ptr<SeriesSet> set);

  [[nodiscard]] std::size_t size() const override;
  [[nodiscard]] std::span<const LabelSymbols> labels(std::size_t series) const override;
  [[nodiscard]] std::string_view symbol(std::uint32_t id) const override;
  Result<void> read(std::size_t series, std::int64_t start_ms, std::int64_t end_ms,
                    SampleColumns& out) const override;
  [[nodiscard]] bool is_truncated() const override;
  [[nodiscard]] std::vector<std::string> warnings() const override;

 private:
  std::unique_ptr<SeriesSet> set_;
};

}  // namespace gantry::promql::promqltest
