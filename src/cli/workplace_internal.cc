#include "cli/workplace_internal.h"

#include <filesystem>

#include <fmt/core.h>

#include "server/config_load.h"
#include "state/schema.h"
#include "state/schema_check.h"

namespace gantry::cli {
namespace {

/// Beside a running server, so that it must find the schema that this program knows, and not make
/// it.
Result<void> check_schema(int version) {
  const int known = static_cast<int>(state::migrations().size());
  if (version == known) return {};
  return fail(Code::FailedPrecondition,
              fmt::format("the state database has schema version {}, this program works with {}: "
                          "use the program that the server runs, or start the server with this one "
                          "first",
                          version, known));
}

}  // namespace

Result<std::unique_ptr<Workplace>> open_workplace(const server::Config& config) {
  if (config.data.empty())
    return fail(Code::InvalidArgument, "no data directory: give --data DIR, or set `data`");
  auto place = std::make_unique<Workplace>();
  const std::filesystem::path data = config.data;
  place->source = access::find_keyring(data, server::process_environment());
  GANTRY_TRY(const int version, state::read_schema_version(config.state.url, data));
  if (version == 0) return place;
  GANTRY_CHECK(check_schema(version));
  GANTRY_TRY(place->db, state::Db::open_url(config.state.url, data, {}, state::migrations()));
  place->audit = std::make_unique<access::AuditLog>(*place->db, place->clock, place->registry,
                                                    access::AuditLog::Options{});
  return place;
}

Result<void> require_database(const Workplace& place) {
  if (place.db != nullptr) return {};
  return fail(Code::NotFound, "there is no state database yet: the first start makes it");
}

}  // namespace gantry::cli
