#include "metrics/append/append_plan.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "core/duration.h"
#include "metrics/append/sample_kinds_internal.h"

namespace gantry::metrics {
namespace {

using telemetry::DuplicatePolicy;
using telemetry::RejectReason;

// Differences of any two accepted times fit 64 bits.
constexpr std::int64_t kTimeMsLeast = -(std::int64_t{1} << 61);
constexpr std::int64_t kTimeMsGreatest = std::int64_t{1} << 61;

std::int64_t newest_in_parts(const PartView& view, std::uint32_t series) {
  std::int64_t newest = kNoTime;
  std::vector<BlockInfo> blocks;
  for (const std::shared_ptr<const Part>& part : view.parts) {
    if (part->summary().time_ms_max <= newest) continue;
    const std::uint32_t ordinal = part->find(series);
    if (ordinal == Part::kNone) continue;
    PartReader::Scratch scratch;
    if (!part->reader().blocks(ordinal, scratch, blocks)) continue;
    for (const BlockInfo& block : blocks) newest = std::max(newest, block.time_ms_max);
  }
  return newest;
}

}  // namespace

AppendPlan::AppendPlan(StoreState& state, const StoreOptions& options, TimestampMs now,
                       const telemetry::MetricBatch& batch, bool is_import)
    : state_(state),
      options_(options),
      now_(now),
      batch_(batch),
      is_import_(is_import),
      time_ms_min_(options.retention.count > 0 ? (now - options.retention).since_epoch
                                               : kTimeMsLeast),
      time_ms_max_(std::min(kTimeMsGreatest, (now + options.future_tolerance).since_epoch)),
      view_(state.view()),
      rejections_(result) {}

AppendPlan::TimeProblem AppendPlan::time_problem(std::int64_t time_ms) const {
  if (time_ms > time_ms_max_) return TimeProblem::TooFarInFuture;
  return time_ms < time_ms_min_ ? TimeProblem::TooOld : TimeProblem::None;
}

void AppendPlan::find_wanted() {
  is_wanted_.assign(batch_.series.size(), 0);
  for (const telemetry::FloatSample& sample : batch_.samples) {
    if (time_problem(sample.timestamp_ms) == TimeProblem::None) is_wanted_[sample.series] = 1;
  }
  for (const telemetry::HistogramSample& sample : batch_.histograms) {
    if (time_problem(sample.timestamp_ms) == TimeProblem::None) is_wanted_[sample.series] = 1;
  }
}

void AppendPlan::make(SeriesBudget& budget) {
  find_wanted();
  SeriesLookup lookup(state_, options_.limits, budget, now_);
  series_ = lookup.find_or_add(batch_, is_wanted_);
  created_series = series_.created_count;
  is_refused_.assign(batch_.series.size(), 0);
  if (!series_.refused.empty()) refuse_series();
  record.floats.reserve(batch_.samples.size());
  if (!batch_.samples.empty()) check_samples<FloatKind>();
  if (!batch_.histograms.empty()) check_samples<HistogramKind>();
  check_exemplars();
  check_metadata();
}

void AppendPlan::refuse_series() {
  std::vector<std::uint64_t> counts(batch_.series.size());
  for (const telemetry::FloatSample& sample : batch_.samples) ++counts[sample.series];
  for (const telemetry::HistogramSample& sample : batch_.histograms) ++counts[sample.series];
  for (const BatchSeriesIds::Refused& refused : series_.refused) {
    is_refused_[refused.batch_series] = 1;
    rejections_.add(refused.problem.reason, refused.batch_series,
                    batch_.series[refused.batch_series].is_best_effort,
                    counts[refused.batch_series], [&] { return refused.problem.message; });
  }
  const auto name_refused = [&](const auto& samples, std::vector<std::uint32_t>& positions) {
    for (std::uint32_t i = 0; i < samples.size(); ++i) {
      const std::uint32_t series = samples[i].series;
      const bool is_named = is_refused_[series] != 0 && !batch_.series[series].is_best_effort;
      if (is_named) positions.push_back(i);
    }
  };
  name_refused(batch_.samples, result.refused_samples);
  name_refused(batch_.histograms, result.refused_histograms);
}

template <class Kind>
void AppendPlan::check_samples() {
  const SampleRuns runs(Kind::samples(batch_), series_.aliases);
  // Runs in order of their shards, so that each lock is taken once; the runs of series without an
  // id come last and have nothing to store.
  std::array<std::uint32_t, Head::kShardCount + 2> ends{};
  const auto bucket_of = [&](const SampleRun& run) {
    const std::uint32_t id = series_.ids[run.batch_series];
    return id == BatchSeriesIds::kNone ? Head::kShardCount : Head::shard_of(id);
  };
  for (const SampleRun& run : runs.runs()) ++ends[bucket_of(run) + 1];
  for (std::size_t i = 1; i < ends.size(); ++i) ends[i] += ends[i - 1];
  std::array<std::uint32_t, Head::kShardCount + 2> next = ends;
  std::vector<std::uint32_t> order(runs.runs().size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[next[bucket_of(runs.runs()[i])]++] = i;

  const std::span<const std::uint32_t> all(order);
  check_shard<Kind>(runs, all.first(ends[Head::kShardCount]));
  for (const std::uint32_t index : all.subspan(ends[Head::kShardCount])) {
    const SampleRun& run = runs.runs()[index];
    if (is_refused_[run.batch_series] != 0) continue;
    // Not refused and not known: no sample of it is inside the bounds of time.
    SeriesRecord unused;
    HeadContext context;
    check_run<Kind>(runs, run, unused, context, nullptr);
  }
  const std::vector<std::uint32_t> deferred = std::exchange(deferred_, {});
  for (const std::uint32_t index : deferred) check_deferred<Kind>(runs, runs.runs()[index]);
}

template <class Kind>
void AppendPlan::check_shard(const SampleRuns& runs, std::span<const std::uint32_t> run_indexes) {
  std::vector<std::uint32_t> ids(run_indexes.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = series_.ids[runs.runs()[run_indexes[i]].batch_series];
  }
  state_.head.for_each_series(
      ids, [&](std::size_t i, SeriesRecord& series_record, HeadContext& context) {
        const SampleRun& run = runs.runs()[run_indexes[i]];
        if (needs_parts<Kind>(runs, run, series_record)) {
          deferred_.push_back(run_indexes[i]);
        } else {
          check_run<Kind>(runs, run, series_record, context, nullptr);
        }
      });
}

/// A sample that is not newer than all the series has may be in a part already. After a restart
/// only the time of the newest part is known of a series.
template <class Kind>
bool AppendPlan::needs_parts(const SampleRuns& runs, const SampleRun& run,
                             SeriesRecord& series_record) const {
  if (series_record.part_count().load(std::memory_order_relaxed) == 0) return false;
  const std::int64_t newest = series_record.has(kSeriesNewestIsKnown)
                                  ? series_record.last_ms
                                  : std::max(series_record.last_ms, view_->time_ms_max);
  return Kind::samples(batch_)[runs.position(run.first)].timestamp_ms <= newest;
}

template <class Kind>
void AppendPlan::check_deferred(const SampleRuns& runs, const SampleRun& run) {
  const std::uint32_t series = series_.ids[run.batch_series];
  const std::span<const typename Kind::Sample> samples = Kind::samples(batch_);
  const TimeRange range{.start_ms = samples[runs.position(run.first)].timestamp_ms,
                        .end_ms = samples[runs.position(run.last - 1)].timestamp_ms};
  bool is_done = false;
  while (!is_done) {
    const std::uint64_t drops = state_.head_drops.load(std::memory_order_acquire);
    const std::shared_ptr<const PartView> view = state_.view();
    PartSamples stored;
    ColumnMerge<promql::SampleColumns> merge(stored.columns);
    for (const std::shared_ptr<const Part>& part : view->parts) {
      if (!part->overlaps(range.start_ms, range.end_ms)) continue;
      const std::uint32_t ordinal = part->find(series);
      if (ordinal == Part::kNone) continue;
      PartScratch scratch;
      const auto read = read_part(*view, *part, series, ordinal, range, scratch, stored.columns);
      // What cannot be read cannot be known to be there; queries are warned about it.
      if (!read && read.error().code == Code::DataLoss) {
        state_.report_damage(part->entry().number);
      }
      merge.note_source();
    }
    merge.finish();
    stored.newest_ms = newest_in_parts(*view, series);
    state_.head.with_series(series, [&](SeriesRecord& series_record, HeadContext& context) {
      if (state_.head_drops.load(std::memory_order_acquire) != drops) return;
      if (series_record.last_ms < stored.newest_ms) {
        series_record.last_ms = stored.newest_ms;
        series_record.reset(kSeriesLastIsFloat);
      }
      series_record.set(kSeriesNewestIsKnown);
      check_run<Kind>(runs, run, series_record, context, &stored);
      is_done = true;
    });
  }
}

template <class Kind>
void AppendPlan::check_run(const SampleRuns& runs, const SampleRun& run,
                           SeriesRecord& series_record, HeadContext& context,
                           const PartSamples* stored) {
  const std::span<const typename Kind::Sample> samples = Kind::samples(batch_);
  std::uint32_t previous = std::numeric_limits<std::uint32_t>::max();
  bool is_previous_planned = false;
  for (std::uint32_t at = run.first; at < run.last; ++at) {
    const std::uint32_t index = runs.position(at);
    const typename Kind::Sample& sample = samples[index];
    if (previous != std::numeric_limits<std::uint32_t>::max() &&
        samples[previous].timestamp_ms == sample.timestamp_ms) {
      if (!resolve_same_time<Kind>(sample, index, previous, is_previous_planned)) continue;
    }
    is_previous_planned = check_sample<Kind>(sample, index, series_record, context, stored);
    previous = index;
  }
}

/// A sample with the time of the one before it in the same request. True if it has to be checked on
/// its own.
template <class Kind>
bool AppendPlan::resolve_same_time(const typename Kind::Sample& sample, std::uint32_t index,
                                   std::uint32_t previous, bool is_previous_planned) {
  const telemetry::BatchSeries& series = batch_.series[sample.series];
  if (Kind::is_same(sample, Kind::samples(batch_)[previous]) ||
      series.duplicates == DuplicatePolicy::Ignore) {
    ++Kind::written(result);
    return false;
  }
  if (series.duplicates == DuplicatePolicy::LastWins) {
    if (!is_previous_planned) return true;
    Kind::replace_last(record, Kind::samples(batch_)[index]);
    ++Kind::written(result);
    return false;
  }
  return refuse<Kind>(sample, index, RejectReason::Duplicate, [&] {
    return fmt::format("duplicate sample for timestamp {}: the request has two values of series {}",
                       sample.timestamp_ms, series_text(sample.series));
  });
}

/// Always false: the sample is not in the plan.
template <class Kind, class Message>
bool AppendPlan::refuse(const typename Kind::Sample& sample, std::uint32_t index,
                        RejectReason reason, const Message& message) {
  const bool is_best_effort = batch_.series[sample.series].is_best_effort;
  rejections_.add(reason, alias(sample.series), is_best_effort, 1, message);
  if (!is_best_effort) Kind::refused(result).push_back(index);
  return false;
}

/// Whether the sample by itself is one that may be stored now. Hot: per sample.
template <class Kind>
bool AppendPlan::is_acceptable(const typename Kind::Sample& sample, std::uint32_t index) {
  const std::int64_t time_ms = sample.timestamp_ms;
  if (time_ms > time_ms_max_) {
    return refuse<Kind>(sample, index, RejectReason::TooFarInFuture, [&] {
      return fmt::format(
          "out of bounds: timestamp is too far in the future: {} of series {} is {} ahead, the "
          "limit is {} (storage.future_tolerance)",
          time_ms, series_text(sample.series), core::format_duration({time_ms - now_.since_epoch}),
          core::format_duration(options_.future_tolerance));
    });
  }
  if (time_ms < time_ms_min_) {
    return refuse<Kind>(sample, index, RejectReason::TooOld, [&] {
      return fmt::format(
          "out of bounds: timestamp {} of series {} is older than the retention of {} "
          "(storage.retention)",
          time_ms, series_text(sample.series), core::format_duration(options_.retention));
    });
  }
  if (const auto valid = Kind::check(sample); !valid) {
    return refuse<Kind>(sample, index, RejectReason::InvalidHistogram, [&] {
      return fmt::format("invalid histogram of series {}: {}", series_text(sample.series),
                         valid.error().message);
    });
  }
  return true;
}

/// Whether a sample that is not newer than its series' newest is inside the out-of-order window.
template <class Kind>
bool AppendPlan::is_in_time(const typename Kind::Sample& sample, std::uint32_t index,
                            std::int64_t newest_ms) {
  const std::int64_t time_ms = sample.timestamp_ms;
  const std::int64_t late_ms = newest_ms - time_ms;
  const std::int64_t window_ms = options_.out_of_order_window.count;
  if (late_ms == 0 || is_import_ || late_ms <= window_ms) return true;
  if (window_ms == 0) {
    return refuse<Kind>(sample, index, RejectReason::OutOfOrder, [&] {
      return fmt::format(
          "out of order sample: {} of series {} is older than the newest, {} "
          "(storage.out_of_order_window is 0)",
          time_ms, series_text(sample.series), newest_ms);
    });
  }
  return refuse<Kind>(sample, index, RejectReason::TooOld, [&] {
    return fmt::format(
        "too old sample: {} of series {} is {} older than the newest, the limit is {} "
        "(storage.out_of_order_window)",
        time_ms, series_text(sample.series), core::format_duration({late_ms}),
        core::format_duration(options_.out_of_order_window));
  });
}

/// How to store a sample that is not newer than all of its series; nothing when it is not to be.
template <class Kind>
std::optional<StoreMode> AppendPlan::mode_of_late(const typename Kind::Sample& sample,
                                                  std::uint32_t index, SeriesRecord& series_record,
                                                  HeadContext& context, const PartSamples* stored) {
  if (!is_in_time<Kind>(sample, index, series_record.last_ms)) return std::nullopt;
  Presence presence = Kind::find(series_record, context, sample);
  if (presence == Presence::Absent && stored != nullptr) {
    presence = Kind::find(stored->columns, sample);
  }
  if (presence == Presence::Absent) return StoreMode::Insert;
  const DuplicatePolicy policy = batch_.series[sample.series].duplicates;
  if (presence == Presence::Same || policy == DuplicatePolicy::Ignore) {
    ++Kind::written(result);
    return std::nullopt;
  }
  if (policy == DuplicatePolicy::LastWins) return StoreMode::Overwrite;
  refuse<Kind>(sample, index, RejectReason::Duplicate, [&] {
    return fmt::format("duplicate sample for timestamp {}: series {} has another value there",
                       sample.timestamp_ms, series_text(sample.series));
  });
  return std::nullopt;
}

/// What a sample that is there is, for those who read while it is replaced.
LateChange AppendPlan::find_replaced(const SeriesRecord& series_record, HeadContext& context,
                                     const PartSamples* stored, std::int64_t timestamp_ms) {
  context.columns.clear();
  ColumnMerge<promql::SampleColumns> merge(context.columns);
  LateChange found{.timestamp_ms = timestamp_ms};
  if (read_head(series_record, timestamp_ms, timestamp_ms, merge, context.columns)) {
    merge.finish();
    found = make_change(context.columns, timestamp_ms);
  }
  if (found.before != LateChange::Before::Absent || stored == nullptr) return found;
  return make_change(stored->columns, timestamp_ms);
}

/// True if the sample was put into the plan. Hot: per sample.
template <class Kind>
bool AppendPlan::check_sample(const typename Kind::Sample& sample, std::uint32_t index,
                              SeriesRecord& series_record, HeadContext& context,
                              const PartSamples* stored) {
  if (!is_acceptable<Kind>(sample, index)) return false;
  std::optional<StoreMode> mode = StoreMode::Insert;
  if (sample.timestamp_ms <= series_record.last_ms) {
    mode = mode_of_late<Kind>(sample, index, series_record, context, stored);
    if (!mode) return false;
  }
  if (!may_be_active(series_record, context)) {
    return refuse<Kind>(sample, index, RejectReason::SeriesLimit, [&] {
      return fmt::format("{} active series, the limit is {} (limits.active_series_max): series {}",
                         state_.head.active_count(), options_.limits.active_series_max,
                         series_text(sample.series));
    });
  }
  // Either this sample is newer than everything, or the parts were asked, or there are none.
  series_record.set(kSeriesNewestIsKnown);
  Kind::plan(record, batch_, series_.ids[sample.series], index, *mode);
  if (*mode == StoreMode::Overwrite) {
    Kind::replaced(replaced).push_back(
        find_replaced(series_record, context, stored, sample.timestamp_ms));
  }
  ++Kind::written(result);
  return true;
}

bool AppendPlan::may_be_active(SeriesRecord& series_record, HeadContext& context) {
  if (series_record.has(kSeriesIsInHead)) return true;
  const std::uint64_t limit = options_.limits.active_series_max;
  if (limit > 0 && state_.head.active_count() >= limit) return false;
  state_.head.activate(series_record, context);
  return true;
}

void AppendPlan::check_exemplars() {
  for (const telemetry::Exemplar& given : batch_.exemplars) {
    const std::uint32_t series = series_.ids[given.series];
    // A series that was refused has said so already.
    if (series == BatchSeriesIds::kNone) {
      ++result.rejected_counts[static_cast<std::size_t>(RejectReason::InvalidExemplar)];
      continue;
    }
    StoredExemplar exemplar{
        .series = series, .timestamp_ms = given.timestamp_ms, .value = given.value, .labels = {}};
    std::size_t text_bytes = 0;
    for (const telemetry::LabelView& label : given.labels) {
      exemplar.labels.push_back(
          {.name = std::string(label.name), .value = std::string(label.value)});
      text_bytes += label.name.size() + label.value.size();
    }
    exemplar.labels = telemetry::make_labels(std::move(exemplar.labels));
    // OpenMetrics counts 128 characters; a character has at most four bytes.
    constexpr std::size_t kTextBytesMax = 512;
    const auto verdict = state_.exemplars.check(exemplar);
    if (verdict == ExemplarStorage::Verdict::Disabled) continue;
    if (verdict == ExemplarStorage::Verdict::OutOfOrder || text_bytes > kTextBytesMax ||
        time_problem(given.timestamp_ms) != TimeProblem::None) {
      rejections_.add_other(RejectReason::InvalidExemplar, given.series, [&] {
        return fmt::format("{} of series {} at {}",
                           text_bytes > kTextBytesMax ? "exemplar labels over 128 characters"
                           : verdict == ExemplarStorage::Verdict::OutOfOrder
                               ? "out of order exemplar"
                               : "out of bounds exemplar",
                           series_text(given.series), given.timestamp_ms);
      });
      continue;
    }
    ++result.exemplars_written;
    if (verdict == ExemplarStorage::Verdict::New) exemplars.push_back(std::move(exemplar));
  }
}

void AppendPlan::check_metadata() {
  for (const telemetry::MetricMetadata& entry : batch_.metadata) {
    const auto verdict = state_.metadata.check(entry, options_.limits);
    if (verdict == MetadataStorage::Verdict::TooManyFamilies ||
        verdict == MetadataStorage::Verdict::TooManyPerFamily) {
      const bool is_families = verdict == MetadataStorage::Verdict::TooManyFamilies;
      rejections_.add_other(
          RejectReason::MetadataLimit, std::numeric_limits<std::uint32_t>::max(), [&] {
            return fmt::format(
                "metadata of \"{}\" is over the limit of {} ({})", entry.family,
                is_families ? options_.limits.metadata_families_max
                            : options_.limits.metadata_per_family_max,
                is_families ? "limits.metadata_families_max" : "limits.metadata_per_family_max");
          });
      continue;
    }
    ++result.metadata_written;
    if (verdict == MetadataStorage::Verdict::New) metadata.push_back(entry);
  }
}

std::string AppendPlan::series_text(std::uint32_t batch_series) const {
  const std::uint32_t series = series_.ids[batch_series];
  if (series != BatchSeriesIds::kNone) return state_.registry.format(series);
  core::Arena arena;
  std::vector<telemetry::LabelView> labels;
  if (!batch_.resolver->resolve(batch_series, arena, labels)) return "(unreadable labels)";
  telemetry::Labels copy;
  for (const telemetry::LabelView& label : labels) {
    copy.push_back({.name = std::string(label.name), .value = std::string(label.value)});
  }
  return telemetry::format_series(telemetry::make_labels(std::move(copy)));
}

}  // namespace gantry::metrics
