#include "server/settings.h"

#include <algorithm>
#include <array>

namespace gantry::server {
namespace {

using Kind = SettingKind;

constexpr bool kReloadable = true;
constexpr bool kAtStart = false;
constexpr std::uint64_t kThreadsMax = 1024;

// Where a setting lives: SLOT(field) is a function from a Config to the address of its field.
#define GANTRY_SLOT(field) [](Config& config) -> SettingSlot { return &config.field; }

constexpr std::array kSettings = {
    Setting{"data", Kind::Text, kAtStart, GANTRY_SLOT(data),
            "The data directory, which one process at a time may use; created when missing."},

    Setting{"server.listen", Kind::Text, kAtStart, GANTRY_SLOT(server.listen),
            "Address and port of every HTTP API and the console; without an address, all of IPv4 "
            "and IPv6."},
    Setting{"server.public_url", Kind::Text, kAtStart, GANTRY_SLOT(server.public_url),
            "The URL under which clients reach `server.listen`; made from it when empty."},
    Setting{"server.zone", Kind::Text, kAtStart, GANTRY_SLOT(server.zone),
            "The zone of the stack that the first start creates: a-z, 0-9 and -, at most 40 "
            "characters."},
    Setting{"server.io_threads", Kind::Count, kAtStart, GANTRY_SLOT(server.io_threads),
            "Threads that read and write sockets.", 1, kThreadsMax},
    Setting{"server.ingest_threads", Kind::Count, kAtStart, GANTRY_SLOT(server.ingest_threads),
            "Write requests handled at once; they spend most of their time waiting for a shared "
            "sync of the log.",
            1, kThreadsMax},
    Setting{"server.compute_threads", Kind::Count, kAtStart, GANTRY_SLOT(server.compute_threads),
            "Threads that share the work of a query or of the replay at start; 0: one for each "
            "core.",
            0, kThreadsMax},
    Setting{"server.queue_length_max", Kind::Count, kAtStart, GANTRY_SLOT(server.queue_length_max),
            "Requests that may wait for a thread of their kind; one more is answered with 503.", 1},
    Setting{"server.shutdown_timeout", Kind::Duration, kAtStart,
            GANTRY_SLOT(server.shutdown_timeout),
            "How long requests in flight may go on after SIGTERM."},
    Setting{"server.trusted_proxies", Kind::List, kAtStart, GANTRY_SLOT(server.trusted_proxies),
            "Networks (`10.0.0.0/8`) of reverse proxies whose X-Forwarded-For is believed: the "
            "last address in it that is none of them is the client's."},
    Setting{"server.metrics_require_token", Kind::Switch, kAtStart,
            GANTRY_SLOT(server.metrics_require_token),
            "Whether `/metrics` asks for a token with the scope metrics:read."},
    Setting{"server.insecure_dev", Kind::Switch, kAtStart, GANTRY_SLOT(server.insecure_dev),
            "Serve the console over plain HTTP to this machine; `server.listen` must be a loopback "
            "address."},

    Setting{"http.body_bytes_max", Kind::Bytes, kAtStart, GANTRY_SLOT(http.body_bytes_max),
            "The largest body of a write request, as sent; larger ones are answered with 413.",
            1024},
    Setting{"http.body_decompressed_bytes_max", Kind::Bytes, kReloadable,
            GANTRY_SLOT(http.body_decompressed_bytes_max),
            "The same after decompression, and the largest OTLP/gRPC message (that one from the "
            "start only).",
            1024},
    Setting{"http.bodies_bytes_max", Kind::Bytes, kAtStart,
            GANTRY_SLOT(http.limits.bodies_bytes_max),
            "Bodies of all requests that are held at once; more are answered with 503.", 1 << 20},
    Setting{"http.header_bytes_max", Kind::Bytes, kAtStart,
            GANTRY_SLOT(http.limits.header_bytes_max),
            "Request line and header fields together; larger ones are answered with 431.", 1024},
    Setting{"http.header_fields_max", Kind::Count, kAtStart,
            GANTRY_SLOT(http.limits.header_fields_max),
            "Header fields of one request; more are answered with 431.", 8},
    Setting{"http.target_bytes_max", Kind::Bytes, kAtStart,
            GANTRY_SLOT(http.limits.target_bytes_max),
            "Path and query string of a request; longer ones are answered with 414.", 256},
    Setting{"http.connections_max", Kind::Count, kAtStart, GANTRY_SLOT(http.limits.connections_max),
            "Open connections of all listeners; one more is answered with 503 and closed.", 1},
    Setting{"http.tls_handshake_timeout", Kind::Duration, kAtStart,
            GANTRY_SLOT(http.limits.tls_handshake_timeout), "The longest TLS handshake.", 1},
    Setting{"http.header_timeout", Kind::Duration, kAtStart,
            GANTRY_SLOT(http.limits.header_timeout),
            "From the first byte of a request to the end of its header; then 408.", 1},
    Setting{"http.body_idle_timeout", Kind::Duration, kAtStart,
            GANTRY_SLOT(http.limits.body_idle_timeout),
            "The longest pause inside a request body; then 408.", 1},
    Setting{"http.body_bytes_per_second_min", Kind::Count, kAtStart,
            GANTRY_SLOT(http.limits.body_bytes_per_second_min),
            "The slowest a body may arrive on average, in bytes per second; then 408."},
    Setting{"http.write_timeout", Kind::Duration, kAtStart, GANTRY_SLOT(http.limits.write_timeout),
            "How long a client may take for 256 KiB of an answer; then the connection is cut.", 1},
    Setting{"http.keep_alive_timeout", Kind::Duration, kAtStart,
            GANTRY_SLOT(http.limits.keep_alive_timeout),
            "How long a connection may rest between two requests.", 1},
    Setting{"http.streams_max", Kind::Count, kAtStart, GANTRY_SLOT(http.limits.streams_max),
            "Answers that are streamed over time, at once; one more is answered with 503.", 1},
    Setting{"http.cors_origin", Kind::Text, kAtStart, GANTRY_SLOT(http.cors_origin),
            "A regular expression for the origins whose scripts may read API answers; it must "
            "match the whole origin."},

    Setting{"tls.cert_file", Kind::Text, kAtStart, GANTRY_SLOT(tls.cert_file),
            "The certificate chain (PEM, leaf first); with it every listener speaks TLS 1.2 or "
            "newer. The file is read again on SIGHUP."},
    Setting{"tls.key_file", Kind::Text, kAtStart, GANTRY_SLOT(tls.key_file),
            "The certificate's private key (PEM). The file is read again on SIGHUP."},

    Setting{"state.url", Kind::Secret, kAtStart, GANTRY_SLOT(state.url),
            "Where organisations, tokens and users are kept: the URL of a PostgreSQL database "
            "(`postgres://user:password@host/database`), which several replicas may share; empty: "
            "SQLite in the data directory."},

    Setting{"log.level", Kind::Choice, kReloadable, GANTRY_SLOT(log.level),
            "The least severe lines that are written."},
    Setting{"log.format", Kind::Choice, kReloadable, GANTRY_SLOT(log.format),
            "How lines on standard error look."},

    Setting{"access.crypto", Kind::Choice, kAtStart, GANTRY_SLOT(access.crypto),
            "What secrets are sealed with from now on: `standard` XChaCha20-Poly1305, `fips` "
            "AES-256-GCM. What is sealed stays readable."},
    Setting{"access.cloud_compat_status", Kind::Switch, kAtStart,
            GANTRY_SLOT(access.cloud_compat_status),
            "Answer a token without the scope with 401, as Grafana Cloud does, instead of 403."},
    Setting{"access.allow_unknown_scopes", Kind::Switch, kAtStart,
            GANTRY_SLOT(access.allow_unknown_scopes),
            "Let access policies name scopes that Gantry does not know; they grant nothing."},
    Setting{"access.legacy_keys", Kind::Switch, kAtStart, GANTRY_SLOT(access.legacy_keys),
            "Allow new API keys with roles, as Grafana Cloud had before access policies."},
    Setting{"access.bearer_by_org_admin", Kind::Switch, kAtStart,
            GANTRY_SLOT(access.bearer_by_org_admin),
            "Let admins of an organisation make read-only bearer tokens, not only super-admins."},
    Setting{"access.tokens_per_policy_max", Kind::Count, kAtStart,
            GANTRY_SLOT(access.tokens_per_policy_max),
            "Tokens of one access policy that are neither revoked nor expired.", 1},
    Setting{"access.policies_per_organisation_max", Kind::Count, kAtStart,
            GANTRY_SLOT(access.policies_per_organisation_max),
            "Access policies of one organisation.", 1},
    Setting{"access.control_requests_per_minute", Kind::Count, kAtStart,
            GANTRY_SLOT(access.control_requests_per_minute),
            "Requests of one token or person to the control API in a minute; more are answered "
            "with 429. 0: no limit."},

    Setting{"read_only.requests_per_second", Kind::Count, kAtStart,
            GANTRY_SLOT(read_only.limits.requests_per_second),
            "Requests per second that one token may make of the read-only endpoint; more are "
            "answered with 429. The queryPolicy of an access policy overrides this and the next "
            "four.",
            1},
    Setting{"read_only.burst", Kind::Count, kAtStart, GANTRY_SLOT(read_only.limits.burst),
            "Requests that a token may make at once after it was quiet.", 1},
    Setting{"read_only.concurrent_queries", Kind::Count, kAtStart,
            GANTRY_SLOT(read_only.limits.concurrent_queries),
            "Requests of one token that run at the same time; one more is answered with 429.", 1},
    Setting{"read_only.timeout", Kind::Duration, kAtStart, GANTRY_SLOT(read_only.timeout),
            "The longest query of the read-only endpoint; `timeout=` can only lower it.", 1},
    Setting{"read_only.response_bytes_max", Kind::Bytes, kAtStart,
            GANTRY_SLOT(read_only.response_bytes_max),
            "The largest answer of the read-only endpoint, before compression; a larger one is "
            "an error.",
            1024},

    Setting{"session.idle_max", Kind::Duration, kAtStart, GANTRY_SLOT(session.idle_max),
            "A console session ends after this long without use.", 60'000},
    Setting{"session.lifetime", Kind::Duration, kAtStart, GANTRY_SLOT(session.lifetime),
            "A console session ends this long after the sign-in, used or not.", 60'000},
    Setting{"session.remembered_lifetime", Kind::Duration, kAtStart,
            GANTRY_SLOT(session.remembered_lifetime),
            "The same for who asked to be kept signed in.", 60'000},

    Setting{"oidc.issuer", Kind::Text, kAtStart, GANTRY_SLOT(oidc.issuer),
            "The OpenID provider, exactly as it names itself; empty: people sign in with passwords "
            "only."},
    Setting{"oidc.name", Kind::Text, kAtStart, GANTRY_SLOT(oidc.name),
            "The provider's name in paths: the redirect URL to register is "
            "`<server.public_url>/login/oidc/<name>/callback`."},
    Setting{"oidc.display_name", Kind::Text, kAtStart, GANTRY_SLOT(oidc.display_name),
            "The provider's name on the sign-in page."},
    Setting{"oidc.client_id", Kind::Text, kAtStart, GANTRY_SLOT(oidc.client_id),
            "What the provider calls this Gantry."},
    Setting{"oidc.client_secret", Kind::Secret, kAtStart, GANTRY_SLOT(oidc.client_secret),
            "The client's secret at the provider."},
    Setting{"oidc.client_secret_file", Kind::Text, kAtStart, GANTRY_SLOT(oidc.client_secret_file),
            "A file that holds the secret, instead of `oidc.client_secret`."},
    Setting{"oidc.client_authentication", Kind::Choice, kAtStart,
            GANTRY_SLOT(oidc.client_authentication),
            "How Gantry proves to the provider who it is: the secret in a header or in the form, "
            "or a statement signed with `oidc.client_key_file`."},
    Setting{"oidc.client_key_file", Kind::Text, kAtStart, GANTRY_SLOT(oidc.client_key_file),
            "The private key (PEM, RSA of 2048 bits or more, or EC P-256) of `private_key_jwt`; "
            "the provider has its public half."},
    Setting{"oidc.client_key_id", Kind::Text, kAtStart, GANTRY_SLOT(oidc.client_key_id),
            "The key's id (`kid`) at the provider, when it needs one."},
    Setting{"oidc.scopes", Kind::List, kAtStart, GANTRY_SLOT(oidc.scopes),
            "What the provider is asked for; some want `groups` to tell groups."},
    Setting{"oidc.groups_claim", Kind::Text, kAtStart, GANTRY_SLOT(oidc.groups_claim),
            "Where the ID token lists groups: a JSON pointer such as `/groups` or "
            "`/realm_access/roles`."},
    Setting{
        "oidc.group_rules", Kind::List, kAtStart, GANTRY_SLOT(oidc.group_rules),
        "Roles by group, each `GROUP=ORGANISATION:ROLE`; `*` is everybody, and the highest role "
        "in an organisation counts."},
    Setting{"oidc.role_strict", Kind::Switch, kAtStart, GANTRY_SLOT(oidc.role_strict),
            "Whether people whose groups give no role are refused."},
    Setting{"oidc.super_admin_group", Kind::Text, kAtStart, GANTRY_SLOT(oidc.super_admin_group),
            "The group whose members are super-admins; empty: none."},
    Setting{"oidc.link_by_email", Kind::Switch, kAtStart, GANTRY_SLOT(oidc.link_by_email),
            "Whether a verified e-mail address finds an existing user. Only for providers whose "
            "addresses nobody but their owner can claim."},

    Setting{"egress.allow", Kind::List, kAtStart, GANTRY_SLOT(egress.allow),
            "Networks, addresses and host names that the server may contact although they are not "
            "public; named ones also without TLS and on any port. Loopback and cloud metadata "
            "addresses only by entries that name them precisely."},
    Setting{"egress.ca_file", Kind::Text, kAtStart, GANTRY_SLOT(egress.ca_file),
            "Certificate authorities (PEM) for those contacts; empty: the system's."},

    Setting{"limits.active_series_max", Kind::Count, kReloadable,
            GANTRY_SLOT(storage.limits.active_series_max),
            "Series of a stack with recent samples; samples of one more are refused with 429. 0: "
            "no limit."},
    Setting{"limits.new_series_per_minute_max", Kind::Count, kReloadable,
            GANTRY_SLOT(storage.limits.new_series_per_minute_max),
            "Series that a stack may begin in a minute; more are refused with 429. 0: no limit."},
    Setting{"limits.labels_per_series_max", Kind::Count, kReloadable,
            GANTRY_SLOT(storage.limits.labels_per_series_max),
            "Labels of one series, its name included. 0: no limit."},
    Setting{"limits.label_name_bytes_max", Kind::Bytes, kReloadable,
            GANTRY_SLOT(storage.limits.label_name_bytes_max),
            "The longest label name. 0: no limit."},
    Setting{"limits.label_value_bytes_max", Kind::Bytes, kReloadable,
            GANTRY_SLOT(storage.limits.label_value_bytes_max),
            "The longest label value, the metric's name included. 0: no limit."},
    Setting{"limits.samples_per_request_max", Kind::Count, kReloadable,
            GANTRY_SLOT(storage.limits.samples_per_request_max),
            "Samples of one write request; with more, the whole request is refused. 0: no limit."},
    Setting{"limits.exemplars_max", Kind::Count, kReloadable,
            GANTRY_SLOT(storage.limits.exemplars_max),
            "Exemplars that a stack keeps; the oldest are overwritten. 0: none."},
    Setting{"limits.metadata_families_max", Kind::Count, kReloadable,
            GANTRY_SLOT(storage.limits.metadata_families_max),
            "Metric families of a stack with type, help and unit. 0: no limit."},
    Setting{"limits.metadata_per_family_max", Kind::Count, kReloadable,
            GANTRY_SLOT(storage.limits.metadata_per_family_max),
            "Different descriptions of one metric family. 0: no limit."},
    Setting{"limits.bytes_per_day_max", Kind::Bytes, kReloadable,
            GANTRY_SLOT(storage.limits.bytes_per_day_max),
            "Uncompressed bytes of the write requests that a stack takes from one midnight UTC to "
            "the next; a request beyond it is refused whole with 429. 0B: no limit."},
    Setting{"limits.spans_per_request_max", Kind::Count, kReloadable,
            GANTRY_SLOT(traces.store.limits.spans_per_request_max),
            "Spans of one write request; with more, the whole request is refused. 0: no limit."},
    Setting{"limits.span_bytes_per_second_max", Kind::Bytes, kReloadable,
            GANTRY_SLOT(traces.store.limits.span_bytes_per_second_max),
            "Uncompressed bytes of spans that a stack takes in a second, with bursts of two "
            "seconds' worth; requests beyond it are refused with 429. 0B: no limit."},
    Setting{"limits.live_traces_max", Kind::Count, kReloadable,
            GANTRY_SLOT(traces.store.limits.live_traces_max),
            "Traces of a stack that are in memory; spans of one more are refused. 0: no limit."},
    Setting{"limits.bytes_per_trace_max", Kind::Bytes, kReloadable,
            GANTRY_SLOT(traces.store.limits.bytes_per_trace_max),
            "Bytes of one trace in memory; further spans of it are refused. 0B: no limit."},
    Setting{"limits.attributes_per_span_max", Kind::Count, kReloadable,
            GANTRY_SLOT(traces.otlp.attributes_per_span_max),
            "Attributes of a span, and of each resource, scope, event and link; further ones are "
            "dropped and counted in the span. 0: no limit."},
    Setting{"limits.events_per_span_max", Kind::Count, kReloadable,
            GANTRY_SLOT(traces.otlp.events_per_span_max),
            "Events of a span; further ones are dropped and counted in it. 0: no limit."},
    Setting{"limits.links_per_span_max", Kind::Count, kReloadable,
            GANTRY_SLOT(traces.otlp.links_per_span_max),
            "Links of a span; further ones are dropped and counted in it. 0: no limit."},
    Setting{"limits.attribute_value_bytes_max", Kind::Bytes, kReloadable,
            GANTRY_SLOT(traces.otlp.attribute_value_bytes_max),
            "The longest attribute value of a span: longer texts are cut, longer lists dropped. "
            "0B: no limit."},

    Setting{"storage.durability", Kind::Choice, kAtStart, GANTRY_SLOT(storage.durability),
            "When a write of samples or spans is acknowledged: `synced` to disk, or `written` to "
            "the operating system "
            "(survives kill -9 but loses up to a second in a power cut)."},
    Setting{"storage.retention", Kind::Duration, kReloadable, GANTRY_SLOT(storage.retention),
            "How long samples are kept, in whole days of data. 0s: for ever."},
    Setting{"storage.retention_bytes", Kind::Bytes, kReloadable,
            GANTRY_SLOT(storage.retention_bytes),
            "Disk space of a stack's metrics; beyond it the oldest days go first. 0B: no limit."},
    Setting{"storage.out_of_order_window", Kind::Duration, kReloadable,
            GANTRY_SLOT(storage.out_of_order_window),
            "How much older than its series' newest a sample may be. 0s: not at all."},
    Setting{"storage.future_tolerance", Kind::Duration, kReloadable,
            GANTRY_SLOT(storage.future_tolerance), "How far in the future a sample may be."},
    Setting{"storage.flush_interval", Kind::Duration, kReloadable,
            GANTRY_SLOT(storage.flush_interval),
            "The longest that samples stay in memory and the write-ahead log only.", 1000},
    Setting{"storage.wal_bytes_max", Kind::Bytes, kReloadable, GANTRY_SLOT(storage.wal_bytes_max),
            "Size of the write-ahead log at which samples move to a part before their time.",
            1 << 20},
    Setting{"storage.merge_bytes_per_second_max", Kind::Bytes, kReloadable,
            GANTRY_SLOT(storage.merge_bytes_per_second_max),
            "Bytes per second that merging in the background writes, for each stack. 0B: no "
            "limit."},
    Setting{"storage.disk_free_min", Kind::Bytes, kReloadable, GANTRY_SLOT(disk_free_min),
            "Free disk space below which writes are answered with 503; reads go on."},
    Setting{"storage.disk_free_resume", Kind::Bytes, kReloadable, GANTRY_SLOT(disk_free_resume),
            "Free disk space at which writes resume; 0B: twice `storage.disk_free_min`."},

    Setting{"traces.retention", Kind::Duration, kReloadable, GANTRY_SLOT(traces.store.retention),
            "How long traces are kept. 0s: for ever."},
    Setting{"traces.retention_bytes", Kind::Bytes, kReloadable,
            GANTRY_SLOT(traces.store.retention_bytes),
            "Disk space of a stack's traces; beyond it the oldest go first. 0B: no limit."},
    Setting{"traces.seal_interval", Kind::Duration, kReloadable,
            GANTRY_SLOT(traces.store.seal_interval),
            "The longest that spans stay in memory and the write-ahead log only.", 1000},
    Setting{"traces.live_bytes_max", Kind::Bytes, kReloadable,
            GANTRY_SLOT(traces.store.live_bytes_max),
            "Bytes of spans in memory at which they move to a block before their time.", 1 << 20},
    Setting{"traces.merge_bytes_per_second_max", Kind::Bytes, kReloadable,
            GANTRY_SLOT(traces.store.merge_bytes_per_second_max),
            "Bytes per second that merging in the background writes, for each stack. 0B: no "
            "limit."},
    Setting{
        "traces.span_metrics", Kind::Switch, kReloadable, GANTRY_SLOT(traces.span_metrics),
        "Derive `traces_spanmetrics_*` and `traces_service_graph_*` from spans, into the stack's "
        "metrics; a stack's `spanMetrics` wins."},
    Setting{"traces.search_range_max", Kind::Duration, kReloadable,
            GANTRY_SLOT(traces.search_range_max),
            "The longest range that a search may ask for. 0s: no limit."},
    Setting{"traces.metrics_range_max", Kind::Duration, kReloadable,
            GANTRY_SLOT(traces.metrics_range_max),
            "The longest range that a TraceQL metrics query may ask for. 0s: no limit."},
    Setting{"traces.trace_bytes_max", Kind::Bytes, kReloadable, GANTRY_SLOT(traces.trace_bytes_max),
            "The largest trace that is answered whole: of a larger one the first spans. 0B: no "
            "limit."},
    Setting{"traces.hidden_spans", Kind::Choice, kAtStart, GANTRY_SLOT(traces.hidden_spans),
            "What a trace by id shows of spans that label policies hide: `drop` leaves them out, "
            "`skeleton` shows their ids, kind, times and status code under the name `hidden`."},
    Setting{"traces.expose_hidden_names", Kind::Switch, kAtStart,
            GANTRY_SLOT(traces.exposes_hidden_names),
            "Whether such skeletons keep their spans' names."},

    Setting{"query.timeout", Kind::Duration, kReloadable, GANTRY_SLOT(query.timeout),
            "The longest a query may run; a request may ask for less.", 1},
    Setting{"query.concurrency", Kind::Count, kAtStart, GANTRY_SLOT(query.concurrency),
            "Read requests handled at once.", 1, kThreadsMax},
    Setting{"query.samples_max", Kind::Count, kAtStart, GANTRY_SLOT(query.samples_max),
            "Samples that one query may hold in memory at once.", 1},
    Setting{"query.memory_bytes_max", Kind::Bytes, kAtStart, GANTRY_SLOT(query.memory_bytes_max),
            "Memory of one query's intermediate results.", 1 << 20},
    Setting{"query.steps_max", Kind::Count, kReloadable, GANTRY_SLOT(query.steps_max),
            "Points for each series that a range query may ask for.", 1},
    Setting{"query.lookback", Kind::Duration, kReloadable, GANTRY_SLOT(query.lookback),
            "How old a sample may be to still be a series' current value.", 1},
    Setting{"query.default_subquery_step", Kind::Duration, kAtStart,
            GANTRY_SLOT(query.default_subquery_step),
            "The step of a subquery that does not name one.", 1},

    Setting{"promql.experimental_functions", Kind::Switch, kAtStart,
            GANTRY_SLOT(promql.parser.experimental_functions),
            "Allow functions that Prometheus calls experimental."},
    Setting{"promql.duration_expressions", Kind::Switch, kAtStart,
            GANTRY_SLOT(promql.parser.duration_expressions),
            "Allow arithmetic in durations, as in `rate(x[2 * 1m])`."},
    Setting{"promql.extended_range_selectors", Kind::Switch, kAtStart,
            GANTRY_SLOT(promql.parser.extended_range_selectors),
            "Allow the modifiers `anchored` and `smoothed`."},
    Setting{"promql.binop_fill_modifiers", Kind::Switch, kAtStart,
            GANTRY_SLOT(promql.parser.binop_fill_modifiers),
            "Allow the modifiers `fill`, `fill_left` and `fill_right`."},
    Setting{"promql.delayed_name_removal", Kind::Switch, kAtStart,
            GANTRY_SLOT(promql.delayed_name_removal),
            "Drop metric names at the end of a query instead of in each function."},
    Setting{"promql.use_start_timestamps", Kind::Switch, kAtStart,
            GANTRY_SLOT(promql.use_start_timestamps),
            "Let counter functions use the start timestamps of samples."},
    Setting{"promql.type_and_unit_labels", Kind::Switch, kAtStart,
            GANTRY_SLOT(promql.type_and_unit_labels),
            "Add the labels `__type__` and `__unit__` to what comes by OTLP and remote write 2.0, "
            "from its metadata, and tell counters by them."},

    Setting{"otlp.http_listen", Kind::Text, kAtStart, GANTRY_SLOT(otlp.http_listen),
            "Address and port for OTLP over HTTP besides `server.listen`; empty: none."},
    Setting{"otlp.grpc_listen", Kind::Text, kAtStart, GANTRY_SLOT(otlp.grpc_listen),
            "Address and port for OTLP over gRPC; empty: none."},
    Setting{"otlp.translation_strategy", Kind::Choice, kReloadable,
            GANTRY_SLOT(otlp.translation.strategy),
            "What becomes of the names of OTLP metrics and attributes, in the words of "
            "Prometheus's setting of that name."},
    Setting{"otlp.namespace", Kind::Text, kReloadable, GANTRY_SLOT(otlp.translation.name_space),
            "Put in front of every metric name that comes by OTLP, with an underscore."},
    Setting{"otlp.keep_repeated_underscores", Kind::Switch, kReloadable,
            GANTRY_SLOT(otlp.translation.keeps_repeated_underscores),
            "Keep runs of underscores in label names instead of making one of them."},
    Setting{"otlp.prefix_underscore", Kind::Switch, kReloadable,
            GANTRY_SLOT(otlp.translation.prefixes_underscore),
            "Make `key_foo` of an attribute `_foo`, as Prometheus does."},
    Setting{"otlp.promote_resource_attributes", Kind::List, kReloadable,
            GANTRY_SLOT(otlp.translation.promotion.attributes),
            "Resource attributes that become labels of every series of the resource."},
    Setting{"otlp.promote_all_resource_attributes", Kind::Switch, kReloadable,
            GANTRY_SLOT(otlp.translation.promotion.all), "Make labels of all resource attributes."},
    Setting{"otlp.ignore_resource_attributes", Kind::List, kReloadable,
            GANTRY_SLOT(otlp.translation.promotion.ignored),
            "Resource attributes that `otlp.promote_all_resource_attributes` leaves out."},
    Setting{"otlp.promote_scope_metadata", Kind::Switch, kReloadable,
            GANTRY_SLOT(otlp.translation.promotes_scope),
            "Add otel_scope_… labels with the scope's name, version and attributes."},
    Setting{"otlp.keep_identifying_resource_attributes", Kind::Switch, kReloadable,
            GANTRY_SLOT(otlp.translation.keeps_identifying_attributes),
            "Keep service.name, service.namespace and service.instance.id in target_info."},
    Setting{"otlp.target_info", Kind::Switch, kReloadable,
            GANTRY_SLOT(otlp.translation.has_target_info),
            "Write the series target_info with each resource's attributes."},
    Setting{"otlp.type_and_unit_labels", Kind::Switch, kReloadable,
            GANTRY_SLOT(otlp.translation.adds_type_and_unit_labels),
            "Add the labels `__type__` and `__unit__` to what comes by OTLP, whatever "
            "`promql.type_and_unit_labels` says."},
    Setting{"otlp.explicit_histograms", Kind::Choice, kReloadable,
            GANTRY_SLOT(otlp.translation.explicit_histograms),
            "Store histograms with explicit bounds as `_bucket` series, or as native histograms "
            "with custom buckets."},
    Setting{"otlp.delta", Kind::Choice, kReloadable, GANTRY_SLOT(otlp.translation.delta),
            "What becomes of delta points: refused, stored as they are, or added up (right only "
            "when this process sees all points of a series)."},
    Setting{"otlp.delta_streams_max", Kind::Count, kAtStart, GANTRY_SLOT(otlp.delta_streams_max),
            "Series of a stack that `otlp.delta: to_cumulative` adds up at once; points of one "
            "more are refused.",
            1},

    Setting{"influx.mapping", Kind::Choice, kReloadable, GANTRY_SLOT(influx.mapping),
            "How Influx lines become series. `victoriametrics`: `measurement_field` also for the "
            "field `value`, names as they come, strings read as numbers, and without `precision` "
            "the unit of time guessed from its size. The path /api/v1/push/influx/write always has "
            "`grafana_cloud`."},
    Setting{"influx.database_label", Kind::Text, kReloadable, GANTRY_SLOT(influx.database_label),
            "The label that takes `db` or `bucket` of the request, on series without such a tag; "
            "empty: none, but `db` with `influx.mapping: victoriametrics`."},
    Setting{"influx.source_label", Kind::Text, kReloadable, GANTRY_SLOT(influx.source_label),
            "A label with the value `influx` on every series, such as Grafana Cloud's "
            "`__proxy_source__`; empty: none."},
    Setting{"influx.partial_writes", Kind::Switch, kReloadable, GANTRY_SLOT(influx.partial_writes),
            "Store the good lines of a request with bad ones, as InfluxDB does; the answer is 400 "
            "all the same."},

    Setting{"broadcast.queue_bytes_max", Kind::Bytes, kAtStart,
            GANTRY_SLOT(broadcast.queue_bytes_max),
            "What may wait for one destination; beyond it the oldest events are dropped and "
            "counted.",
            1 << 20},
    Setting{"broadcast.log_bytes_max", Kind::Bytes, kAtStart, GANTRY_SLOT(broadcast.log_bytes_max),
            "Disk space of what waits for all destinations together; beyond it the oldest events "
            "are dropped.",
            1 << 20},
    Setting{"broadcast.max_age", Kind::Duration, kAtStart, GANTRY_SLOT(broadcast.max_age),
            "How long an event is tried again; then it is a dead letter. What waits for a "
            "disabled destination is dropped after twice that.",
            60'000},
    Setting{"broadcast.drain_timeout", Kind::Duration, kAtStart,
            GANTRY_SLOT(broadcast.drain_timeout),
            "How long is still sent after SIGTERM; the rest waits on disk for the next start."},
    Setting{"broadcast.dead_letters_max", Kind::Count, kAtStart,
            GANTRY_SLOT(broadcast.dead_letters_max),
            "Dead letters that are kept of one destination; the oldest go first.", 1},
    Setting{"broadcast.dead_letter_bytes_max", Kind::Bytes, kAtStart,
            GANTRY_SLOT(broadcast.dead_letter_bytes_max),
            "Size of the dead letters of one destination; beyond it the oldest go first.", 1 << 20},
    Setting{"broadcast.dead_letter_max_age", Kind::Duration, kAtStart,
            GANTRY_SLOT(broadcast.dead_letter_max_age), "How long dead letters are kept.", 60'000},
    Setting{"broadcast.service_name", Kind::Text, kAtStart, GANTRY_SLOT(broadcast.service_name),
            "The service.name that the span of Test Connection has, and the beginning of its "
            "name."},

    Setting{"collect.host", Kind::Switch, kAtStart, GANTRY_SLOT(collect.host),
            "Collect the metrics of this host, under node_exporter's names, into the stack main."},
    Setting{"collect.interval", Kind::Duration, kAtStart, GANTRY_SLOT(collect.interval),
            "How often the host's and Gantry's own metrics are collected.", 1000},

    Setting{"self.metrics", Kind::Switch, kAtStart, GANTRY_SLOT(self.metrics),
            "Write Gantry's own metrics, those of `/metrics`, into the stack main."},
    Setting{"self.traces", Kind::Switch, kAtStart, GANTRY_SLOT(self.traces),
            "Write Gantry's own requests as traces into the stack main."},
    Setting{"self.traces_per_second", Kind::Count, kAtStart, GANTRY_SLOT(self.traces_per_second),
            "So many of them are kept on average; the rest is counted in "
            "`gantry_own_traces_skipped_total`.",
            1},
};

#undef GANTRY_SLOT

}  // namespace

std::span<const Setting> settings() {
  return kSettings;
}

const Setting* find_setting(std::string_view key) {
  const auto* const found = std::ranges::find(kSettings, key, &Setting::key);
  return found == kSettings.end() ? nullptr : found;
}

std::string environment_name(const Setting& setting) {
  std::string name = "GANTRY_";
  for (const char c : setting.key) {
    const bool is_lower = c >= 'a' && c <= 'z';
    name += c == '.' ? '_' : is_lower ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

}  // namespace gantry::server
