#include "cli/gateway_secrets.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "cli/workplace_internal.h"
#include <fmt/core.h>
#include <termios.h>
#include <unistd.h>

#include "access/secrets/keyring_start.h"
#include "access/secrets/sealed_text.h"
#include "access/secrets/sealer.h"
#include "access/secrets/secret.h"
#include "core/rfc3339.h"
#include "gateway/provider_secrets.h"

namespace gantry::cli {
namespace {

/// What is typed does not show. Nothing is changed when standard input is no terminal.
class QuietTerminal {
 public:
  QuietTerminal() {
    termios quiet{};
    if (::tcgetattr(STDIN_FILENO, &quiet) != 0) return;
    before_ = quiet;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    static_cast<void>(::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet));
  }

  ~QuietTerminal() {
    if (!before_) return;
    static_cast<void>(::tcsetattr(STDIN_FILENO, TCSAFLUSH, &*before_));
    fmt::print(stderr, "\n");
  }

  QuietTerminal(const QuietTerminal&) = delete;
  QuietTerminal& operator=(const QuietTerminal&) = delete;

  [[nodiscard]] bool is_terminal() const { return before_.has_value(); }

 private:
  std::optional<termios> before_;
};

/// Without line breaks at its end.
Result<access::Secret> read_standard_input(std::string_view name) {
  const QuietTerminal terminal;
  if (terminal.is_terminal()) fmt::print(stderr, "Secret {}: ", name);
  access::Secret buffer(access::kSecretBytesMax + 1);
  std::size_t size = 0;
  while (size < buffer.size()) {
    const std::span<unsigned char> rest = buffer.bytes().subspan(size);
    const ssize_t count = ::read(STDIN_FILENO, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return fail(Code::Internal,
                  fmt::format("standard input: {}", std::generic_category().message(errno)));
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
    if (terminal.is_terminal() && buffer.view()[size - 1] == '\n') break;
  }
  std::string_view text = buffer.view().substr(0, size);
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  return access::Secret::copy_of(text);
}

using Act = std::function<Result<void>(const gateway::ProviderSecrets&)>;

int run(const ConfigFlags& flags, const Act& act) {
  const auto work = [&]() -> Result<void> {
    GANTRY_TRY(const server::LoadedConfig loaded, load_config(flags));
    GANTRY_TRY(const auto place, open_workplace(loaded.config));
    GANTRY_CHECK(require_database(*place));
    GANTRY_TRY(const auto keyring, access::open_keyring(place->source, *place->db, *place->audit));
    const access::Sealer sealer(
        {.keyring = *keyring, .audit = *place->audit, .clock = place->clock},
        {.algorithm = loaded.config.access.crypto});
    return act(gateway::ProviderSecrets(
        {.db = *place->db, .sealer = sealer, .audit = *place->audit, .clock = place->clock}));
  };
  const auto done = work();
  if (done) return 0;
  print_error(done.error().message);
  return 1;
}

}  // namespace

int set_gateway_secret(const ConfigFlags& flags, const std::string& name) {
  return run(flags, [&](const gateway::ProviderSecrets& secrets) -> Result<void> {
    GANTRY_TRY(const access::Secret secret, read_standard_input(name));
    GANTRY_CHECK(secrets.set(name, secret));
    fmt::print("sealed:{}\n", name);
    fmt::print(stderr, "A running server uses it from its next SIGHUP on.\n");
    return {};
  });
}

int list_gateway_secrets(const ConfigFlags& flags) {
  return run(flags, [](const gateway::ProviderSecrets& secrets) -> Result<void> {
    GANTRY_TRY(const auto listed, secrets.list());
    for (const access::SecretSummary& each : listed) {
      fmt::print("{:<32} {:<16} {}\n", "sealed:" + each.column, each.hint,
                 core::format_rfc3339(each.updated_at));
    }
    return {};
  });
}

int delete_gateway_secret(const ConfigFlags& flags, const std::string& name) {
  return run(flags, [&](const gateway::ProviderSecrets& secrets) { return secrets.erase(name); });
}

}  // namespace gantry::cli
