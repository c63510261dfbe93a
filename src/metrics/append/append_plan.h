#pragma once

// Checks one request against the store: what is good goes into a log record, the rest is refused
// with reasons. Nothing is changed but series that are new and marks of activity.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "metrics/append/rejections.h"
#include "metrics/append/sample_runs.h"
#include "metrics/append/series_lookup.h"
#include "metrics/log/log_record.h"
#include "metrics/store_state.h"

namespace gantry::metrics {

/// One request; one thread, inside the append gate from before `make` until its record is stored.
/// Refers to the batch.
class AppendPlan {
 public:
  AppendPlan(StoreState& state, const StoreOptions& options, TimestampMs now,
             const telemetry::MetricBatch& batch, bool is_import);

  /// Fills `record` and `metadata`, and `result` with what would be written if the log takes them.
  /// Hot: per sample.
  void make(SeriesBudget& budget);

  BatchRecord record;  ///< Without definitions: the log's segment decides about them.
  std::vector<telemetry::LabelView> definition_labels;  ///< What record.definitions refers to.
  ReplacedSamples replaced;                             ///< By the samples of mode Overwrite.
  std::vector<telemetry::MetricMetadata> metadata;
  std::vector<StoredExemplar> exemplars;  ///< What record.exemplars refers to.
  telemetry::AppendResult result;
  std::size_t created_series = 0;

 private:
  /// The stored samples of one series around the times of a run, from parts.
  struct PartSamples {
    promql::SampleColumns columns;
    std::int64_t newest_ms = kNoTime;  ///< Of the series, if it was asked for.
  };

  enum class TimeProblem : std::uint8_t { None, TooOld, TooFarInFuture };

  [[nodiscard]] TimeProblem time_problem(std::int64_t time_ms) const;
  void find_wanted();
  void refuse_series();

  template <class Kind>
  void check_samples();
  template <class Kind>
  void check_shard(const SampleRuns& runs, std::span<const std::uint32_t> run_indexes);
  template <class Kind>
  void check_deferred(const SampleRuns& runs, const SampleRun& run);
  template <class Kind>
  [[nodiscard]] bool needs_parts(const SampleRuns& runs, const SampleRun& run,
                                 SeriesRecord& record) const;
  template <class Kind>
  void check_run(const SampleRuns& runs, const SampleRun& run, SeriesRecord& record,
                 HeadContext& context, const PartSamples* stored);
  template <class Kind, class Message>
  bool refuse(const typename Kind::Sample& sample, std::uint32_t index,
              telemetry::RejectReason reason, const Message& message);
  template <class Kind>
  bool is_acceptable(const typename Kind::Sample& sample, std::uint32_t index);
  template <class Kind>
  bool is_in_time(const typename Kind::Sample& sample, std::uint32_t index, std::int64_t newest_ms);
  template <class Kind>
  std::optional<StoreMode> mode_of_late(const typename Kind::Sample& sample, std::uint32_t index,
                                        SeriesRecord& series_record, HeadContext& context,
                                        const PartSamples* stored);
  [[nodiscard]] static LateChange find_replaced(const SeriesRecord& series_record,
                                                HeadContext& context, const PartSamples* stored,
                                                std::int64_t timestamp_ms);
  template <class Kind>
  bool check_sample(const typename Kind::Sample& sample, std::uint32_t index, SeriesRecord& record,
                    HeadContext& context, const PartSamples* stored);
  template <class Kind>
  bool resolve_same_time(const typename Kind::Sample& sample, std::uint32_t index,
                         std::uint32_t previous, bool is_previous_planned);

  [[nodiscard]] bool may_be_active(SeriesRecord& record, HeadContext& context);
  void check_exemplars();
  void check_metadata();

  [[nodiscard]] std::string series_text(std::uint32_t batch_series) const;

  [[nodiscard]] std::uint32_t alias(std::uint32_t batch_series) const {
    return series_.aliases.empty() ? batch_series : series_.aliases[batch_series];
  }

  StoreState& state_;
  const StoreOptions& options_;
  const TimestampMs now_;
  const telemetry::MetricBatch& batch_;
  const bool is_import_;
  std::int64_t time_ms_min_;
  std::int64_t time_ms_max_;
  std::shared_ptr<const PartView> view_;
  BatchSeriesIds series_;
  std::vector<char> is_wanted_;
  std::vector<char> is_refused_;
  std::vector<std::uint32_t> deferred_;
  Rejections rejections_;
};

}  // namespace gantry::metrics
