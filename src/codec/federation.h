#pragma once

// The answer of /federate: the newest samples of selected series, as text 0.0.4 or as delimited
// protobuf (io.prometheus.client.MetricFamily), after Prometheus web/federate.go.
//
//   codec::FederationWriter writer(codec::negotiate_federation(request.headers.find("Accept")));
//   writer.add(labels, value, timestamp_ms);
//   response.headers.set("Content-Type", codec::federation_content_type(writer.choice()));
//   writer.finish(response.body);

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/exposition.h"
#include "telemetry/labels.h"
#include "telemetry/native_histogram.h"

namespace gantry::codec {

namespace wire::client {
enum class MetricType : std::int32_t;
}  // namespace wire::client

enum class FederationFormat : std::uint8_t { Text, Protobuf };

struct FederationChoice {
  FederationFormat format = FederationFormat::Text;
  NameEscaping escaping = NameEscaping::Underscores;
};

/// As negotiate_exposition, between text and protobuf. OpenMetrics is not among them: it does not
/// know the type `untyped`.
[[nodiscard]] FederationChoice negotiate_federation(std::string_view accept);

[[nodiscard]] std::string federation_content_type(FederationChoice choice);

/// Collects series and writes them family by family, sorted by name as it is written; floats have
/// the type `untyped`, and every sample its timestamp. A name with floats and histograms, or with
/// histograms of counter and gauge kind, makes a family of each.
class FederationWriter {
 public:
  explicit FederationWriter(FederationChoice choice) : choice_(choice) {}

  [[nodiscard]] FederationChoice choice() const { return choice_; }

  /// Series without a metric name are left out. `instance` is added with no value where it is
  /// absent, so that the reader does not add its own. Of two labels that escaping makes equal the
  /// first stays.
  void add(std::span<const telemetry::Label> labels, double value, std::int64_t timestamp_ms);

  /// Histograms with custom buckets go out as classic ones. The others have a form in protobuf
  /// only; as text they are left out.
  void add(std::span<const telemetry::Label> labels, const telemetry::FloatHistogram& histogram,
           std::int64_t timestamp_ms);

  /// Of everything added; the answer has about as many.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  /// Appends everything added, within a family in the order of `add`, and begins anew.
  void finish(std::string& out);

 private:
  struct Entry {
    std::string name;  ///< Escaped.
    wire::client::MetricType type{};
    std::string encoded;  ///< Lines, or the family's fields `metric`.
  };

  /// Null for a series without a name.
  Entry* add_entry(std::span<const telemetry::Label> labels, wire::client::MetricType type);
  void append_family(std::string& out, std::string_view name, wire::client::MetricType type,
                     std::string_view metrics) const;
  [[nodiscard]] telemetry::Labels escape(std::span<const telemetry::Label> labels) const;

  FederationChoice choice_;
  std::vector<Entry> entries_;
  std::uint64_t bytes_ = 0;
};

}  // namespace gantry::codec
