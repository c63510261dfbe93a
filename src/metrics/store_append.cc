// The write path of the store: check, log, wait, store.

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/rfc3339.h"
#include "metrics/log/log_record.h"
#include "metrics/store_impl.h"
#include "storage/disk_guard.h"

namespace gantry::metrics {
namespace {

/// Locks only if asked to.
class MaybeLock {
 public:
  MaybeLock(core::Mutex& mutex, bool is_wanted) : mutex_(is_wanted ? &mutex : nullptr) { lock(); }

  ~MaybeLock() { unlock(); }

  MaybeLock(const MaybeLock&) = delete;
  MaybeLock& operator=(const MaybeLock&) = delete;

 private:
  // The analysis cannot follow a lock that is taken on a condition.
  void lock() GANTRY_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
    if (mutex_ != nullptr) mutex_->lock();
  }

  void unlock() GANTRY_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
    if (mutex_ != nullptr) mutex_->unlock();
  }

  core::Mutex* mutex_;
};

bool has_overwrites(const BatchRecord& record) {
  const auto is_overwrite = [](const auto& sample) { return sample.mode == StoreMode::Overwrite; };
  return std::ranges::any_of(record.floats, is_overwrite) ||
         std::ranges::any_of(record.histograms, is_overwrite);
}

/// Of all series the record mentions; neighbours with the same series once.
template <class Visit>
void for_each_series(const BatchRecord& record, const Visit& visit) {
  const auto walk = [&](const auto& samples) {
    std::uint32_t last = SeriesRegistry::kNone;
    for (const auto& sample : samples) {
      if (sample.series != last) visit(sample.series);
      last = sample.series;
    }
  };
  walk(record.floats);
  walk(record.histograms);
  walk(record.exemplars);
}

}  // namespace

Result<telemetry::AppendResult> StoreImpl::append(const telemetry::MetricBatch& batch,
                                                  const AppendOptions& append_options) {
  const std::int64_t started_ns = monotonic_ns();
  const std::shared_ptr<const StoreOptions> settings = options();
  const std::uint64_t sample_count = batch.samples.size() + batch.histograms.size();
  const std::uint64_t samples_max = settings->limits.samples_per_request_max;
  if (samples_max > 0 && sample_count > samples_max) {
    metrics_.append_failures.add();
    return fail(Code::ResourceExhausted, fmt::format("the request has {} samples, the limit is {} "
                                                     "(limits.samples_per_request_max)",
                                                     sample_count, samples_max));
  }
  if (environment_.disk_guard != nullptr) {
    if (auto room = environment_.disk_guard->check(); !room) {
      metrics_.append_failures.add();
      return std::unexpected(std::move(room).error());
    }
  }
  const storage::InsideGate inside(gate_);
  if (!inside.is_inside()) return fail(Code::Unavailable, "the metrics store is closing");

  const TimestampMs now = environment_.clock.now();
  const std::uint64_t day_bytes_max = settings->limits.bytes_per_day_max;
  const DayBytes::Answer day = day_bytes_.take(batch.body_bytes, day_bytes_max, now);
  if (!day.is_taken) {
    auto refused = refuse_for_today(batch, day.bytes_before, day_bytes_max, now);
    metrics_.refused_bytes.add(batch.body_bytes);
    count_result(refused, 0);
    return refused;
  }
  AppendPlan plan(*state_, *settings, now, batch, append_options.is_import);
  plan.make(budget_);
  if (!plan.record.is_empty() || !plan.exemplars.empty() || !plan.metadata.empty()) {
    // Appends that change a stored value go one by one, so that the head has the value that comes
    // last in the log. All others commute.
    const MaybeLock in_order(overwrite_mutex_, has_overwrites(plan.record));
    std::vector<storage::LogTicket> tickets;
    Result<void> logged = log_plan(plan, tickets);
    if (logged) logged = wait_for(tickets);
    if (!logged) {
      metrics_.append_failures.add();
      day_bytes_.give_back(batch.body_bytes, now);
      forget_newest(plan.record);
      return std::unexpected(std::move(logged).error());
    }
    store_plan(plan);
  }
  count_result(plan.result, plan.created_series);
  metrics_.append_seconds.observe(static_cast<double>(monotonic_ns() - started_ns) * 1e-9);
  return std::move(plan.result);
}

telemetry::AppendResult StoreImpl::refuse_for_today(const telemetry::MetricBatch& batch,
                                                    std::uint64_t taken_bytes,
                                                    std::uint64_t bytes_max,
                                                    TimestampMs now) const {
  using telemetry::RejectReason;
  telemetry::AppendResult result;
  const auto refuse = [&](const auto& samples, std::vector<std::uint32_t>& positions) {
    for (std::uint32_t i = 0; i < samples.size(); ++i) {
      if (!batch.series[samples[i].series].is_best_effort) positions.push_back(i);
    }
    result.samples_rejected += positions.size();
  };
  refuse(batch.samples, result.refused_samples);
  refuse(batch.histograms, result.refused_histograms);
  const std::uint64_t item_count = batch.samples.size() + batch.histograms.size() +
                                   batch.exemplars.size() + batch.metadata.size();
  result.rejected_counts[static_cast<std::size_t>(RejectReason::BytesPerDay)] = item_count;
  result.retry_after = until_next_day(now);
  result.rejections.push_back(
      {.reason = RejectReason::BytesPerDay,
       .message = fmt::format("the request has {} bytes, {} were taken since midnight UTC, the "
                              "limit for a day is {} (limits.bytes_per_day_max); it lifts at {}",
                              batch.body_bytes, taken_bytes, bytes_max,
                              core::format_rfc3339(now + result.retry_after)),
       .count = item_count});
  return result;
}

Result<void> StoreImpl::log_plan(AppendPlan& plan, std::vector<storage::LogTicket>& tickets) {
  std::vector<std::vector<telemetry::LabelView>> labels(plan.exemplars.size());
  for (std::size_t i = 0; i < plan.exemplars.size(); ++i) {
    const StoredExemplar& exemplar = plan.exemplars[i];
    for (const telemetry::Label& label : exemplar.labels) {
      labels[i].push_back({.name = label.name, .value = label.value});
    }
    plan.record.exemplars.push_back({.series = exemplar.series,
                                     .timestamp_ms = exemplar.timestamp_ms,
                                     .value = exemplar.value,
                                     .labels = labels[i]});
  }
  if (!plan.record.is_empty()) {
    GANTRY_TRY(const storage::LogTicket ticket, enqueue_batch(plan));
    tickets.push_back(ticket);
  }
  if (!plan.metadata.empty()) {
    std::vector<std::byte> payload;
    encode_metadata(plan.metadata, payload);
    auto ticket = log_->enqueue(kMetadataRecord, payload);
    if (!ticket) return std::unexpected(log_error(ticket.error()));
    tickets.push_back(*ticket);
  }
  return {};
}

void StoreImpl::define_series(AppendPlan& plan, std::uint32_t segment_mark) {
  plan.record.definitions.clear();
  std::vector<std::uint32_t> undefined;
  for_each_series(plan.record, [&](std::uint32_t series) {
    const auto mark = state_->registry.record(series).defined_in_segment();
    if (mark.load(std::memory_order_acquire) != segment_mark) undefined.push_back(series);
  });
  if (undefined.empty()) return;
  std::ranges::sort(undefined);
  const auto duplicates = std::ranges::unique(undefined);
  undefined.erase(duplicates.begin(), duplicates.end());
  std::vector<telemetry::LabelView>& labels = plan.definition_labels;
  std::vector<telemetry::LabelView> of_one;
  std::vector<std::size_t> ends;
  labels.clear();
  for (const std::uint32_t series : undefined) {
    state_->registry.labels_of(series, of_one);
    labels.insert(labels.end(), of_one.begin(), of_one.end());
    ends.push_back(labels.size());
  }
  std::size_t begin = 0;
  for (std::size_t i = 0; i < undefined.size(); ++i) {
    plan.record.definitions.push_back(
        {.series = undefined[i], .labels = std::span(labels).subspan(begin, ends[i] - begin)});
    begin = ends[i];
  }
}

Result<storage::LogTicket> StoreImpl::enqueue_batch(AppendPlan& plan) {
  std::vector<std::byte> payload;
  while (true) {
    const std::uint32_t segment = log_->next_segment();
    // Segments are numbered from 0 or 1; a mark of 0 is "never".
    const std::uint32_t mark = segment + 1;
    define_series(plan, mark);
    encode_batch(plan.record, payload);
    auto ticket = log_->enqueue(kBatchRecord, payload, segment);
    if (ticket) {
      // Only now: who sees the mark comes later in the log. If this record fails, everything after
      // it in the segment fails too, and later records define their series in another one.
      for (const SeriesDefinition& definition : plan.record.definitions) {
        state_->registry.record(definition.series)
            .defined_in_segment()
            .store(mark, std::memory_order_release);
      }
      return *ticket;
    }
    if (ticket.error().code != Code::FailedPrecondition) {
      return std::unexpected(log_error(ticket.error()));
    }
  }
}

Result<void> StoreImpl::wait_for(std::span<const storage::LogTicket> tickets) {
  for (const storage::LogTicket& ticket : tickets) {
    if (auto done = log_->wait(ticket); !done) {
      const bool is_disk_full = done.error().code == Code::ResourceExhausted;
      if (is_disk_full && environment_.disk_guard != nullptr) {
        environment_.disk_guard->note_disk_full();
      }
      return std::unexpected(is_disk_full ? Error{.code = Code::Unavailable,
                                                  .message = "disk full: " + done.error().message}
                                          : log_error(done.error()));
    }
  }
  return {};
}

Error StoreImpl::log_error(const Error& error) const {
  // The sender's data may be fine: it should come again, whatever failed here. A record that is too
  // large stays too large.
  const Code code = error.code == Code::TooLarge ? Code::ResourceExhausted : Code::Unavailable;
  return {.code = code, .message = "the write-ahead log refused the request: " + error.message};
}

/// The plan took its samples for the newest of their series, and they will not be stored.
void StoreImpl::forget_newest(const BatchRecord& record) {
  for_each_series(record, [&](std::uint32_t series) {
    state_->head.with_series(series, [](SeriesRecord& series_record, HeadContext&) {
      series_record.reset(kSeriesNewestIsKnown);
    });
  });
}

void StoreImpl::store_plan(AppendPlan& plan) {
  state_->head.apply(plan.record.floats, plan.replaced.floats);
  state_->head.apply(plan.record.histograms, plan.replaced.histograms);
  for (StoredExemplar& exemplar : plan.exemplars) state_->exemplars.add(std::move(exemplar));
  for (const telemetry::MetricMetadata& entry : plan.metadata) state_->metadata.add(entry);
}

void StoreImpl::count_result(const telemetry::AppendResult& result, std::size_t created_series) {
  metrics_.samples_appended.add(result.samples_written);
  if (result.histograms_written > 0) metrics_.histograms_appended.add(result.histograms_written);
  if (result.exemplars_written > 0) metrics_.exemplars_appended.add(result.exemplars_written);
  if (created_series > 0) metrics_.series_created.add(created_series);
  for (std::size_t i = 0; i < metrics_.rejected.size(); ++i) {
    if (result.rejected_counts[i] > 0) metrics_.rejected[i]->add(result.rejected_counts[i]);
  }
}

}  // namespace gantry::metrics
