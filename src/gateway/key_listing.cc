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

}  // namespace

std::string print_key(const GatewayKey& key, const KeySpend& spend) {
  const GatewayKeySettings& settings = key.settings;
  std::string out;
  core::JsonWriter json(out);
  json.begin_object().key("data").begin_object();
  json.key("label").string(key.label);
  json.key("name").string(settings.name);
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
  json.key("is_free_tier").boolean(false);
  json.key("is_management_key").boolean(false);
  write_count(json, "rpm", settings.rpm);
  write_count(json, "tpm", settings.tpm);
  write_count(json, "max_concurrent", settings.max_concurrent);
  json.key("expires_at");
  settings.expires_at ? json.string(core::format_rfc3339(*settings.expires_at)) : json.null();
  json.key("creator_user_id");
  key.created_by.empty() ? json.null() : json.string(key.created_by);
  json.end_object().end_object();
  return out;
}

}  // namespace gantry::gateway
