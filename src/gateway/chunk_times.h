#pragma once

// How long a client waited for each chunk of a stream's output after the first one.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace gantry::gateway {

/// In the buckets of its metric, so that a stream of any length takes the same room.
class ChunkTimes {
 public:
  /// Upper bounds, in seconds; +Inf is implied. Those of gen_ai.client.operation.duration.
  static constexpr std::array kBoundsS = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                          1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};

  void add(double seconds) {
    const auto index = std::ranges::lower_bound(kBoundsS, seconds) - kBoundsS.begin();
    Bucket& bucket = buckets_[static_cast<std::size_t>(index)];
    ++bucket.count;
    bucket.sum_s += seconds;
  }

  /// `use(seconds)` for each wait: the mean of its bucket, which keeps counts and sum.
  template <class Use>
  void each(Use use) const {
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      const Bucket& bucket = buckets_[i];
      if (bucket.count == 0) continue;
      double mean = bucket.sum_s / bucket.count;
      if (i < kBoundsS.size())
        mean = std::min(mean, kBoundsS.at(i));  // it may have been rounded up
      for (std::uint32_t n = 0; n < bucket.count; ++n) use(mean);
    }
  }

 private:
  struct Bucket {
    std::uint32_t count = 0;
    double sum_s = 0;
  };

  std::array<Bucket, kBoundsS.size() + 1> buckets_{};
};

}  // namespace gantry::gateway
