// OTLP metrics in protobuf: the first byte chooses options. Every series is resolved.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "codec/delta_to_cumulative.h"
#include "codec/otlp_metrics.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  static codec::DeltaToCumulative state({.streams_max = 1000});
  codec::OtlpOptions options{.now_ms = 1'700'000'000'000};
  options.delta_state = &state;
  options.strategy = static_cast<codec::TranslationStrategy>(data[0] & 3U);
  options.delta = static_cast<codec::DeltaPolicy>((data[0] >> 2U) % 3);
  options.promotes_scope = (data[0] & 16U) != 0;
  options.promotion.all = (data[0] & 32U) != 0;
  if ((data[0] & 64U) != 0) options.explicit_histograms = codec::ExplicitHistograms::CustomBuckets;
  static codec::OtlpMetricsDecoder decoder;
  if (!decoder.decode_protobuf(body, options)) return 0;
  core::Arena arena;
  std::vector<telemetry::LabelView> labels;
  for (std::uint32_t i = 0; i < decoder.batch().series.size(); ++i) {
    labels.clear();
    static_cast<void>(decoder.batch().resolver->resolve(i, arena, labels));
  }
  const codec::OtlpOutcome& outcome = decoder.outcome();
  GANTRY_ASSERT(outcome.rejected_data_points <= outcome.data_points,
                "only points of the request are rejected");
  return 0;
}
