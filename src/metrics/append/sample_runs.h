#pragma once

// Groups the samples of a batch by series, each in order of time.

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace gantry::metrics {

/// The samples of one series: positions [first, last) of the order.
struct SampleRun {
  std::uint32_t batch_series = 0;
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

class SampleRuns {
 public:
  /// `Sample` has `series` and `timestamp_ms`. Samples that are grouped and sorted already, as most
  /// senders have them, cost one pass. Of equal timestamps the order of the batch is kept.
  /// `aliases` is empty or says for each series of the batch which one stands for it.
  template <class Sample>
  SampleRuns(std::span<const Sample> samples, std::span<const std::uint32_t> aliases) {
    const auto series_of = [&](const Sample& sample) {
      return aliases.empty() ? sample.series : aliases[sample.series];
    };
    bool is_sorted = true;
    for (std::size_t i = 1; i < samples.size() && is_sorted; ++i) {
      const std::uint32_t before = series_of(samples[i - 1]);
      const std::uint32_t now = series_of(samples[i]);
      is_sorted =
          before < now || (before == now && samples[i - 1].timestamp_ms <= samples[i].timestamp_ms);
    }
    if (!is_sorted) {
      order_.resize(samples.size());
      std::iota(order_.begin(), order_.end(), 0U);
      std::ranges::stable_sort(order_, [&](std::uint32_t a, std::uint32_t b) {
        const std::uint32_t left = series_of(samples[a]);
        const std::uint32_t right = series_of(samples[b]);
        return left != right ? left < right : samples[a].timestamp_ms < samples[b].timestamp_ms;
      });
    }
    for (std::uint32_t i = 0; i < samples.size(); ++i) {
      const std::uint32_t series = series_of(samples[position(i)]);
      if (runs_.empty() || runs_.back().batch_series != series) {
        runs_.push_back({.batch_series = series, .first = i, .last = i});
      }
      ++runs_.back().last;
    }
  }

  [[nodiscard]] std::span<const SampleRun> runs() const { return runs_; }

  /// Index of a sample in the batch.
  [[nodiscard]] std::uint32_t position(std::uint32_t at) const {
    return order_.empty() ? at : order_[at];
  }

 private:
  std::vector<std::uint32_t> order_;
  std::vector<SampleRun> runs_;
};

}  // namespace gantry::metrics
