// Answers of OTLP servers, and the details of gRPC's errors: the first byte chooses the encoding.
// What is read is written and read again.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "codec/otlp_answer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  if (size == 0) return 0;
  const auto encoding =
      (data[0] & 1U) == 0 ? codec::OtlpEncoding::Json : codec::OtlpEncoding::Protobuf;
  const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
  static_cast<void>(codec::decode_status_message(encoding, body));
  if (const auto delay = codec::decode_retry_delay(body)) {
    const auto kept = codec::decode_retry_delay(codec::encode_rpc_status(
        codec::OtlpEncoding::Protobuf, {.code = Code::Unavailable, .message = ""}, delay->count));
    GANTRY_ASSERT(kept && kept->count == delay->count, "delays survive");
  }
  const auto decoded = codec::decode_otlp_response(encoding, codec::OtlpSignal::Traces, body);
  if (!decoded) return 0;
  const auto again = codec::decode_otlp_response(
      codec::OtlpEncoding::Protobuf, codec::OtlpSignal::Traces,
      codec::encode_otlp_response(codec::OtlpEncoding::Protobuf, codec::OtlpSignal::Traces,
                                  decoded->rejected, ""));
  GANTRY_ASSERT(again && again->rejected == decoded->rejected, "counts survive");
  return 0;
}
