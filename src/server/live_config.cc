#include "server/live_config.h"

#include "server/settings.h"

namespace gantry::server {

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
