#include "cli/prices.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include <fmt/core.h>

#include "core/duration.h"
#include "core/rfc3339.h"
#include "core/time.h"
#include "gateway/gateway_settings.h"

namespace gantry::cli {
namespace {

constexpr std::int64_t kDayMs = 24LL * 3600 * 1000;

bool is_priced(const gateway::ModelConfig& model) {
  return model.prices || std::ranges::all_of(model.endpoints, [](const auto& each) {
           return each.prices.has_value();
         });
}

/// False: too old, or of an unknown age.
bool print_age(const gateway::CatalogueConfig& catalogue, DurationMs age_max) {
  if (!catalogue.prices_as_of) {
    fmt::print("prices of an unknown day: set gateway.prices_as_of when you enter them\n");
    return false;
  }
  const DurationMs age = SystemClock().now() - *catalogue.prices_as_of;
  const std::string day = core::format_rfc3339(*catalogue.prices_as_of).substr(0, 10);
  fmt::print("prices of {}, {} days old\n", day, age.count / kDayMs);
  return age <= age_max;
}

Result<bool> check(const ConfigFlags& flags, const std::string& age_max_text) {
  GANTRY_TRY(const DurationMs age_max, core::parse_duration(age_max_text));
  GANTRY_TRY(const server::LoadedConfig loaded, load_config(flags));
  if (loaded.config.gateway.kind == gateway::SettingNode::Kind::Null)
    return fail(Code::NotFound, "the configuration has no section gateway");
  GANTRY_TRY(const gateway::GatewaySettings settings,
             gateway::read_gateway_settings(loaded.config.gateway));
  const bool is_fresh = print_age(settings.catalogue, age_max);
  const auto& models = settings.catalogue.models;
  const auto priced_count = std::ranges::count_if(models, is_priced);
  fmt::print("{} of {} models have prices\n", priced_count, models.size());
  for (const gateway::ModelConfig& model : models)
    if (!is_priced(model)) fmt::print("without: {}\n", model.id);
  return is_fresh;
}

}  // namespace

int check_prices(const ConfigFlags& flags, const std::string& age_max) {
  const auto is_fresh = check(flags, age_max);
  if (is_fresh) return *is_fresh ? 0 : 1;
  print_error(is_fresh.error().message);
  return 1;
}

}  // namespace gantry::cli
