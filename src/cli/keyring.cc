#include "cli/keyring.h"

#include <cstdio>
#include <optional>
#include <string>

#include "cli/workplace_internal.h"
#include <fmt/core.h>
#include <fmt/ranges.h>

#include "access/secrets/keyring_start.h"
#include "access/secrets/rewrap.h"
#include "access/secrets/sealer.h"

namespace gantry::cli {
namespace {

Result<void> init(const server::Config& config) {
  GANTRY_TRY(const auto place, open_workplace(config));
  if (place->db != nullptr)
    GANTRY_CHECK(access::init_keyring(place->source, *place->db, *place->audit));
  else
    GANTRY_CHECK(access::create_keyring(place->source, access::Keyring::make("k1")));
  fmt::print("{}\n", place->source.name());
  fmt::print(stderr,
             "Back it up apart from the database: neither is of use without the other. Replicas of "
             "one database need the same file.\n");
  return {};
}

Result<void> rotate(const server::Config& config) {
  GANTRY_TRY(const auto place, open_workplace(config));
  GANTRY_CHECK(require_database(*place));
  access::LiveKeyring keyring(place->source, std::nullopt);
  GANTRY_TRY(const std::string id, access::rotate_keyring(*place->db, keyring, *place->audit));
  fmt::print("{}: the active key is {} now\n", place->source.name(), id);
  fmt::print(stderr, "{}Back it up, then seal everything with it: gantry keyring rewrap\n",
             place->db->is_shared() ? "Copy it to the other replicas at once. " : "");
  return {};
}

Result<void> rewrap(const server::Config& config) {
  GANTRY_TRY(const auto place, open_workplace(config));
  GANTRY_CHECK(require_database(*place));
  access::LiveKeyring keyring(place->source, std::nullopt);
  const access::Sealer sealer({.keyring = keyring, .audit = *place->audit, .clock = place->clock},
                              {.algorithm = config.access.crypto});
  GANTRY_TRY(const access::Rewrapped done,
             access::rewrap_secrets(*place->db, sealer, *place->audit));
  fmt::print(
      "{:>10} data keys sealed again\n{:>10} secrets sealed again\n{:>10} old data keys removed\n",
      done.data_keys, done.secrets, done.removed_keys);
  if (!done.unused.empty())
    fmt::print("{} needs no more, but for older backups: {}\n", place->source.name(),
               fmt::join(done.unused, ", "));
  if (done.failures.empty()) return {};
  for (const std::string& failure : done.failures) fmt::print(stderr, "{}\n", failure);
  return fail(Code::DataLoss,
              fmt::format("{} could not be opened and stay as they were", done.failures.size()));
}

int run(const ConfigFlags& flags, Result<void> (*act)(const server::Config&)) {
  const auto loaded = load_config(flags);
  const auto done = loaded ? act(loaded->config) : Result<void>(std::unexpect, loaded.error());
  if (done) return 0;
  print_error(done.error().message);
  return 1;
}

}  // namespace

int init_keyring(const ConfigFlags& flags) {
  return run(flags, init);
}

int rotate_keyring(const ConfigFlags& flags) {
  return run(flags, rotate);
}

int rewrap_secrets(const ConfigFlags& flags) {
  return run(flags, rewrap);
}

}  // namespace gantry::cli
