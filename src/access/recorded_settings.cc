#include "access/recorded_settings.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <sodium.h>

namespace gantry::access {
namespace {

using Json = nlohmann::json;
using Fields = std::map<std::string, std::string>;

constexpr std::string_view kHashLabel = "recorded setting|";

/// As it is stored: secrets as hexadecimal hashes.
struct Stored {
  std::string event;
  AuditTarget target;
  Fields values;
  Fields secrets;
};

std::string hexadecimal(const TokenHash& hash) {
  std::string text(2 * hash.size() + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), hash.data(), hash.size());
  text.pop_back();
  return text;
}

std::string labelled(const std::string& secret) {
  return std::string(kHashLabel) + secret;
}

std::string format(const RecordedSettings& settings, const TokenHasher& hasher) {
  Json secrets = Json::object();
  for (const auto& [field, secret] : settings.secrets)
    if (!secret.empty()) secrets[field] = hexadecimal(hasher.hash(labelled(secret)));
  return Json{{"event", settings.event},
              {"target", {settings.target.type, settings.target.id, settings.target.name}},
              {"values", settings.values},
              {"secrets", secrets}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// What cannot be read counts as never recorded: then everything is reported once more.
Stored parse(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  Stored stored;
  if (!json.is_object()) return stored;
  const auto read = [&](const char* name, Fields& out) {
    const auto object = json.find(name);
    if (object == json.end() || !object->is_object()) return;
    for (const auto& [field, value] : object->items())
      if (value.is_string()) out.emplace(field, value.get<std::string>());
  };
  read("values", stored.values);
  read("secrets", stored.secrets);
  stored.event = json.value("event", "");
  if (const auto target = json.find("target"); target != json.end() && target->is_array() &&
                                               target->size() == 3 && (*target)[0].is_string() &&
                                               (*target)[1].is_string() && (*target)[2].is_string())
    stored.target = {.type = (*target)[0], .id = (*target)[1], .name = (*target)[2]};
  return stored;
}

const std::string& text_of(const Fields& fields, const std::string& field) {
  static const std::string empty;
  const auto found = fields.find(field);
  return found == fields.end() ? empty : found->second;
}

std::set<std::string> names_of(const Fields& a, const Fields& b) {
  std::set<std::string> names;
  for (const Fields* fields : {&a, &b})
    for (const auto& [name, value] : *fields) names.insert(name);
  return names;
}

/// The hash may be under a pepper that is not the current one any more.
bool is_secret(const std::string& hash, const std::string& secret, const TokenHasher& hasher) {
  if (hash.empty() || secret.empty()) return hash.empty() && secret.empty();
  const std::vector<TokenHash> hashes = hasher.hashes(labelled(secret));
  return std::ranges::any_of(hashes,
                             [&](const TokenHash& each) { return hexadecimal(each) == hash; });
}

std::vector<AuditChange> differences(const Stored& before, const RecordedSettings& after,
                                     const TokenHasher& hasher) {
  std::vector<AuditChange> changes;
  for (const std::string& field : names_of(before.values, after.values)) {
    const std::string& was = text_of(before.values, field);
    const std::string& is = text_of(after.values, field);
    if (was != is) changes.push_back({.field = field, .before = was, .after = is});
  }
  for (const std::string& field : names_of(before.secrets, after.secrets)) {
    const std::string& was = text_of(before.secrets, field);
    const std::string& is = text_of(after.secrets, field);
    if (is_secret(was, is, hasher)) continue;
    changes.push_back({.field = field,
                       .before = was.empty() ? "unset" : "set",
                       .after = is.empty()    ? "unset"
                                : was.empty() ? "set"
                                              : "changed"});
  }
  return changes;
}

Result<std::map<std::string, Stored>> read_all(state::Transaction& tx) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT name, settings FROM recorded_settings ORDER BY name"));
  std::map<std::string, Stored> all;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return all;
    all.emplace(select.text(0), parse(select.text(1)));
  }
}

Result<void> write(state::Transaction& tx, const RecordedSettings& settings,
                   const TokenHasher& hasher, TimestampMs now) {
  GANTRY_TRY(state::Statement upsert,
             tx.prepare("INSERT INTO recorded_settings (name, settings, recorded_at_ms) VALUES "
                        "(?, ?, ?) ON CONFLICT (name) DO UPDATE SET settings = excluded.settings, "
                        "recorded_at_ms = excluded.recorded_at_ms"));
  upsert.bind(settings.name).bind(format(settings, hasher)).bind(now.since_epoch);
  return upsert.run();
}

Result<void> remove(state::Transaction& tx, std::string_view name) {
  GANTRY_TRY(state::Statement statement,
             tx.prepare("DELETE FROM recorded_settings WHERE name = ?"));
  statement.bind(name);
  return statement.run();
}

AuditEvent event_of(std::string name, AuditTarget target, std::vector<AuditChange> changes) {
  return {.event = std::move(name),
          .actor = {.type = Actor::Type::System, .name = "gantry"},
          .target = std::move(target),
          .changes = std::move(changes),
          .reason = "the configuration differs from that of the start before"};
}

}  // namespace

Result<void> record_settings(state::Db& db, AuditLog& audit, const TokenHasher& hasher,
                             std::span<const RecordedSettings> current, TimestampMs now) {
  GANTRY_TRY(state::Transaction tx, db.begin_write());
  GANTRY_TRY(auto recorded, read_all(tx));
  for (const RecordedSettings& settings : current) {
    Stored before;
    auto found = recorded.extract(settings.name);
    if (!found.empty()) before = std::move(found.mapped());
    auto changes = differences(before, settings, hasher);
    if (changes.empty()) continue;
    GANTRY_CHECK(write(tx, settings, hasher, now));
    if (!found.empty() || settings.reports_first)
      GANTRY_CHECK(audit.append(tx, event_of(settings.event, settings.target, std::move(changes))));
  }
  for (const auto& [name, before] : recorded) {
    GANTRY_CHECK(remove(tx, name));
    auto changes = differences(before, {}, hasher);
    if (!changes.empty())
      GANTRY_CHECK(audit.append(tx, event_of(before.event, before.target, std::move(changes))));
  }
  return tx.commit();
}

}  // namespace gantry::access
