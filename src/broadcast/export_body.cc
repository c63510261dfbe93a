#include "broadcast/export_body.h"

#include <utility>

#include "codec/influx_encoder.h"
#include "codec/otlp_traces.h"
#include "codec/otlp_traces_json_encoder.h"
#include "codec/remote_write.h"
#include "codec/remote_write_starts.h"

namespace gantry::broadcast {
namespace {

/// In protobuf, messages one after the other are the message of all that they hold.
std::string joined(std::span<const QueuedItem> items) {
  std::size_t bytes = 0;
  for (const QueuedItem& item : items) bytes += item.payload.size();
  std::string text;
  text.reserve(bytes);
  for (const QueuedItem& item : items) text += item.payload;
  return text;
}

Result<ExportBody> otlp_traces(Encoding encoding, std::string messages) {
  if (encoding == Encoding::Protobuf) return ExportBody{.text = std::move(messages)};
  codec::OtlpTracesDecoder decoder;
  GANTRY_CHECK(decoder.decode_protobuf(messages, codec::kNoOtlpTracesLimits));
  ExportBody body;
  codec::append_otlp_traces_json(decoder.batch(), body.text);
  return body;
}

Result<ExportBody> influx_lines(std::string_view messages) {
  codec::RemoteWriteDecoder decoder;
  GANTRY_CHECK(decode_metric_items(messages, decoder));
  ExportBody body;
  body.left_out = codec::append_influx_lines(decoder.batch(), body.text).total();
  return body;
}

}  // namespace

codec::OtlpNames otlp_names(DestinationType type) {
  // What is asked of the one must be found under the same name at the other.
  return type == DestinationType::Gantry ? codec::OtlpNames::Stable : codec::OtlpNames::AsTyped;
}

Result<ExportBody> ExportBodies::otlp_metrics(Encoding encoding, std::string_view messages) {
  codec::RemoteWriteDecoder decoder;
  GANTRY_CHECK(decode_metric_items(messages, decoder));
  ExportBody body;
  const core::Lock lock(mutex_);
  const codec::OtlpOmissions omitted =
      encoding == Encoding::Json ? otlp_metrics_.append_json(decoder.batch(), body.text)
                                 : otlp_metrics_.append_protobuf(decoder.batch(), body.text);
  body.left_out = omitted.total();
  return body;
}

Result<ExportBody> ExportBodies::make(const Destination& destination,
                                      std::span<const QueuedItem> items) {
  std::string messages = joined(items);
  switch (destination.type) {
    case DestinationType::Grafana:
    case DestinationType::OtelCollector:
    case DestinationType::Webhook:
    case DestinationType::Gantry:
      return signal_of(destination) == Signal::Spans
                 ? otlp_traces(destination.config.encoding, std::move(messages))
                 : otlp_metrics(destination.config.encoding, messages);
    case DestinationType::PrometheusRemoteWrite: {
      GANTRY_TRY(std::string text, destination.config.remote_write_version == 1
                                       ? codec::without_start_timestamps(messages)
                                       : remote_write_2_.translate(messages));
      return ExportBody{.text = std::move(text)};
    }
    case DestinationType::Influx:
      return influx_lines(messages);
  }
  return fail(Code::InvalidArgument, "a destination of no known type");
}

}  // namespace gantry::broadcast
