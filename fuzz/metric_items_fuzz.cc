// Payloads of queued metrics, which are read again after a crash, as each kind of destination gets
// them: the first byte chooses. What comes out must be readable by our own receivers.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "broadcast/export_body.h"
#include "codec/compression.h"
#include "codec/otlp_metrics.h"
#include "codec/remote_write.h"
#include "core/error.h"

namespace {

using namespace gantry;
using broadcast::DestinationType;
using broadcast::Encoding;

broadcast::Destination destination_of(std::uint8_t choice) {
  static constexpr std::array kTypes = {DestinationType::PrometheusRemoteWrite,
                                        DestinationType::Influx, DestinationType::Gantry,
                                        DestinationType::OtelCollector};
  broadcast::Destination destination{.type = kTypes.at(choice % kTypes.size())};
  destination.config.signals = {.traces = false, .metrics = true};
  destination.config.encoding = (choice & 4U) != 0 ? Encoding::Json : Encoding::Protobuf;
  destination.config.remote_write_version = (choice & 8U) != 0 ? 2 : 1;
  return destination;
}

void check(const broadcast::Destination& destination, const std::string& payload,
           std::string text) {
  if (text.empty() || destination.type == DestinationType::Influx) return;
  if (destination.type == DestinationType::PrometheusRemoteWrite) {
    codec::RemoteWriteDecoder decoder;
    const bool is_v2 = destination.config.remote_write_version == 2;
    // The first version is what the queue holds, but for start timestamps: the rest is sent as it
    // is.
    if (!is_v2 && !decoder.decode(codec::RemoteWriteVersion::V1, payload)) return;
    GANTRY_ASSERT(
        decoder.decode(is_v2 ? codec::RemoteWriteVersion::V2 : codec::RemoteWriteVersion::V1, text),
        "a request is readable");
    return;
  }
  codec::OtlpMetricsDecoder decoder;
  const codec::OtlpOptions options;
  if (destination.config.encoding == Encoding::Protobuf) {
    GANTRY_ASSERT(decoder.decode_protobuf(text, options), "a request is readable");
    return;
  }
  text.reserve(text.size() + codec::kBodyPaddingBytes);
  GANTRY_ASSERT(decoder.decode_json(text, options), "a request is readable");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const broadcast::Destination destination = destination_of(data[0]);
  const std::string payload(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::vector<broadcast::QueuedItem> items = {
      {.signal = broadcast::Signal::Metrics, .payload = payload}};
  broadcast::ExportBodies bodies(destination.type);
  // Twice: the second time with what it has remembered of the first.
  for (int i = 0; i < 2; ++i)
    if (auto body = bodies.make(destination, items))
      check(destination, payload, std::move(body->text));
  return 0;
}
