#pragma once

// Influx line protocol to a MetricBatch, as Grafana Cloud maps it (or VictoriaMetrics, as an
// option).
//
//   codec::InfluxDecoder decoder;  // reuse one per worker
//   GANTRY_TRY(options.precision, codec::parse_influx_precision("ms", codec::PrecisionWords::All));
//   GANTRY_CHECK(decoder.decode(body, options));
//   store.append(decoder.batch(), {});

#include <cstdint>
#include <memory>
#include <string_view>

#include "codec/rejections.h"
#include "core/error.h"
#include "telemetry/metric_batch.h"

namespace gantry::codec {

/// What one unit of a line's timestamp is.
enum class InfluxPrecision : std::uint8_t {
  Nanoseconds,
  Microseconds,
  Milliseconds,
  Seconds,
  Minutes,
  Hours,
  ByMagnitude,  ///< VictoriaMetrics without a precision: >= 1e17 ns, 1e14 us, 1e11 ms, else s.
};

enum class PrecisionWords : std::uint8_t {
  All,           ///< n ns u us µ µs ms s m h
  GrafanaCloud,  ///< ns us ms s
};

/// From the query parameter; "" is nanoseconds. Errors: InvalidArgument `precision supplied is not
/// valid: <word>`.
[[nodiscard]] Result<InfluxPrecision> parse_influx_precision(std::string_view word,
                                                             PrecisionWords accepted);

enum class InfluxMapping : std::uint8_t {
  GrafanaCloud,     ///< <measurement>_<field>, or <measurement> for the field `value`; sanitised.
  VictoriaMetrics,  ///< <measurement>_<field> always, names kept, strings read as numbers.
};

/// Views must outlive the batch's use.
struct InfluxOptions {
  InfluxPrecision precision = InfluxPrecision::Nanoseconds;
  InfluxMapping mapping = InfluxMapping::GrafanaCloud;
  std::int64_t now_ns = 0;  ///< Timestamp of lines without one, truncated to the precision.
  /// With the value `database`, on every series that has no such tag; none when either is empty.
  std::string_view database_label = {};
  std::string_view database = {};
  /// With the value `influx`, on every series in place of a tag of that name; none when empty.
  std::string_view source_label = {};
  /// Keep the good lines of a request with bad ones; these are then in `rejections`.
  bool keeps_good_lines = false;
};

/// Decodes one request at a time and owns what the batch's views need besides the body.
/// Not thread-safe; `batch().resolver` is used by one thread at a time.
class InfluxDecoder {
 public:
  InfluxDecoder();
  ~InfluxDecoder();
  InfluxDecoder(const InfluxDecoder&) = delete;
  InfluxDecoder& operator=(const InfluxDecoder&) = delete;
  InfluxDecoder(InfluxDecoder&&) noexcept;
  InfluxDecoder& operator=(InfluxDecoder&&) noexcept;

  /// Replaces the batch by that of `body`, which must stay where it is while the batch is in use.
  /// Errors: InvalidArgument with the number of the first bad line, what is wrong with it, and at
  /// most 64 characters of it; the batch is then empty. Two tags that become the same label fail
  /// when the series' labels are resolved. Samples have DuplicatePolicy::LastWins.
  [[nodiscard]] Result<void> decode(std::string_view body, const InfluxOptions& options);

  [[nodiscard]] const telemetry::MetricBatch& batch() const;

  /// Lines left out; only with `keeps_good_lines`.
  [[nodiscard]] const RejectionList& rejections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::codec
