#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "broadcast/config_fields_internal.h"
#include "broadcast/destination_audit_internal.h"
#include "broadcast/destination_config.h"

namespace gantry::broadcast {
namespace {

using access::AuditChange;
using access::ControlChange;
using Changes = std::vector<AuditChange>;

constexpr std::size_t kListBytesMax = 512;

access::AuditTarget target_of(const Destination& destination) {
  return {.type = "destination", .id = destination.id, .name = destination.name};
}

/// Queries of URLs hold keys often enough.
std::string without_query(std::string_view url) {
  return std::string(url.substr(0, url.find('?')));
}

std::string list_text(const std::vector<std::string>& texts) {
  std::string list = fmt::format("{}", fmt::join(texts, ","));
  if (list.size() <= kListBytesMax) return list;
  return fmt::format("{} items, beginning with {}", texts.size(), texts.front());
}

std::string_view switch_text(bool is_on) {
  return is_on ? "true" : "false";
}

/// Collects what differs.
class Differences {
 public:
  template <class Value, class Format>
  void compare(std::string_view field, const Value& before, const Value& after, Format format) {
    if (before == after) return;
    changes_.push_back({.field = std::string(field),
                        .before = std::string(format(before)),
                        .after = std::string(format(after))});
  }

  void compare(std::string_view field, const std::string& before, const std::string& after) {
    compare(field, before, after, [](const std::string& text) { return text; });
  }

  void add(AuditChange change) { changes_.push_back(std::move(change)); }

  [[nodiscard]] Changes take() { return std::move(changes_); }

 private:
  Changes changes_;
};

void compare_config(Differences& differences, const Destination& before, const Destination& after) {
  const DestinationConfig& old_config = before.config;
  const DestinationConfig& new_config = after.config;
  differences.compare("config.url", old_config.url, new_config.url, without_query);
  differences.compare("config.metricsEndpoint", old_config.metrics_url, new_config.metrics_url,
                      without_query);
  differences.compare("config.signals", old_config.signals, new_config.signals, signals_text);
  differences.compare("config.user", old_config.instance_id, new_config.instance_id);
  differences.compare("config.method", old_config.method, new_config.method);
  differences.compare("config.protocol", old_config.protocol, new_config.protocol, protocol_name);
  differences.compare("config.encoding", old_config.encoding, new_config.encoding, encoding_name);
  differences.compare("config.compression", old_config.compression, new_config.compression,
                      compression_name);
  differences.compare("config.version", old_config.remote_write_version,
                      new_config.remote_write_version,
                      [](int version) { return std::to_string(version); });
}

/// Rules may be long, and may quote what is looked for.
void compare_rules(Differences& differences, std::string_view field, const std::string& before,
                   const std::string& after) {
  if (before == after) return;
  const std::string_view now = after.empty() ? "unset" : before.empty() ? "set" : "changed";
  differences.add({.field = std::string(field),
                   .before = before.empty() ? "unset" : "set",
                   .after = std::string(now)});
}

Changes settings_changes(const Destination& before, const Destination& after) {
  Differences differences;
  differences.compare("type", before.type, after.type, destination_type_name);
  differences.compare("name", before.name, after.name);
  differences.compare("enabled", before.is_enabled, after.is_enabled, switch_text);
  differences.compare("api_key_hashes", before.api_key_hashes, after.api_key_hashes,
                      [](const auto& keys) { return keys ? list_text(*keys) : "all"; });
  differences.compare("excluded_api_key_hashes", before.excluded_api_key_hashes,
                      after.excluded_api_key_hashes, list_text);
  compare_rules(differences, "filter_rules", before.filter_rules_json, after.filter_rules_json);
  compare_rules(differences, "attribute_rules", before.attribute_rules_json,
                after.attribute_rules_json);
  compare_rules(differences, "metric_relabel_configs", before.metric_relabel_json,
                after.metric_relabel_json);
  compare_rules(differences, "stream_aggregation", before.stream_aggregation_json,
                after.stream_aggregation_json);
  differences.compare("broadcast_generation_cost", before.extras.cost, after.extras.cost,
                      switch_text);
  differences.compare("broadcast_generation_identity", before.extras.identity,
                      after.extras.identity, switch_text);
  differences.compare("broadcast_generation_request_context", before.extras.request_context,
                      after.extras.request_context, switch_text);
  compare_config(differences, before, after);
  return differences.take();
}

Changes privacy_changes(const Destination& before, const Destination& after) {
  Differences differences;
  differences.compare("privacy_mode", before.is_private, after.is_private, switch_text);
  return differences.take();
}

Changes sampling_changes(const Destination& before, const Destination& after) {
  Differences differences;
  differences.compare("sampling_rate", before.sampling_rate, after.sampling_rate,
                      [](double rate) { return fmt::format("{}", rate); });
  return differences.take();
}

AuditChange unverified() {
  return {.field = "verify", .before = {}, .after = "false"};
}

}  // namespace

void record_created(access::OrgId org, ControlChange& change, const Destination& made,
                    std::vector<AuditChange> secrets, bool is_verified) {
  Changes changes = {
      {.field = "type", .before = {}, .after = std::string(destination_type_name(made.type))},
      {.field = "config.url", .before = {}, .after = without_query(made.config.url)}};
  if (!made.config.instance_id.empty())
    changes.push_back({.field = "config.user", .before = {}, .after = made.config.instance_id});
  const auto add = [&](Changes more) {
    for (AuditChange& one : more) changes.push_back(std::move(one));
  };
  add(privacy_changes(Destination(), made));
  add(sampling_changes(Destination(), made));
  add(std::move(secrets));
  if (!is_verified) changes.push_back(unverified());
  change.record(org, "destination.created", target_of(made), std::move(changes),
                StackId(made.stack));
}

bool record_updated(access::OrgId org, ControlChange& change, const Destination& before,
                    const Destination& after, std::vector<AuditChange> secrets, bool is_verified) {
  bool has_changes = false;
  const auto record = [&](std::string_view event, Changes changes) {
    if (changes.empty()) return;
    has_changes = true;
    change.record(org, std::string(event), target_of(after), std::move(changes),
                  StackId(after.stack));
  };
  Changes settings = settings_changes(before, after);
  const bool touches_connection =
      !secrets.empty() || before.type != after.type || before.config != after.config;
  if (!is_verified && touches_connection) settings.push_back(unverified());
  record("destination.updated", std::move(settings));
  record("destination.secret_changed", std::move(secrets));
  record("privacy_mode.changed", privacy_changes(before, after));
  record("sampling.changed", sampling_changes(before, after));
  return has_changes;
}

void record_deleted(access::OrgId org, ControlChange& change, const Destination& destination) {
  change.record(org, "destination.deleted", target_of(destination), {}, StackId(destination.stack));
}

}  // namespace gantry::broadcast
