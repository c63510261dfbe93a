#include "broadcast/destination_config.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "broadcast/config_fields_internal.h"

namespace gantry::broadcast {
namespace {

namespace dom = simdjson::dom;

constexpr std::string_view kShortMask = "****";
constexpr std::string_view kMaskDots = "...";
constexpr std::size_t kMaskedBytesMin = 12;
constexpr std::size_t kMaskTailBytes = 4;
constexpr std::size_t kMaskPrefixBytes = 4;  // where no '_' ends it
constexpr std::size_t kMaskUnderscoreBytesMax = 6;

constexpr std::string_view kGrafanaUrl = "https://otlp-gateway-prod-us-west-0.grafana.net";

constexpr std::array kGrafana = {
    ConfigField{"baseUrl", FieldKind::Url, true},
    ConfigField{"instanceId", FieldKind::InstanceId, true},
    ConfigField{"apiKey", FieldKind::Secret, true},
    ConfigField{"signals", FieldKind::Signals},
    ConfigField{"encoding", FieldKind::Encoding},
    ConfigField{"compression", FieldKind::Compression},
    ConfigField{"headers", FieldKind::Headers},
};
constexpr std::array kOtelCollector = {
    ConfigField{"endpoint", FieldKind::Url, true},
    ConfigField{"metricsEndpoint", FieldKind::MetricsUrl},
    ConfigField{"signals", FieldKind::Signals},
    ConfigField{"protocol", FieldKind::Protocol},
    ConfigField{"encoding", FieldKind::Encoding},
    ConfigField{"compression", FieldKind::Compression},
    ConfigField{"headers", FieldKind::Headers},
};
constexpr std::array kWebhook = {
    ConfigField{"url", FieldKind::Url, true},
    ConfigField{"method", FieldKind::Method},
    ConfigField{"encoding", FieldKind::Encoding},
    ConfigField{"compression", FieldKind::Compression},
    ConfigField{"headers", FieldKind::Headers},
};
constexpr std::array kGantry = {
    ConfigField{"baseUrl", FieldKind::Url, true},
    ConfigField{"instanceId", FieldKind::InstanceId, true},
    ConfigField{"token", FieldKind::Secret, true},
    ConfigField{"signals", FieldKind::Signals},
    ConfigField{"encoding", FieldKind::Encoding},
    ConfigField{"compression", FieldKind::Compression},
    ConfigField{"headers", FieldKind::Headers},
};
constexpr std::array kPrometheusRemoteWrite = {
    ConfigField{"url", FieldKind::Url, true},   ConfigField{"username", FieldKind::Username},
    ConfigField{"token", FieldKind::Secret},    ConfigField{"version", FieldKind::Version},
    ConfigField{"headers", FieldKind::Headers},
};
constexpr std::array kInflux = {
    ConfigField{"url", FieldKind::Url, true},   ConfigField{"username", FieldKind::Username},
    ConfigField{"token", FieldKind::Secret},    ConfigField{"compression", FieldKind::Compression},
    ConfigField{"headers", FieldKind::Headers},
};

void write_field(core::JsonWriter& json, const ConfigField& field, const DestinationConfig& config,
                 const SecretMasks& masks) {
  const auto write_text = [&](std::string_view text) {
    if (!text.empty()) json.key(field.name).string(text);
  };
  switch (field.kind) {
    case FieldKind::Url:
      return write_text(config.url);
    case FieldKind::MetricsUrl:
      return write_text(config.metrics_url);
    case FieldKind::InstanceId:
    case FieldKind::Username:
      return write_text(config.instance_id);
    case FieldKind::Secret:
      return write_text(masks.secret);
    case FieldKind::Method:
      return write_text(config.method);
    case FieldKind::Protocol:
      return write_text(protocol_name(config.protocol));
    case FieldKind::Signals:
      json.key(field.name).begin_array();
      for (const Signal signal : kSignals)
        if (config.signals.has(signal)) json.string(signal_name(signal));
      json.end_array();
      return;
    case FieldKind::Encoding:
      return write_text(encoding_name(config.encoding));
    case FieldKind::Compression:
      return write_text(compression_name(config.compression));
    case FieldKind::Version:
      json.key(field.name).integer(config.remote_write_version);
      return;
    case FieldKind::Headers:
      break;
  }
  if (masks.headers.empty()) return;
  json.key(field.name).begin_object();
  for (const auto& [name, mask] : masks.headers) json.key(name).string(mask);
  json.end_object();
}

using Texts = std::map<std::string, std::string, std::less<>>;

std::optional<Texts> read_texts(dom::element element) {
  dom::object object;
  if (element.get(object) != simdjson::SUCCESS) return std::nullopt;
  Texts texts;
  for (const dom::key_value_pair& member : object) {
    std::string_view text;
    if (member.value.get(text) != simdjson::SUCCESS) return std::nullopt;
    texts.emplace(member.key, text);
  }
  return texts;
}

/// False for what write_field does not write.
bool read_field(const ConfigField& field, dom::element value, MaskedConfig& out) {
  if (field.kind == FieldKind::Headers) {
    auto masks = read_texts(value);
    if (!masks) return false;
    out.masks.headers = *std::move(masks);
    return true;
  }
  if (field.kind == FieldKind::Version) {
    std::int64_t version = 0;
    if (value.get(version) != simdjson::SUCCESS || (version != 1 && version != 2)) return false;
    out.config.remote_write_version = static_cast<int>(version);
    return true;
  }
  if (field.kind == FieldKind::Signals) {
    const auto signals = read_signals(value);
    if (!signals) return false;
    out.config.signals = *signals;
    return true;
  }
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return false;
  if (field.kind == FieldKind::MetricsUrl) out.config.metrics_url = text;
  if (field.kind == FieldKind::Url) out.config.url = text;
  if (field.kind == FieldKind::InstanceId || field.kind == FieldKind::Username)
    out.config.instance_id = text;
  if (field.kind == FieldKind::Secret) out.masks.secret = text;
  if (field.kind == FieldKind::Method) out.config.method = text;
  if (field.kind == FieldKind::Protocol)
    out.config.protocol = text == "grpc" ? Protocol::Grpc : Protocol::Http;
  if (field.kind == FieldKind::Encoding)
    out.config.encoding = text == "json" ? Encoding::Json : Encoding::Protobuf;
  if (field.kind == FieldKind::Compression)
    out.config.compression = text == "none" ? Compression::None : Compression::Gzip;
  return true;
}

}  // namespace

std::span<const ConfigField> config_fields(DestinationType type) {
  switch (type) {
    case DestinationType::Grafana:
      return kGrafana;
    case DestinationType::OtelCollector:
      return kOtelCollector;
    case DestinationType::Webhook:
      return kWebhook;
    case DestinationType::Gantry:
      return kGantry;
    case DestinationType::PrometheusRemoteWrite:
      return kPrometheusRemoteWrite;
    case DestinationType::Influx:
      return kInflux;
  }
  return {};
}

std::string_view protocol_name(Protocol protocol) {
  return protocol == Protocol::Grpc ? "grpc" : "http";
}

std::string_view signal_name(Signal signal) {
  return signal == Signal::Spans ? "traces" : "metrics";
}

std::string signals_text(const SignalSet& signals) {
  std::string text;
  for (const Signal signal : kSignals)
    if (signals.has(signal)) text.append(text.empty() ? "" : ",").append(signal_name(signal));
  return text;
}

std::optional<SignalSet> read_signals(simdjson::dom::element element) {
  dom::array names;
  if (element.get(names) != simdjson::SUCCESS || names.size() == 0) return std::nullopt;
  SignalSet signals{.traces = false, .metrics = false};
  for (const dom::element each : names) {
    std::string_view name;
    if (each.get(name) != simdjson::SUCCESS) return std::nullopt;
    bool& is_on = name == signal_name(Signal::Spans) ? signals.traces : signals.metrics;
    if (is_on || (name != signal_name(Signal::Spans) && name != signal_name(Signal::Metrics)))
      return std::nullopt;
    is_on = true;
  }
  return signals;
}

std::string_view encoding_name(Encoding encoding) {
  return encoding == Encoding::Json ? "json" : "protobuf";
}

std::string_view compression_name(Compression compression) {
  switch (compression) {
    case Compression::None:
      return "none";
    case Compression::Gzip:
      return "gzip";
    case Compression::Snappy:
      return "snappy";
  }
  return {};
}

std::string mask_secret(std::string_view secret) {
  if (secret.empty()) return {};
  if (secret.size() < kMaskedBytesMin) return std::string(kShortMask);
  const std::size_t underscore = secret.find('_');
  const std::size_t prefix =
      underscore < kMaskUnderscoreBytesMax ? underscore + 1 : kMaskPrefixBytes;
  return fmt::format("{}{}{}", secret.substr(0, prefix), kMaskDots,
                     secret.substr(secret.size() - kMaskTailBytes));
}

bool is_mask(std::string_view text) {
  if (text == kShortMask) return true;
  constexpr std::size_t kEndBytes = kMaskDots.size() + kMaskTailBytes;
  if (text.size() <= kEndBytes || !text.substr(text.size() - kEndBytes).starts_with(kMaskDots))
    return false;
  const std::string_view prefix = text.substr(0, text.size() - kEndBytes);
  const std::size_t underscore = prefix.find('_');
  return underscore < kMaskUnderscoreBytesMax ? underscore + 1 == prefix.size()
                                              : prefix.size() == kMaskPrefixBytes;
}

SecretMasks masks_of(const DestinationConfig& config) {
  SecretMasks masks{.secret = mask_secret(config.secret), .headers = {}};
  for (const auto& [name, value] : config.headers) masks.headers.emplace(name, mask_secret(value));
  return masks;
}

DestinationConfig default_config(DestinationType type) {
  DestinationConfig config;
  if (type == DestinationType::Grafana) config.url = kGrafanaUrl;
  if (type == DestinationType::Gantry) config.encoding = Encoding::Protobuf;
  if (type == DestinationType::PrometheusRemoteWrite) config.compression = Compression::Snappy;
  return config;
}

void write_config(core::JsonWriter& json, DestinationType type, const DestinationConfig& config,
                  const SecretMasks& masks) {
  json.begin_object();
  for (const ConfigField& field : config_fields(type)) write_field(json, field, config, masks);
  json.end_object();
}

Result<MaskedConfig> parse_masked_config(DestinationType type, std::string_view json) {
  const auto damaged = [] {
    return fail(Code::DataLoss, "the stored config of a destination cannot be read");
  };
  dom::parser parser;
  dom::object object;
  const simdjson::padded_string padded(json);
  if (parser.parse(padded).get(object) != simdjson::SUCCESS) return damaged();
  MaskedConfig masked{.config = default_config(type), .masks = {}};
  const std::span<const ConfigField> fields = config_fields(type);
  for (const dom::key_value_pair& member : object) {
    const auto field = std::ranges::find(fields, member.key, &ConfigField::name);
    if (field == fields.end() || !read_field(*field, member.value, masked)) return damaged();
  }
  return masked;
}

std::string format_headers(const Texts& headers) {
  std::string text;
  core::JsonWriter json(text);
  json.begin_object();
  for (const auto& [name, value] : headers) json.key(name).string(value);
  json.end_object();
  return text;
}

Result<Texts> parse_headers(std::string_view json) {
  dom::parser parser;
  dom::element element;
  const simdjson::padded_string padded(json);
  if (parser.parse(padded).get(element) == simdjson::SUCCESS)
    if (auto headers = read_texts(element)) return *std::move(headers);
  return fail(Code::DataLoss, "the stored headers of a destination cannot be read");
}

}  // namespace gantry::broadcast
