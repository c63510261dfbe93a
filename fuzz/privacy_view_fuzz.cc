// Any traces request in protobuf: its privacy view has the same spans and no attribute that the
// list of content names, can be encoded and read again, and has nothing left to remove.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "codec/otlp_traces.h"
#include "codec/otlp_traces_encoder.h"
#include "core/error.h"
#include "pipeline/content_keys.h"
#include "pipeline/privacy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  static codec::OtlpTracesDecoder decoder;
  static codec::OtlpTracesDecoder again;
  if (!decoder.decode_protobuf(body, codec::kNoOtlpTracesLimits)) return 0;
  static telemetry::SpanBatch view;
  pipeline::make_privacy_view(decoder.batch(), view);
  GANTRY_ASSERT(view.spans.size() == decoder.batch().spans.size(), "spans are never removed");
  for (const telemetry::SpanAttribute& attribute : view.attributes)
    GANTRY_ASSERT(!pipeline::is_content_key(attribute.key), "content is removed");
  for (const telemetry::BatchEvent& event : view.events)
    GANTRY_ASSERT(!pipeline::is_content_event(event.name), "content events are removed");

  const std::string encoded = codec::encode_otlp_traces(view);
  GANTRY_ASSERT(again.decode_protobuf(encoded, codec::kNoOtlpTracesLimits) &&
                    again.outcome().message().empty(),
                "a view is a whole request");
  static telemetry::SpanBatch second;
  pipeline::make_privacy_view(again.batch(), second);
  GANTRY_ASSERT(codec::encode_otlp_traces(second) == encoded, "a view has nothing to remove");
  return 0;
}
