#pragma once

// A SeriesSource in memory that does the obvious thing: the twin that filtered sources are held
// against. Series come in the order in which they were added.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "promql/series_source.h"
#include "telemetry/labels.h"

namespace gantry::access {

struct TestSeries {
  telemetry::Labels labels;
  std::vector<std::pair<std::int64_t, double>> samples;         ///< Ascending by time.
  std::vector<std::pair<std::int64_t, std::string>> exemplars;  ///< Time and trace id.
};

/// What was asked of a source last.
struct TestRequest {
  std::size_t matcher_count = 0;
  std::size_t series_limit = 0;
  std::size_t match_count = 0;  ///< Series that the matchers left over.
};

class LabelSource final : public promql::SeriesSource {
 public:
  explicit LabelSource(std::vector<TestSeries> series);

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

  [[nodiscard]] const TestRequest& last_request() const { return last_; }

 private:
  class Set;

  [[nodiscard]] std::vector<std::size_t> match(std::span<const promql::Matcher> matchers,
                                               std::int64_t start_ms, std::int64_t end_ms) const;

  std::vector<TestSeries> series_;
  std::vector<std::string> symbols_;
  std::vector<std::vector<promql::LabelSymbols>> labels_;
  mutable TestRequest last_;
};

/// {"__name__", "up"}, {"ns", "a"}
telemetry::Labels test_labels(
    std::initializer_list<std::pair<std::string_view, std::string_view>> labels);

/// Series as text with their samples, in order: `up{ns="a"} 1@10 2@20`.
std::vector<std::string> describe(const promql::SeriesSet& set);

}  // namespace gantry::access
