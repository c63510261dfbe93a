// Any text as rules of stream aggregation. What is refused is refused by name; what is accepted
// takes samples, and its windows end.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "core/metrics.h"
#include "pipeline/stream_aggregation.h"

namespace {

using namespace gantry;

class TwoSeries final : public telemetry::SeriesResolver {
 public:
  TwoSeries() {
    batch.resolver = this;
    batch.series = {{.key = {.high = 1, .low = 1}}, {.key = {.high = 1, .low = 2}}};
    for (std::uint32_t i = 0; i < 4; ++i)
      batch.samples.push_back(
          {.series = i % 2, .timestamp_ms = 1000 + i, .value = static_cast<double>(i)});
  }

  Result<void> resolve(std::uint32_t series, core::Arena&,
                       std::vector<telemetry::LabelView>& labels) const override {
    labels.push_back({.name = "__name__", .value = "up"});
    labels.push_back({.name = "job", .value = series == 0 ? "a" : "b"});
    return {};
  }

  telemetry::MetricBatch batch;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  core::MetricRegistry registry;
  const auto aggregation =
      pipeline::StreamAggregation::parse({reinterpret_cast<const char*>(data), size},
                                         {.registry = registry, .started_at = TimestampMs{0}});
  if (!aggregation) {
    GANTRY_ASSERT(aggregation.error().code == Code::InvalidArgument &&
                      aggregation.error().message.starts_with("stream_aggregation"),
                  "a refusal names its place");
    return 0;
  }
  const TwoSeries request;
  const pipeline::PartialBatch rest = (*aggregation)->observe(request.batch, TimestampMs{1000});
  GANTRY_ASSERT(rest.batch().samples.size() + rest.dropped_count() == 4, "none is lost");
  const auto finished = (*aggregation)->flush(TimestampMs{2000});
  GANTRY_ASSERT(!(*aggregation)->empty() || finished == nullptr, "no rules say nothing");
  if (finished == nullptr) return 0;
  for (const telemetry::FloatSample& sample : finished->batch().samples)
    GANTRY_ASSERT(sample.series < finished->batch().series.size(), "samples have a series");
  return 0;
}
