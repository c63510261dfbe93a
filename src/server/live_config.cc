#include "server/live_config.h"

#include <algorithm>
#include <iterator>

#include "gateway/gateway_settings.h"
#include "server/settings.h"

namespace gantry::server {
namespace {

/// The section gateway, as far as it can change while it is served.
void update_gateway(gateway::SettingNode& merged, const gateway::SettingNode& next,
                    LiveConfig::Change& change) {
  if (merged.kind != next.kind) {
    change.ignored.emplace_back("gateway");
    return;
  }
  for (const std::string& key : gateway::differing_keys(merged, next)) {
    const bool is_reloadable = gateway::is_reloadable_setting(key);
    (is_reloadable ? change.applied : change.ignored).push_back("gateway." + key);
    if (!is_reloadable) continue;
    std::erase_if(merged.items, [&](const auto& item) { return item.key == key; });
    std::ranges::copy_if(next.items, std::back_inserter(merged.items),
                         [&](const auto& item) { return item.key == key; });
  }
}

}  // namespace

LiveConfig::Change LiveConfig::update(const Config& next, TimestampMs now) {
  Config merged = *current();
  Change change;
  for (const Setting& setting : settings()) {
    const std::string value = format_value(next, setting);
    if (value == format_value(merged, setting)) continue;
    if (!setting.is_reloadable) {
      change.ignored.emplace_back(setting.key);
      continue;
    }
    const auto assigned = assign(merged, setting, value);
    GANTRY_ASSERT(assigned.has_value(), "a formatted value reads back");
    change.applied.emplace_back(setting.key);
  }
  if (next.oidc_providers != merged.oidc_providers) change.ignored.emplace_back("oidc.providers");
  update_gateway(merged.gateway, next.gateway, change);
  const core::Lock lock(mutex_);
  current_ = std::make_shared<const Config>(std::move(merged));
  reloaded_at_ = now;
  is_last_reload_successful_ = true;
  return change;
}

void LiveConfig::note_failure() {
  const core::Lock lock(mutex_);
  is_last_reload_successful_ = false;
}

LiveConfig::LastReload LiveConfig::last_reload() const {
  const core::Lock lock(mutex_);
  return {.is_successful = is_last_reload_successful_, .at = reloaded_at_};
}

}  // namespace gantry::server
