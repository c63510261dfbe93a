#pragma once

// Remote write requests to bytes: for senders, tests and the load generator.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "codec/remote_write.h"
#include "telemetry/labels.h"
#include "telemetry/metric_batch.h"
#include "telemetry/native_histogram.h"

namespace gantry::codec {

struct WriteSample {
  std::int64_t timestamp_ms = 0;
  double value = 0;
  std::int64_t start_timestamp_ms = 0;  ///< 0: unknown. 2.0, or see WriteOptions.
};

struct WriteHistogram {
  std::int64_t timestamp_ms = 0;
  std::int64_t start_timestamp_ms = 0;  ///< As above.
  telemetry::NativeHistogram histogram;
};

struct WriteExemplar {
  std::int64_t timestamp_ms = 0;
  double value = 0;
  telemetry::Labels labels;
};

struct WriteMetadata {
  std::string family;
  telemetry::MetricType type = telemetry::MetricType::Unknown;
  std::string help;
  std::string unit;
};

struct WriteSeries {
  telemetry::Labels labels;  ///< Sorted by name, as the specification demands of senders.
  std::vector<WriteSample> samples;
  std::vector<WriteHistogram> histograms;
  std::vector<WriteExemplar> exemplars;
  WriteMetadata metadata;  ///< 2.0 only; `family` is not sent (the series' name says it).
};

struct WriteRequest {
  std::vector<WriteSeries> series;
  std::vector<WriteMetadata> metadata;  ///< 1.0 only.
};

struct WriteOptions {
  /// 1.0: as well, under the field numbers of 2.0, which receivers pass over. For messages that are
  /// read again here (RemoteWriteOptions) or sent without them (remote_write_starts.h).
  bool has_start_timestamps = false;
};

/// Replaces `out` by the protobuf message (not compressed).
void encode_remote_write(RemoteWriteVersion version, const WriteRequest& request, std::string& out,
                         WriteOptions options = {});

}  // namespace gantry::codec
