#include "gateway/key_listing.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/json_writer.h"
#include "core/rfc3339.h"

namespace gantry::gateway {
namespace {

void write_usd(core::JsonWriter& json, std::string_view key, std::optional<PicoUsd> amount) {
  json.key(key);
  amount ? json.number(amount->to_double()) : json.null();
}

void write_count(core::JsonWriter& json, std::string_view key, std::optional<std::int64_t> count) {
  json.key(key);
  count ? json.integer(*count) : json.null();
}

/// No more than the limit is missing.
std::optional<PicoUsd> remaining(const GatewayKeySettings& settings, const KeySpend& spend) {
  if (!settings.limit) return std::nullopt;
  const PicoUsd spent = spend.against_limit(settings);
  return PicoUsd{std::max<std::int64_t>(0, settings.limit->value - spent.value)};
}

/// Members of an object.
void write_budget(core::JsonWriter& json, const GatewayKey& key, const KeySpend& spend) {
  const GatewayKeySettings& settings = key.settings;
  write_usd(json, "limit", settings.limit);
  write_usd(json, "limit_remaining", remaining(settings, spend));
  json.key("limit_reset");
  settings.limit_reset == LimitReset::Never ? json.null()
                                            : json.string(limit_reset_name(settings.limit_reset));
  json.key("include_byok_in_limit").boolean(settings.includes_byok);
  write_usd(json, "usage", spend.own.total);
  write_usd(json, "usage_daily", spend.own.daily);
  write_usd(json, "usage_weekly", spend.own.weekly);
  write_usd(json, "usage_monthly", spend.own.monthly);
  write_usd(json, "byok_usage", spend.byok.total);
  write_usd(json, "byok_usage_daily", spend.byok.daily);
  write_usd(json, "byok_usage_weekly", spend.byok.weekly);
  write_usd(json, "byok_usage_monthly", spend.byok.monthly);
}

/// Members of an object.
void write_rates(core::JsonWriter& json, const GatewayKey& key) {
  const GatewayKeySettings& settings = key.settings;
  write_count(json, "rpm", settings.rpm);
  write_count(json, "tpm", settings.tpm);
  write_count(json, "max_concurrent", settings.max_concurrent);
}

/// Members of an object.
void write_origin(core::JsonWriter& json, const GatewayKey& key) {
  const std::optional<TimestampMs> expires_at = key.settings.expires_at;
  json.key("expires_at");
  expires_at ? json.string(core::format_rfc3339(*expires_at)) : json.null();
  json.key("creator_user_id");
  key.created_by.empty() ? json.null() : json.string(key.created_by);
}

}  // namespace

std::string print_key(const GatewayKey& key, const KeySpend& spend) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object().key("data").begin_object();
  json.key("label").string(key.label);
  json.key("name").string(key.settings.name);
  write_budget(json, key, spend);
  json.key("is_free_tier").boolean(false);
  json.key("is_management_key").boolean(false);
  write_rates(json, key);
  write_origin(json, key);
  json.end_object().end_object();
  return out;
}

void write_managed_key(core::JsonWriter& json, const GatewayKey& key, const KeySpend& spend) {
  json.begin_object();
  json.key("hash").string(key.hash);
  json.key("name").string(key.settings.name);
  json.key("label").string(key.label);
  json.key("disabled").boolean(key.settings.is_disabled);
  write_budget(json, key, spend);
  write_rates(json, key);
  json.key("allowed_models").begin_array();
  for (const std::string& model : key.settings.allowed_models) json.string(model);
  json.end_array();
  write_origin(json, key);
  json.key("workspace_id").string(std::to_string(key.stack.value()));
  json.key("created_at").string(core::format_rfc3339(key.created_at));
  json.key("updated_at").string(core::format_rfc3339(key.updated_at));
  json.end_object();
}

}  // namespace gantry::gateway
