#include "cli/backup.h"

#include <filesystem>
#include <system_error>

#include <fmt/core.h>

#include "access/first_start.h"
#include "access/secrets/keyring_source.h"
#include "core/rfc3339.h"
#include "core/time.h"
#include "state/database_copy.h"

namespace gantry::cli {
namespace {

/// "gantry-20300102T150405Z.db"
std::string file_name(TimestampMs now) {
  std::string time = core::format_rfc3339(TimestampMs{now.since_epoch / 1000 * 1000});
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  return fmt::format("gantry-{}.db", time);
}

Result<void> run(const server::Config& config, const std::string& output) {
  if (!config.state.url.empty())
    return fail(Code::FailedPrecondition,
                "state.url is set: organisations, tokens and users are in PostgreSQL, which is "
                "backed up with pg_dump");
  if (config.data.empty())
    return fail(Code::InvalidArgument, "no data directory: give --data DIR, or set `data`");
  const std::filesystem::path data = config.data;
  std::filesystem::path to = output;
  std::error_code ignored;
  if (output.ends_with('/') || std::filesystem::is_directory(to, ignored))
    to /= file_name(SystemClock().now());
  GANTRY_CHECK(state::backup_file(data / "gantry.db", to));
  fmt::print("{}\n", to.string());
  fmt::print(stderr,
             "Organisations, stacks, policies, tokens, users and the audit log are in it. Not in "
             "it, and to be backed up apart:\n"
             "  {}: without it no token in the backup can be checked\n"
             "  {}: without it no secret in the backup can be opened\n"
             "  {}: the telemetry\n",
             (data / access::kSecretKeyFile).string(), (data / access::kKeyringFile).string(),
             (data / "stacks").string());
  return {};
}

}  // namespace

int backup(const ConfigFlags& flags, const std::string& output) {
  const auto loaded = load_config(flags);
  const auto done =
      loaded ? run(loaded->config, output) : Result<void>(std::unexpect, loaded.error());
  if (done) return 0;
  print_error(done.error().message);
  return 1;
}

}  // namespace gantry::cli
