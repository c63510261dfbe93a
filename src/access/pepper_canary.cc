#include "access/pepper_canary.h"

#include <cstddef>
#include <optional>
#include <span>

#include "access/token.h"

namespace gantry::access {
namespace {

// Not of any token's form.
constexpr std::string_view kCanaryText = "gantry pepper canary";

/// Null when there is none for that pepper.
Result<std::optional<bool>> is_canary_of(state::Transaction& tx, const Pepper& pepper,
                                         const TokenHash& canary) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT canary FROM pepper_canaries WHERE pepper_id = ?"));
  select.bind(pepper.id);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  const auto stored = select.blob(0);
  return is_equal_secret(canary,
                         {reinterpret_cast<const unsigned char*>(stored.data()), stored.size()});
}

Result<void> insert_canary(state::Transaction& tx, const Pepper& pepper, const TokenHash& canary) {
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO pepper_canaries (pepper_id, canary) VALUES (?, ?)"));
  insert.bind(pepper.id).bind(std::as_bytes(std::span(canary)));
  return insert.run();
}

}  // namespace

Result<bool> has_pepper_canaries(state::Transaction& tx) {
  GANTRY_TRY(state::Statement select, tx.prepare("SELECT 1 FROM pepper_canaries LIMIT 1"));
  return select.step();
}

Result<bool> check_pepper_canaries(state::Transaction& tx, const SecretKey& key) {
  GANTRY_TRY(const bool has_some, has_pepper_canaries(tx));
  bool is_known = false;
  for (const Pepper& pepper : key.peppers) {
    const TokenHash canary = TokenHasher(SecretKey{.peppers = {pepper}}).hash(kCanaryText);
    GANTRY_TRY(const std::optional<bool> is_same, is_canary_of(tx, pepper, canary));
    if (is_same && !*is_same) return false;
    is_known |= is_same.has_value();
  }
  // A key of none but new peppers has not grown out of the one that was used here.
  if (has_some && !is_known) return false;
  for (const Pepper& pepper : key.peppers) {
    const TokenHash canary = TokenHasher(SecretKey{.peppers = {pepper}}).hash(kCanaryText);
    GANTRY_TRY(const std::optional<bool> is_same, is_canary_of(tx, pepper, canary));
    if (!is_same) GANTRY_CHECK(insert_canary(tx, pepper, canary));
  }
  return true;
}

}  // namespace gantry::access
