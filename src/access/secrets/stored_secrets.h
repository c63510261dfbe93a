#pragma once

// Secrets that must be given back in clear to be used: credentials of destinations, keys of
// upstreams. Whoever owns a row (a destination, a provider) keeps its secrets here and not in
// columns of its own, so that one rotation finds them all.
//
//   const SealPlace place{.org = org, .table = "destinations", .column = "apiKey", .row = id};
//   check_secret_text(problems, "secrets.apiKey", text, hint_before);
//   GANTRY_TRY(AuditChange changed, secrets.set(change.tx(), place, Secret::copy_of(text), now));
//   …
//   GANTRY_TRY(std::optional<Secret> key, secrets.open(tx, place));   // where it is sent, not
//   before
//
// Written, never read back by a person: an API shows SecretSummary.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/audit.h"
#include "access/control_error.h"
#include "access/secrets/sealer.h"
#include "core/error.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::access {

/// What an API may show of a secret that is set.
struct SecretSummary {
  std::string column;  ///< As in its place.
  std::string hint;    ///< "glc_…9fQ2"; "…" for one that is short or of several lines.
  TimestampMs updated_at;
};

/// Thread-safe. `sealer` outlives it; transactions are the caller's, write transactions where
/// something changes.
class StoredSecrets {
 public:
  explicit StoredSecrets(const Sealer& sealer) : sealer_(&sealer) {}

  /// Sets or replaces; the change for the audit log says which, and its field is the place's
  /// column. Errors: as Sealer::seal.
  [[nodiscard]] Result<AuditChange> set(state::Transaction& tx, const SealPlace& place,
                                        const Secret& clear, TimestampMs now) const;

  /// Null: none is set. Errors: as Sealer::open.
  [[nodiscard]] Result<std::optional<Secret>> open(state::Transaction& tx,
                                                   const SealPlace& place) const;

 private:
  const Sealer* sealer_;
};

/// The change for the audit log; null: none was set.
[[nodiscard]] Result<std::optional<AuditChange>> erase_secret(state::Transaction& tx,
                                                              const SealPlace& place);

/// All of one row, which is being deleted.
[[nodiscard]] Result<void> erase_secrets(OrgId org, state::Transaction& tx, std::string_view table,
                                         std::string_view row);

/// All of an organisation, with the keys: what backups hold of them cannot be opened by this
/// database any more.
[[nodiscard]] Result<void> erase_secrets(OrgId org, state::Transaction& tx);

/// By column.
[[nodiscard]] Result<std::vector<SecretSummary>> list_secrets(OrgId org, state::Transaction& tx,
                                                              std::string_view table,
                                                              std::string_view row);

/// What people recognise a secret by: up to four letters with '_' or '-' before, the last four
/// characters. Never says how long it is.
[[nodiscard]] std::string secret_hint(std::string_view text);

/// A problem when `text` cannot be meant as a secret: empty, too long, or the mask that an API has
/// shown instead of the secret. `hint_before`: the one now shown; "" when none is set.
void check_secret_text(std::vector<FieldProblem>& problems, std::string_view path,
                       std::string_view text, std::string_view hint_before);

}  // namespace gantry::access
