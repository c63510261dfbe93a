#pragma once

// What the metrics store writes to its log. Format: docs/formats.md, "Metrics log records".

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "metrics/head/head_series.h"
#include "promql/matcher.h"
#include "telemetry/labels.h"
#include "telemetry/metric_batch.h"

namespace gantry::metrics {

inline constexpr std::uint8_t kBatchRecord = 1;
inline constexpr std::uint8_t kMetadataRecord = 2;
inline constexpr std::uint8_t kDeleteRecord = 3;

/// A sample that has passed all checks. Series ids are those of the process that wrote the log; a
/// segment defines each one before it is used.
struct PlannedFloat {
  std::uint32_t series = 0;
  StoreMode mode = StoreMode::Insert;
  FloatPoint point;
};

struct PlannedHistogram {
  std::uint32_t series = 0;
  StoreMode mode = StoreMode::Insert;
  std::int64_t timestamp_ms = 0;
  std::int64_t start_timestamp_ms = 0;
  const telemetry::NativeHistogram* histogram = nullptr;
};

struct PlannedExemplar {
  std::uint32_t series = 0;
  std::int64_t timestamp_ms = 0;
  double value = 0;
  std::span<const telemetry::LabelView> labels;
};

/// Labels of a series by their ids and texts.
struct SeriesDefinition {
  std::uint32_t series = 0;
  std::span<const telemetry::LabelView> labels;
};

struct BatchRecord {
  std::vector<SeriesDefinition> definitions;
  std::vector<PlannedFloat> floats;
  std::vector<PlannedHistogram> histograms;
  std::vector<PlannedExemplar> exemplars;

  void clear();

  [[nodiscard]] bool is_empty() const {
    return floats.empty() && histograms.empty() && exemplars.empty();
  }
};

/// Replaces `out`.
void encode_batch(const BatchRecord& record, std::vector<std::byte>& out);

/// A decoded batch: `record` refers to the record's bytes and to the other members.
struct DecodedBatch {
  BatchRecord record;
  std::vector<std::string_view> strings;
  std::vector<telemetry::LabelView> labels;
  std::vector<telemetry::NativeHistogram> histograms;
};

/// Replaces `out`, which refers to `payload` afterwards. Errors: DataLoss.
Result<void> decode_batch(std::span<const std::byte> payload, DecodedBatch& out);

void encode_metadata(std::span<const telemetry::MetricMetadata> entries,
                     std::vector<std::byte>& out);
/// Views into `payload`.
Result<std::vector<telemetry::MetricMetadata>> decode_metadata(std::span<const std::byte> payload);

struct DeleteRecord {
  std::vector<promql::Matcher> matchers;
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
};

void encode_delete(std::span<const promql::Matcher> matchers, std::int64_t start_ms,
                   std::int64_t end_ms, std::vector<std::byte>& out);
Result<DeleteRecord> decode_delete(std::span<const std::byte> payload);

}  // namespace gantry::metrics
