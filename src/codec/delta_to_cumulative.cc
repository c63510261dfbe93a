#include "codec/delta_to_cumulative.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <boost/unordered/unordered_flat_map.hpp>
#include <fmt/format.h>

#include "core/mutex.h"

namespace gantry::codec {

namespace {

/// The part of a histogram point that adds up.
struct HistogramTotal {
  std::uint64_t count = 0;
  std::optional<double> sum;
  std::vector<std::uint64_t> bucket_counts;
  std::vector<double> bounds;
};

struct ExponentialTotal {
  std::uint64_t count = 0;
  std::optional<double> sum;
  std::int32_t scale = 0;
  std::uint64_t zero_count = 0;
  double zero_threshold = 0;
  OtlpBuckets positive;
  OtlpBuckets negative;
};

struct Stream {
  std::uint64_t start_ns = 0;
  std::uint64_t last_ns = 0;
  std::int64_t seen_ms = 0;
  std::variant<double, HistogramTotal, ExponentialTotal> total;
};

struct HashOfKey {
  std::size_t operator()(const core::Hash128& key) const { return key.low; }
};

std::optional<double> add_sums(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return std::nullopt;
  return *a + *b;
}

/// Buckets at a scale `levels` lower.
OtlpBuckets downscale(const OtlpBuckets& buckets, int levels) {
  if (levels == 0 || buckets.counts.empty()) return buckets;
  OtlpBuckets coarse;
  coarse.offset = buckets.offset >> levels;
  for (std::size_t i = 0; i < buckets.counts.size(); ++i) {
    const std::int64_t index =
        (std::int64_t{buckets.offset} + static_cast<std::int64_t>(i)) >> levels;
    const auto position = static_cast<std::size_t>(index - coarse.offset);
    if (coarse.counts.size() <= position) coarse.counts.resize(position + 1, 0);
    coarse.counts[position] += buckets.counts[i];
  }
  return coarse;
}

/// Without the empty buckets at both ends: they would only make ranges long.
OtlpBuckets trimmed(OtlpBuckets buckets) {
  const auto is_used = [](std::uint64_t count) { return count != 0; };
  const auto first = std::ranges::find_if(buckets.counts, is_used);
  if (first == buckets.counts.end()) return {};
  while (buckets.counts.back() == 0) buckets.counts.pop_back();
  const auto skipped = std::ranges::find_if(buckets.counts, is_used) - buckets.counts.begin();
  buckets.counts.erase(buckets.counts.begin(), buckets.counts.begin() + skipped);
  buckets.offset += static_cast<std::int32_t>(skipped);
  return buckets;
}

struct IndexRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;  ///< Not part of it.
};

/// That both together cover.
IndexRange joint_range(const OtlpBuckets& a, const OtlpBuckets& b) {
  const auto range = [](const OtlpBuckets& buckets) {
    return IndexRange{buckets.offset,
                      buckets.offset + static_cast<std::int64_t>(buckets.counts.size())};
  };
  if (a.counts.empty()) return range(b);
  if (b.counts.empty()) return range(a);
  return {std::min(range(a).begin, range(b).begin), std::max(range(a).end, range(b).end)};
}

OtlpBuckets add_buckets(const OtlpBuckets& a, const OtlpBuckets& b) {
  const IndexRange range = joint_range(a, b);
  OtlpBuckets total;
  total.offset = static_cast<std::int32_t>(range.begin);
  total.counts.resize(static_cast<std::size_t>(range.end - range.begin), 0);
  for (const OtlpBuckets* part : {&a, &b}) {
    for (std::size_t i = 0; i < part->counts.size(); ++i) {
      const std::int64_t index = part->offset + static_cast<std::int64_t>(i);
      total.counts[static_cast<std::size_t>(index - range.begin)] += part->counts[i];
    }
  }
  return total;
}

void rescale(ExponentialTotal& total, int levels) {
  total.positive = downscale(total.positive, levels);
  total.negative = downscale(total.negative, levels);
  total.scale -= levels;
}

bool is_too_wide(const ExponentialTotal& a, const ExponentialTotal& b) {
  for (const IndexRange range :
       {joint_range(a.positive, b.positive), joint_range(a.negative, b.negative)}) {
    if (range.end - range.begin > DeltaToCumulative::kBucketsMax) return true;
  }
  return false;
}

void add_total(ExponentialTotal& total, ExponentialTotal delta) {
  // A scale far below any real one would make the shift meaningless.
  const int apart = std::clamp(std::abs(total.scale - delta.scale), 0, 31);
  if (apart != 0) rescale(total.scale > delta.scale ? total : delta, apart);
  while (is_too_wide(total, delta)) {
    rescale(total, 1);
    rescale(delta, 1);
  }
  total.positive = add_buckets(total.positive, delta.positive);
  total.negative = add_buckets(total.negative, delta.negative);
  total.count += delta.count;
  total.sum = add_sums(total.sum, delta.sum);
  total.zero_count += delta.zero_count;
  total.zero_threshold = std::max(total.zero_threshold, delta.zero_threshold);
}

void add_total(HistogramTotal& total, const HistogramTotal& delta) {
  total.count += delta.count;
  total.sum = add_sums(total.sum, delta.sum);
  for (std::size_t i = 0; i < delta.bucket_counts.size(); ++i) {
    total.bucket_counts[i] += delta.bucket_counts[i];
  }
}

void add_total(double& total, double delta) {
  total += delta;
}

bool can_add(double /*total*/, double /*delta*/) {
  return true;
}

bool can_add(const HistogramTotal& total, const HistogramTotal& delta) {
  return total.bounds == delta.bounds && total.bucket_counts.size() == delta.bucket_counts.size();
}

bool can_add(const ExponentialTotal& total, const ExponentialTotal& delta) {
  return std::abs(std::int64_t{total.scale} - delta.scale) < 32;
}

}  // namespace

struct DeltaToCumulative::Impl {
  explicit Impl(Options given) : options(given) {}

  template <class Total>
  Result<Stream> add(const core::Hash128& key, const OtlpPoint& point, Total delta,
                     std::int64_t now_ms);
  void forget_stale(std::int64_t now_ms) GANTRY_REQUIRES(mutex);

  const Options options;
  mutable core::Mutex mutex;
  boost::unordered_flat_map<core::Hash128, Stream, HashOfKey> streams GANTRY_GUARDED_BY(mutex);
  std::int64_t swept_ms GANTRY_GUARDED_BY(mutex) = 0;
};

void DeltaToCumulative::Impl::forget_stale(std::int64_t now_ms) {
  swept_ms = now_ms;
  boost::unordered::erase_if(
      streams, [&](const auto& entry) { return now_ms - entry.second.seen_ms > options.stale_ms; });
}

template <class Total>
Result<Stream> DeltaToCumulative::Impl::add(const core::Hash128& key, const OtlpPoint& point,
                                            Total delta, std::int64_t now_ms) {
  const core::Lock lock(mutex);
  if (now_ms - swept_ms > options.stale_ms) forget_stale(now_ms);
  const auto found = streams.find(key);
  const bool is_known =
      found != streams.end() && now_ms - found->second.seen_ms <= options.stale_ms;
  if (is_known && point.time_ns <= found->second.last_ns) {
    return fail(Code::OutOfRange, "delta point is not newer than the last one of its series");
  }
  if (found == streams.end() && streams.size() >= options.streams_max) {
    return fail(
        Code::ResourceExhausted,
        fmt::format("more than {} delta series (otlp.delta_streams_max)", options.streams_max));
  }
  Stream& stream = found != streams.end() ? found->second : streams[key];
  auto* const total = is_known ? std::get_if<Total>(&stream.total) : nullptr;
  if (total != nullptr && can_add(*total, delta)) {
    add_total(*total, std::move(delta));
  } else {
    stream.start_ns = point.start_ns != 0 ? point.start_ns : point.time_ns;
    stream.total = std::move(delta);
  }
  stream.last_ns = point.time_ns;
  stream.seen_ms = now_ms;
  return stream;
}

DeltaToCumulative::DeltaToCumulative(Options options) : impl_(std::make_unique<Impl>(options)) {}

DeltaToCumulative::~DeltaToCumulative() = default;

Result<void> DeltaToCumulative::add(const core::Hash128& key, OtlpNumberPoint& point,
                                    std::int64_t now_ms) {
  GANTRY_TRY(const Stream stream, impl_->add(key, point, point.value, now_ms));
  point.start_ns = stream.start_ns;
  point.value = std::get<double>(stream.total);
  return {};
}

Result<void> DeltaToCumulative::add(const core::Hash128& key, OtlpHistogramPoint& point,
                                    std::int64_t now_ms) {
  HistogramTotal delta{.count = point.count,
                       .sum = point.sum,
                       .bucket_counts = point.bucket_counts,
                       .bounds = point.bounds};
  GANTRY_TRY(Stream stream, impl_->add(key, point, std::move(delta), now_ms));
  auto& total = std::get<HistogramTotal>(stream.total);
  point.start_ns = stream.start_ns;
  point.count = total.count;
  point.sum = total.sum;
  point.bucket_counts = std::move(total.bucket_counts);
  return {};
}

Result<void> DeltaToCumulative::add(const core::Hash128& key, OtlpExponentialPoint& point,
                                    std::int64_t now_ms) {
  ExponentialTotal delta{.count = point.count,
                         .sum = point.sum,
                         .scale = point.scale,
                         .zero_count = point.zero_count,
                         .zero_threshold = point.zero_threshold,
                         .positive = trimmed(std::move(point.positive)),
                         .negative = trimmed(std::move(point.negative))};
  GANTRY_TRY(Stream stream, impl_->add(key, point, std::move(delta), now_ms));
  auto& total = std::get<ExponentialTotal>(stream.total);
  point.start_ns = stream.start_ns;
  point.count = total.count;
  point.sum = total.sum;
  point.scale = total.scale;
  point.zero_count = total.zero_count;
  point.zero_threshold = total.zero_threshold;
  point.positive = std::move(total.positive);
  point.negative = std::move(total.negative);
  return {};
}

std::size_t DeltaToCumulative::stream_count() const {
  const core::Lock lock(impl_->mutex);
  return impl_->streams.size();
}

}  // namespace gantry::codec
