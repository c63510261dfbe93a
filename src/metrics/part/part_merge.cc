#include "metrics/part/part_merge.h"

#include <algorithm>
#include <compare>
#include <memory>
#include <utility>
#include <vector>

#include "metrics/part/part_format.h"

namespace gantry::metrics {
namespace {

using telemetry::LabelView;

/// A block this large is copied as it is when nothing else has samples at its times.
constexpr std::uint32_t kCopiedSamplesMin = kPartBlockSamples / 2;

struct Input {
  const PartReader* part = nullptr;
  std::unique_ptr<PartSeriesCursor> cursor;
  PartReader::Scratch scratch = PartReader::Scratch::for_scan();
  bool has_series = false;
};

/// A block of the series at hand.
struct Source {
  BlockInfo info;
  std::size_t input = 0;  ///< The greater wins.
};

/// A sample of a cluster: where it is in its columns.
struct Sample {
  std::int64_t timestamp_ms = 0;
  std::uint32_t rank = 0;   ///< The greater wins: order of inputs.
  std::uint32_t index = 0;  ///< Into the columns of its kind.
  BlockKind kind = BlockKind::Float;
};

/// Sorted and without overlaps.
void normalize(std::vector<TimeRange>& ranges) {
  std::ranges::sort(ranges, {}, &TimeRange::start_ms);
  std::size_t kept = 0;
  for (const TimeRange& range : ranges) {
    if (range.start_ms > range.end_ms) continue;
    if (kept > 0 && range.start_ms <= ranges[kept - 1].end_ms) {
      ranges[kept - 1].end_ms = std::max(ranges[kept - 1].end_ms, range.end_ms);
    } else {
      ranges[kept++] = range;
    }
  }
  ranges.resize(kept);
}

bool overlaps(std::span<const TimeRange> ranges, std::int64_t start_ms, std::int64_t end_ms) {
  const auto range = std::ranges::lower_bound(ranges, start_ms, {}, &TimeRange::end_ms);
  return range != ranges.end() && range->start_ms <= end_ms;
}

class Merger {
 public:
  Merger(std::span<const PartReader* const> inputs, const MergeOptions& options, PartWriter& writer)
      : options_(options), writer_(writer), inputs_(inputs.size()) {
    for (std::size_t i = 0; i < inputs.size(); ++i) inputs_[i].part = inputs[i];
  }

  Result<void> run();

 private:
  Result<void> open_inputs();
  /// Those that have the least labels; empty at the end.
  void find_least();
  Result<void> merge_series();
  Result<void> gather_sources();
  Result<void> copy(const Source& source);
  /// Appends the source's samples to the columns of their kind.
  Result<void> decode_source(const Source& source);
  Result<void> merge_cluster(std::span<const Source> cluster);
  Result<void> decode_cluster(std::span<const Source> cluster);
  void order_samples();
  Result<void> write_samples();
  Result<void> write_run(std::span<const Sample> run);

  const MergeOptions& options_;
  PartWriter& writer_;
  std::vector<Input> inputs_;
  std::vector<std::size_t> least_;
  std::vector<TimeRange> deleted_;
  std::vector<Source> sources_;
  std::vector<BlockInfo> infos_;
  FloatColumns floats_;
  HistogramColumns histograms_;
  std::vector<Sample> samples_;
  FloatColumns float_run_;
  HistogramColumns histogram_run_;
};

Result<void> Merger::open_inputs() {
  for (Input& input : inputs_) {
    GANTRY_TRY(input.cursor, input.part->series());
    GANTRY_TRY(input.has_series, input.cursor->next());
  }
  return {};
}

void Merger::find_least() {
  least_.clear();
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (!inputs_[i].has_series) continue;
    const auto order = least_.empty() ? std::strong_ordering::less
                                      : compare_series(inputs_[i].cursor->labels(),
                                                       inputs_[least_[0]].cursor->labels());
    if (order < 0) least_.clear();
    if (order <= 0) least_.push_back(i);
  }
}

Result<void> Merger::run() {
  GANTRY_CHECK(open_inputs());
  while (true) {
    find_least();
    if (least_.empty()) return {};
    GANTRY_CHECK(merge_series());
    for (const std::size_t i : least_) {
      GANTRY_TRY(inputs_[i].has_series, inputs_[i].cursor->next());
    }
  }
}

Result<void> Merger::gather_sources() {
  sources_.clear();
  for (const std::size_t i : least_) {
    GANTRY_CHECK(inputs_[i].part->blocks(inputs_[i].cursor->ordinal(), inputs_[i].scratch, infos_));
    for (const BlockInfo& info : infos_) sources_.push_back({.info = info, .input = i});
  }
  std::ranges::sort(sources_, [](const Source& a, const Source& b) {
    return std::pair(a.info.time_ms_min, a.input) < std::pair(b.info.time_ms_min, b.input);
  });
  return {};
}

Result<void> Merger::merge_series() {
  const std::span<const LabelView> labels = inputs_[least_[0]].cursor->labels();
  deleted_.clear();
  if (options_.tombstones) options_.tombstones(labels, deleted_);
  normalize(deleted_);
  GANTRY_CHECK(gather_sources());
  GANTRY_CHECK(writer_.begin_series(labels));
  std::size_t first = 0;
  while (first < sources_.size()) {
    std::int64_t cluster_end = sources_[first].info.time_ms_max;
    std::size_t end = first + 1;
    while (end < sources_.size() && sources_[end].info.time_ms_min <= cluster_end) {
      cluster_end = std::max(cluster_end, sources_[end].info.time_ms_max);
      ++end;
    }
    const Source& source = sources_[first];
    const bool is_copied = end == first + 1 && source.info.sample_count >= kCopiedSamplesMin &&
                           !overlaps(deleted_, source.info.time_ms_min, source.info.time_ms_max);
    GANTRY_CHECK(is_copied ? copy(source)
                           : merge_cluster(std::span(sources_).subspan(first, end - first)));
    first = end;
    if (options_.progress) options_.progress(writer_.size_bytes());
    GANTRY_CHECK(options_.cancel.check());
  }
  return {};
}

Result<void> Merger::copy(const Source& source) {
  Input& input = inputs_[source.input];
  GANTRY_TRY(const EncodedBlock block, input.part->block(source.info, input.scratch));
  return writer_.add_block(block);
}

Result<void> Merger::decode_source(const Source& source) {
  Input& input = inputs_[source.input];
  return input.part->read_block(source.info, input.scratch, floats_, histograms_);
}

Result<void> Merger::decode_cluster(std::span<const Source> cluster) {
  floats_.clear();
  histograms_.clear();
  samples_.clear();
  for (const Source& source : cluster) {
    GANTRY_CHECK(decode_source(source));
    const bool is_float = source.info.kind == BlockKind::Float;
    const auto& times = is_float ? floats_.timestamps_ms : histograms_.timestamps_ms;
    for (std::size_t i = times.size() - source.info.sample_count; i < times.size(); ++i) {
      samples_.push_back({.timestamp_ms = times[i],
                          .rank = static_cast<std::uint32_t>(source.input),
                          .index = static_cast<std::uint32_t>(i),
                          .kind = source.info.kind});
    }
  }
  return {};
}

/// One sample for each time: the last input's. Deleted ones are left out.
void Merger::order_samples() {
  const auto before = [](const Sample& a, const Sample& b) {
    return std::pair(a.timestamp_ms, a.rank) < std::pair(b.timestamp_ms, b.rank);
  };
  if (!std::ranges::is_sorted(samples_, before)) std::ranges::sort(samples_, before);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    const bool is_beaten =
        i + 1 < samples_.size() && samples_[i + 1].timestamp_ms == samples_[i].timestamp_ms;
    const std::int64_t time = samples_[i].timestamp_ms;
    if (is_beaten || overlaps(deleted_, time, time)) continue;
    samples_[kept++] = samples_[i];
  }
  samples_.resize(kept);
}

/// Samples of one kind that follow each other.
Result<void> Merger::write_run(std::span<const Sample> run) {
  const auto gather = [&](const auto& from, auto& to, const auto& values, auto& to_values) {
    to.clear();
    for (const Sample& sample : run) {
      to.timestamps_ms.push_back(sample.timestamp_ms);
      to_values.push_back(values[sample.index]);
      if (!from.start_timestamps_ms.empty()) {
        to.start_timestamps_ms.push_back(from.start_timestamps_ms[sample.index]);
      }
    }
  };
  if (run.front().kind == BlockKind::Float) {
    gather(floats_, float_run_, floats_.values, float_run_.values);
    return writer_.add_floats(float_run_.timestamps_ms, float_run_.values,
                              float_run_.start_timestamps_ms);
  }
  gather(histograms_, histogram_run_, histograms_.histograms, histogram_run_.histograms);
  return writer_.add_histograms(histogram_run_.timestamps_ms, histogram_run_.histograms,
                                histogram_run_.start_timestamps_ms);
}

Result<void> Merger::write_samples() {
  for (std::size_t first = 0; first < samples_.size();) {
    std::size_t end = first + 1;
    while (end < samples_.size() && samples_[end].kind == samples_[first].kind) ++end;
    GANTRY_CHECK(write_run(std::span(samples_).subspan(first, end - first)));
    first = end;
  }
  return {};
}

Result<void> Merger::merge_cluster(std::span<const Source> cluster) {
  const std::int64_t start = cluster.front().info.time_ms_min;
  std::int64_t end = start;
  for (const Source& source : cluster) end = std::max(end, source.info.time_ms_max);
  if (cluster.size() > 1 || overlaps(deleted_, start, end)) {
    GANTRY_CHECK(decode_cluster(cluster));
    order_samples();
    return write_samples();
  }
  // The common case: parts cut one after the other, nothing deleted.
  floats_.clear();
  histograms_.clear();
  GANTRY_CHECK(decode_source(cluster[0]));
  if (cluster[0].info.kind == BlockKind::Float) {
    return writer_.add_floats(floats_.timestamps_ms, floats_.values, floats_.start_timestamps_ms);
  }
  return writer_.add_histograms(histograms_.timestamps_ms, histograms_.histograms,
                                histograms_.start_timestamps_ms);
}

}  // namespace

Result<void> merge_parts(std::span<const PartReader* const> inputs, const MergeOptions& options,
                         PartWriter& writer) {
  Merger merger(inputs, options, writer);
  return merger.run();
}

}  // namespace gantry::metrics
