// OTLP traces in protobuf: the first byte chooses limits. What is decoded is encoded and decoded
// again.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "codec/otlp_traces.h"
#include "codec/otlp_traces_encoder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const codec::OtlpTracesOptions options{.attributes_per_span_max = data[0] & 3U,
                                         .events_per_span_max = (data[0] >> 2U) & 3U,
                                         .links_per_span_max = (data[0] >> 4U) & 3U,
                                         .attribute_value_bytes_max = (data[0] >> 6U) * 4U};
  static codec::OtlpTracesDecoder decoder;
  static codec::OtlpTracesDecoder again;
  if (!decoder.decode_protobuf(body, options)) return 0;
  const auto& outcome = decoder.outcome();
  GANTRY_ASSERT(outcome.rejected_spans + decoder.batch().spans.size() == outcome.spans,
                "each span of the request is kept or refused");
  const std::string encoded = codec::encode_otlp_traces(decoder.batch());
  const auto decoded = again.decode_protobuf(encoded, codec::kNoOtlpTracesLimits);
  GANTRY_ASSERT(decoded && again.outcome().message().empty() && again.batch().otlp == encoded &&
                    again.batch().spans.size() == decoder.batch().spans.size(),
                "what was kept needs no change");
  return 0;
}
