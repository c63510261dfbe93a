#pragma once

// Metrics as text: Prometheus 0.0.4 and OpenMetrics 1.0, for /metrics and /federate.
//
//   const auto choice = codec::negotiate_exposition(request.headers.find("Accept"));
//   codec::write_exposition(choice, registry.collect(), response.body);
//   response.headers.set("Content-Type", codec::exposition_content_type(choice));

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/metrics.h"
#include "telemetry/labels.h"
#include "telemetry/native_histogram.h"

namespace gantry::codec {

enum class ExpositionFormat : std::uint8_t { Text, OpenMetrics };

/// What becomes of names that are not legacy-valid.
enum class NameEscaping : std::uint8_t {
  Underscores,  ///< Each character that may not be there becomes one underscore.
  AllowUtf8,    ///< Quoted: {"a.b", "l.x"="v"} 1
};

struct ExpositionChoice {
  ExpositionFormat format = ExpositionFormat::Text;
  NameEscaping escaping = NameEscaping::Underscores;
};

/// The acceptable form with the greatest weight; text 0.0.4 when nothing in the header fits.
[[nodiscard]] ExpositionChoice negotiate_exposition(std::string_view accept);

[[nodiscard]] std::string exposition_content_type(ExpositionChoice choice);

/// Appends the families in the order given; OpenMetrics ends with its EOF line.
void write_exposition(ExpositionChoice choice, std::span<const core::CollectedFamily> families,
                      std::string& out);

/// The answer of /federate in text 0.0.4: series sorted by metric name, each family with type
/// `untyped`, each sample with its timestamp.
class FederateWriter {
 public:
  /// `external_labels` are added where a series has no such label; `instance` is always among them
  /// (with no value, unless given).
  FederateWriter(NameEscaping escaping, telemetry::Labels external_labels);

  /// Series without a metric name are left out. Labels are copied.
  void add(std::span<const telemetry::Label> labels, double value, std::int64_t timestamp_ms);

  /// Histograms with custom buckets go out as classic ones; text has no form for the others, which
  /// are left out.
  void add(std::span<const telemetry::Label> labels, const telemetry::FloatHistogram& histogram,
           std::int64_t timestamp_ms);

  /// Appends everything added; within a name in the order of `add`.
  void finish(std::string& out);

 private:
  struct Entry {
    std::string name;
    bool is_histogram = false;
    std::string lines;
  };

  [[nodiscard]] telemetry::Labels complete(std::span<const telemetry::Label> labels) const;

  NameEscaping escaping_;
  telemetry::Labels external_labels_;
  std::vector<Entry> entries_;
};

}  // namespace gantry::codec
