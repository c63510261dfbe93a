#pragma once

// Secrets of providers that the state database keeps, sealed: a key of the configuration refers to
// one as "sealed:NAME".
//
//   const ProviderSecrets secrets({.db = db, .sealer = sealer, .audit = audit, .clock = clock});
//   GANTRY_CHECK(secrets.set("openai", access::Secret::copy_of(text)));
//   …
//   GANTRY_TRY(const std::string key, secrets.read_reference("sealed:openai"));

#include <string>
#include <string_view>
#include <vector>

#include "access/audit.h"
#include "access/secrets/sealer.h"
#include "access/secrets/secret.h"
#include "access/secrets/stored_secrets.h"
#include "core/error.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::gateway {

/// Providers belong to the installation; what they need is kept with its first organisation, whose
/// deletion takes it away. Each change is in the audit log, without the secret. Blocks on the
/// database. Thread-safe.
class ProviderSecrets {
 public:
  /// All outlive it.
  struct Parts {
    state::Db& db;
    const access::Sealer& sealer;
    access::AuditLog& audit;
    const Clock& clock;
  };

  explicit ProviderSecrets(const Parts& parts) : parts_(parts) {}

  /// Sets or replaces. Errors: InvalidArgument (the name is not 1 to 64 of a-z, A-Z, 0-9, '.', '_'
  /// and '-'; the text is empty, too long, a mask or not one line of visible characters), NotFound
  /// (there is no organisation yet), those of sealing.
  Result<void> set(std::string_view name, const access::Secret& clear) const;

  /// Errors: NotFound.
  Result<void> erase(std::string_view name) const;

  /// By name, which is `column`.
  [[nodiscard]] Result<std::vector<access::SecretSummary>> list() const;

  /// As read_secret, which it calls for references to elsewhere. Errors of "sealed:NAME", with the
  /// name: NotFound, those of opening what was sealed.
  [[nodiscard]] Result<std::string> read_reference(std::string_view reference) const;

 private:
  Parts parts_;
};

}  // namespace gantry::gateway
