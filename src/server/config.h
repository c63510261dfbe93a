#pragma once

// Every setting of the program, as plain data with its defaults. Filled in this order, later wins:
// defaults, YAML file, GANTRY_… environment, flags. The table in settings.cc names each field once
// (key, kind, sentence) and drives the parsers, `gantry check-config` and docs/configuration.md.

#include <cstdint>
#include <string>
#include <vector>

#include "access/oidc_provider.h"
#include "access/query_limiter.h"
#include "access/secrets/sealed_text.h"
#include "access/visible_spans.h"
#include "codec/influx.h"
#include "codec/otlp_to_prometheus.h"
#include "codec/otlp_traces.h"
#include "core/log.h"
#include "core/time.h"
#include "gateway/setting_node.h"
#include "metrics/store.h"
#include "net/server.h"
#include "promql/parser.h"
#include "traces/store.h"

namespace gantry::server {

struct Config {
  std::string data;  ///< The data directory; `serve` requires it.

  struct Server {
    std::string listen = ":9490";
    std::string public_url;  ///< "": made from `listen`.
    std::string zone = "local";
    std::uint32_t io_threads = 2;
    std::uint32_t ingest_threads = 32;  ///< They wait for the disk together, so more than cores.
    std::uint32_t compute_threads = 0;  ///< 0: as many as cores.
    std::uint32_t queue_length_max = 1024;
    DurationMs shutdown_timeout{20'000};
    bool metrics_require_token = false;
    std::vector<std::string> trusted_proxies;  ///< CIDR.
    bool insecure_dev = false;  ///< The console over plain HTTP, on this machine only.
  } server;

  struct Http {
    net::HttpLimits limits;
    std::uint64_t body_bytes_max = 16 << 20;               ///< As sent.
    std::uint64_t body_decompressed_bytes_max = 64 << 20;  ///< After decompression.
    std::string cors_origin = ".*";
  } http;

  struct Tls {
    std::string cert_file;  ///< PEM chain; "" with key_file: plain HTTP.
    std::string key_file;
  } tls;

  struct State {
    std::string url;  ///< Of PostgreSQL, with its password; "": SQLite in `data`.
  } state;

  struct Log {
    log::Level level = log::Level::Info;
    log::Format format = log::Format::Logfmt;
  } log;

  metrics::StoreOptions storage;            ///< `storage.*`, and `limits.*` for its `limits`.
  std::uint64_t disk_free_min = 256 << 20;  ///< `storage.disk_free_min`, bytes.
  std::uint64_t disk_free_resume = 0;       ///< `storage.disk_free_resume`; 0: twice the least.

  struct Traces {
    traces::StoreOptions store;     ///< `limits.*` for its `limits`; durability as of `storage`.
    codec::OtlpTracesOptions otlp;  ///< `limits.*`
    DurationMs search_range_max{std::int64_t{7} * 24 * 3600 * 1000};
    DurationMs metrics_range_max{std::int64_t{7} * 24 * 3600 * 1000};
    std::uint64_t trace_bytes_max = 50 << 20;  ///< Of an answer by id.
    access::HiddenSpans hidden_spans = access::HiddenSpans::Drop;
    bool exposes_hidden_names = false;
    bool span_metrics = true;
  } traces;

  struct Query {
    DurationMs timeout{120'000};
    std::uint32_t concurrency = 20;
    std::uint64_t samples_max = 50'000'000;
    std::uint64_t memory_bytes_max = std::uint64_t{2} << 30;
    std::uint32_t steps_max = 11'000;
    DurationMs lookback{5 * 60 * 1000};
    DurationMs default_subquery_step{60'000};
  } query;

  struct Promql {
    promql::ParserOptions parser;
    bool delayed_name_removal = false;
    bool use_start_timestamps = false;
    bool type_and_unit_labels = false;
  } promql;

  struct Otlp {
    std::string http_listen = ":4318";  ///< "": off.
    std::string grpc_listen = ":4317";  ///< "": off.
    codec::OtlpOptions translation;     ///< Without what changes per stack and request.
    std::uint64_t delta_streams_max = 100'000;
  } otlp;

  struct Influx {
    codec::InfluxMapping mapping = codec::InfluxMapping::GrafanaCloud;
    std::string database_label;  ///< "": none, or `db` with the mapping of VictoriaMetrics.
    std::string source_label;    ///< "": none.
    bool partial_writes = false;
  } influx;

  struct Access {
    access::SealAlgorithm crypto = access::SealAlgorithm::XChaCha20Poly1305;
    bool cloud_compat_status = false;  ///< 401 instead of 403 for a missing scope.
    bool allow_unknown_scopes = false;
    bool legacy_keys = false;
    bool bearer_by_org_admin = false;
    std::uint32_t tokens_per_policy_max = 100;
    std::uint32_t policies_per_organisation_max = 1000;
    std::uint32_t control_requests_per_minute = 600;
  } access;

  /// The read-only bearer endpoint; what its tokens may ask, unless their policies say otherwise.
  struct ReadOnly {
    access::QueryLimiter::Options limits;
    DurationMs timeout{60'000};
    std::uint64_t response_bytes_max = 64 << 20;
  } read_only;

  struct Session {
    DurationMs idle_max{std::int64_t{8} * 3600 * 1000};
    DurationMs lifetime{std::int64_t{24} * 3600 * 1000};
    DurationMs remembered_lifetime{std::int64_t{7} * 24 * 3600 * 1000};
  } session;

  struct Oidc {
    std::string name = "sso";
    std::string display_name;
    std::string issuer;  ///< "": passwords only.
    std::string client_id;
    std::string client_secret;
    std::string client_secret_file;
    access::ClientAuthentication client_authentication = access::ClientAuthentication::SecretBasic;
    std::vector<std::string> scopes = {"openid", "profile", "email"};
    std::string groups_claim = "/groups";
    std::vector<std::string> group_rules;  ///< "group=organisation:role"
    bool role_strict = true;
    std::string super_admin_group;
    bool link_by_email = false;
    std::string client_key_file;  ///< PEM; for private_key_jwt.
    std::string client_key_id;    ///< "": the provider finds the key without.

    friend bool operator==(const Oidc&, const Oidc&) = default;
  } oidc;

  std::vector<Oidc> oidc_providers;  ///< The list `oidc.providers`, besides `oidc` itself.

  struct Egress {
    std::vector<std::string> allow;
    std::string ca_file;
  } egress;

  /// Copies of what stacks receive, to their destinations.
  struct Broadcast {
    std::uint64_t queue_bytes_max = std::uint64_t{4} << 30;  ///< Per destination.
    std::uint64_t log_bytes_max = std::uint64_t{16} << 30;
    DurationMs max_age{std::int64_t{24} * 3600 * 1000};
    DurationMs drain_timeout{10'000};
    std::uint64_t dead_letters_max = 10'000;             ///< Per destination.
    std::uint64_t dead_letter_bytes_max = 256ULL << 20;  ///< Per destination.
    DurationMs dead_letter_max_age{std::int64_t{7} * 24 * 3600 * 1000};
    std::string service_name = "openrouter";  ///< Of the span of Test Connection.
  } broadcast;

  struct Collect {
    bool host = false;
    DurationMs interval{15'000};
  } collect;

  struct Self {
    bool metrics = true;
    bool traces = true;
    std::uint32_t traces_per_second = 20;
  } self;

  /// The section `gateway` as it stands in the file, for read_gateway_settings; Null: there is
  /// none.
  gateway::SettingNode gateway;
};

}  // namespace gantry::server
