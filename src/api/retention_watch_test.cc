#include "api/retention_watch.h"

#include <gtest/gtest.h>

#include "promql/engine.h"

namespace gantry::api {
namespace {

constexpr std::int64_t kDayMs = std::int64_t{24} * 3600 * 1000;
constexpr std::int64_t kNowMs = 1'700'000'000'000;

/// Has nothing.
class EmptySource final : public promql::SeriesSource {
 public:
  class Set final : public promql::SeriesSet {
   public:
    [[nodiscard]] std::size_t size() const override { return 0; }

    [[nodiscard]] std::span<const promql::LabelSymbols> labels(std::size_t) const override {
      return {};
    }

    [[nodiscard]] std::string_view symbol(std::uint32_t) const override { return {}; }

    Result<void> read(std::size_t, std::int64_t, std::int64_t,
                      promql::SampleColumns&) const override {
      return {};
    }

    [[nodiscard]] bool is_truncated() const override { return false; }

    [[nodiscard]] std::vector<std::string> warnings() const override { return {}; }
  };

  Result<std::unique_ptr<promql::SeriesSet>> select(const promql::SelectRequest&,
                                                    const CancelToken&) const override {
    return std::make_unique<Set>();
  }

  Result<promql::LabelStrings> label_names(std::span<const promql::Matcher>, std::int64_t,
                                           std::int64_t, std::size_t,
                                           const CancelToken&) const override {
    return promql::LabelStrings{};
  }

  Result<promql::LabelStrings> label_values(std::string_view, std::span<const promql::Matcher>,
                                            std::int64_t, std::int64_t, std::size_t,
                                            const CancelToken&) const override {
    return promql::LabelStrings{};
  }

  Result<std::vector<promql::ExemplarSeries>> exemplars(
      std::span<const std::vector<promql::Matcher>>, std::int64_t, std::int64_t,
      const CancelToken&) const override {
    return std::vector<promql::ExemplarSeries>{};
  }
};

struct WatchCase {
  std::string_view name, query;
  std::int64_t at_ms;
  bool is_too_old;
};

class RetentionWatchTest : public testing::TestWithParam<WatchCase> {};

TEST_P(RetentionWatchTest, LooksAtWhatIsSelected) {
  const EmptySource nothing;
  const RetentionWatch watch(nothing, kNowMs - 15 * kDayMs);
  const promql::Engine engine({});
  const auto answer =
      engine.instant({.query = GetParam().query, .time_ms = GetParam().at_ms}, watch, {});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(watch.is_all_too_old(), GetParam().is_too_old);
}

INSTANTIATE_TEST_SUITE_P(
    Queries, RetentionWatchTest,
    testing::Values(WatchCase{"now", "up", kNowMs, false}, WatchCase{"long_ago", "up", 4'000, true},
                    WatchCase{"grafana_probe", "1+1", 4'000, false},
                    WatchCase{"just_kept", "up", kNowMs - 15 * kDayMs, false},
                    WatchCase{"just_not_kept", "up", kNowMs - 15 * kDayMs - 1, true},
                    WatchCase{"range_reaches_back", "rate(up[30d])", kNowMs, false},
                    WatchCase{"offset", "up offset 16d", kNowMs, true},
                    WatchCase{"offset_forward", "up offset -30d", kNowMs - 20 * kDayMs, false},
                    WatchCase{"at", "up @ 4", kNowMs, true},
                    WatchCase{"one_of_two_is_kept", "up - up offset 30d", kNowMs, false},
                    WatchCase{"both_too_old", "up offset 20d - up offset 30d", kNowMs, true},
                    WatchCase{"subquery", "max_over_time(up[1h:1m] offset 20d)", kNowMs, true}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace gantry::api
