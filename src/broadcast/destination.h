#pragma once

// Where copies of a stack's data go, as its owner has set it up: what kind of system it is, how to
// reach it, and what of the data it gets.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broadcast/generation_extras.h"
#include "broadcast/queue.h"
#include "core/error.h"
#include "core/time.h"
#include "pipeline/attribute_rules.h"
#include "pipeline/filter_rules.h"
#include "pipeline/relabel.h"

namespace gantry::broadcast {

using pipeline::AttributeRules;
using pipeline::FilterRules;

enum class DestinationType : std::uint8_t {
  Grafana,        ///< Grafana Cloud's OTLP gateway: base URL, instance id, API key.
  OtelCollector,  ///< Any OTLP receiver: a full URL, used as it is; with gRPC, host and port.
  Webhook,        ///< OTLP JSON to any URL.
  Gantry,         ///< Another Gantry: base URL, instance id, token.
  PrometheusRemoteWrite,  ///< Metrics.
  Influx,                 ///< Metrics as line protocol.
};

/// "grafana", "otel-collector", "webhook", "gantry", "prometheus-remote-write", "influx".
[[nodiscard]] std::string_view destination_type_name(DestinationType type);
[[nodiscard]] std::optional<DestinationType> parse_destination_type(std::string_view name);

/// What the fields of `config` that people fill in are called, for messages; "" for none.
struct ConfigFieldNames {
  std::string_view url;
  std::string_view instance_id;
  std::string_view secret;
};

[[nodiscard]] ConfigFieldNames config_field_names(DestinationType type);

/// The signals of types that take one only; nothing where the config has `signals`.
[[nodiscard]] std::optional<Signal> only_signal(DestinationType type);

/// What a destination is asked to take.
struct SignalSet {
  bool traces = true;
  bool metrics = false;

  [[nodiscard]] bool has(Signal signal) const { return signal == Signal::Spans ? traces : metrics; }

  friend bool operator==(const SignalSet&, const SignalSet&) = default;
};

enum class Encoding : std::uint8_t { Json, Protobuf };

enum class Protocol : std::uint8_t { Http, Grpc };

enum class Compression : std::uint8_t { None, Gzip, Snappy };

/// How to reach it: the fields of `config`, secrets in clear. Never printed or logged whole.
struct DestinationConfig {
  std::string url;                     ///< Base URL, endpoint or url, by type.
  std::string metrics_url;             ///< Of an endpoint that is for traces; see metrics_url_of.
  std::string instance_id;             ///< Or user name, by type.
  std::string secret;                  ///< apiKey or token; empty: none.
  std::string method = "POST";         ///< Webhook: POST or PUT.
  Protocol protocol = Protocol::Http;  ///< Of otel-collector. Grpc: the URL has no path.
  SignalSet signals;                   ///< Of types that have no only_signal.
  Encoding encoding = Encoding::Json;  ///< With Grpc: Protobuf.
  Compression compression = Compression::Gzip;
  int remote_write_version = 1;  ///< 1 or 2.
  /// Sent with every request; the values are secrets.
  std::map<std::string, std::string, std::less<>> headers;

  friend bool operator==(const DestinationConfig&, const DestinationConfig&) = default;
};

struct Destination {
  DestinationId id;
  std::uint32_t stack = 0;  ///< Instance id of the stack whose data it gets.
  DestinationType type = DestinationType::Grafana;
  std::string name;  ///< May be empty.
  bool is_enabled = true;
  bool is_private = false;   ///< Privacy mode.
  double sampling_rate = 1;  ///< 0.0001 to 1.
  /// Absent: all keys and everything that no key brought; else only those.
  std::optional<std::vector<std::string>> api_key_hashes;
  std::vector<std::string> excluded_api_key_hashes;  ///< Wins.
  std::string filter_rules_json;                     ///< As entered; empty: none.
  FilterRules filter_rules;
  std::string attribute_rules_json;  ///< As entered; empty: none.
  AttributeRules attribute_rules;
  std::string metric_relabel_json;  ///< As entered; empty: none.
  pipeline::RelabelRules metric_relabel;
  std::string stream_aggregation_json;  ///< As entered, checked; empty: none.
  GenerationExtras extras;
  DestinationConfig config;
  TimestampMs created_at;
  TimestampMs updated_at;
};

/// Whether it gets that signal.
[[nodiscard]] bool takes(const Destination& destination, Signal signal);

/// The destination as one of its signals sees it: takes no other, and its URL is that signal's.
[[nodiscard]] Destination narrowed_to(Destination destination, Signal signal);

/// Of a narrowed destination, or one that takes a single signal; Spans of one that takes both.
[[nodiscard]] Signal signal_of(const Destination& destination);

/// What the metrics of an otel-collector are sent to: metrics_url, else the endpoint if that ends
/// in
/// "/v1/traces", with "/v1/metrics" for it; "" when neither says it. With gRPC: the endpoint.
[[nodiscard]] std::string metrics_url_of(const DestinationConfig& config);

/// Whether what the key brought goes there; `key_hash` empty: no key. The list of excluded keys
/// wins.
[[nodiscard]] bool takes_key(const Destination& destination, std::string_view key_hash);

}  // namespace gantry::broadcast
