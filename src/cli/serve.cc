#include "cli/serve.h"

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <utility>

#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "access/first_start.h"
#include "core/log.h"
#include "server/announcement.h"
#include "server/server.h"

namespace gantry::cli {
namespace {

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGHUP, SIGTERM, SIGINT}) sigaddset(&set, number);
  return set;
}

/// Returns at the first signal that asks to stop.
void wait_for_stop(server::Server& server, const sigset_t& signals) {
  while (true) {
    int number = 0;
    if (sigwait(&signals, &number) != 0) continue;
    if (number != SIGHUP) {
      log::info("asked to stop", {{"signal", number == SIGTERM ? "SIGTERM" : "SIGINT"}});
      return;
    }
    // A failed reload is logged and counted; the server goes on as it was.
    static_cast<void>(server.reload());
  }
}

/// A core file would hold keys and secrets in clear. Sanitizers attach to their own process, which
/// this would forbid as well.
void forbid_core_dumps() {
#if !__has_feature(address_sanitizer) && !__has_feature(leak_sanitizer)
  ::prctl(PR_SET_DUMPABLE, 0);
#endif
}

void announce(const server::Server& server, const std::string& data) {
  if (!server.first_start()) return;
  const auto file = std::filesystem::path(data) / access::kFirstStartFile;
  fmt::print("{}", server::format_announcement(*server.first_start(), file.string()));
  std::fflush(stdout);
}

}  // namespace

int serve(const ConfigFlags& flags) {
  const auto loaded = load_config(flags);
  if (!loaded) {
    print_error(loaded.error().message);
    return 1;
  }
  // Blocked before any thread starts, so that every thread inherits it and only sigwait sees them.
  const sigset_t signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  ::umask(S_IRWXG | S_IRWXO);  // telemetry and tokens are nobody else's
  forbid_core_dumps();

  const auto load_again = [&flags]() -> Result<server::Config> {
    GANTRY_TRY(server::LoadedConfig again, load_config(flags));
    return std::move(again.config);
  };
  log::configure(loaded->config.log.level, loaded->config.log.format);
  for (const std::string& warning : loaded->warnings)
    log::warn("environment variable ignored", {{"what", warning}});
  auto server = server::Server::start(loaded->config, load_again);
  if (!server) {
    print_error(server.error().message);
    return 1;
  }
  announce(**server, loaded->config.data);
  wait_for_stop(**server, signals);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  return (*server)->stop() ? 0 : 1;
}

}  // namespace gantry::cli
