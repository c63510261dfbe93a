#include "cli/copy_state.h"

#include <filesystem>
#include <memory>
#include <system_error>

#include <fmt/core.h>

#include "access/first_start.h"
#include "access/secrets/keyring_source.h"
#include "state/database_copy.h"
#include "state/schema.h"
#include "storage/file.h"

namespace gantry::cli {
namespace {

Result<void> run(const server::Config& config, const std::string& url) {
  if (url.empty())
    return fail(Code::InvalidArgument,
                "where to? Set `state.url` (GANTRY_STATE_URL, or in --config), or give --to");
  if (config.data.empty())
    return fail(Code::InvalidArgument, "no data directory: give --data DIR, or set `data`");
  const std::filesystem::path data = config.data;
  const std::filesystem::path database = data / "gantry.db";
  std::error_code ignored;
  if (!std::filesystem::exists(database, ignored))
    return fail(Code::NotFound, fmt::format("there is no {}", database.string()));
  storage::PosixFileSystem files;
  // As the server holds it: what it would write meanwhile would be left behind.
  GANTRY_TRY(const auto lock, files.lock(data / "LOCK"));
  GANTRY_CHECK(state::check_copy_target(url));
  GANTRY_TRY(const auto from, state::Db::open(database, {}, state::migrations()));
  GANTRY_TRY(const auto to, state::Db::open_postgres(url, {}, state::migrations()));
  GANTRY_TRY(const auto copied, state::copy_database(*from, *to));
  for (const state::CopiedTable& table : copied)
    fmt::print("{:>10} rows of {}\n", table.row_count, table.name);
  fmt::print(
      "All of {} is in {} now. Start the server with `state.url` set, and with {} and {} as they "
      "are.\n",
      database.string(), to->name(), (data / access::kSecretKeyFile).string(),
      (data / access::kKeyringFile).string());
  return {};
}

}  // namespace

int copy_state(const ConfigFlags& flags, const std::string& url) {
  const auto loaded = load_config(flags);
  const auto done = loaded ? run(loaded->config, url.empty() ? loaded->config.state.url : url)
                           : Result<void>(std::unexpect, loaded.error());
  if (done) return 0;
  print_error(done.error().message);
  return 1;
}

}  // namespace gantry::cli
