#include "access/one_time_secrets.h"

#include <array>
#include <span>

#include <sodium.h>

namespace gantry::access {
namespace {

std::span<const std::byte> bytes_of(const TokenHash& hash) {
  return std::as_bytes(std::span(hash));
}

struct Found {
  TokenHash hash{};
  OneTimeSecret secret;
};

Result<std::optional<Found>> find(state::Transaction& tx, const TokenHasher& hasher,
                                  std::string_view purpose, std::string_view secret,
                                  TimestampMs now) {
  for (const TokenHash& hash : hasher.hashes(secret)) {
    GANTRY_TRY(state::Statement select,
               tx.prepare("SELECT coalesce(user_id, ''), payload, expires_at_ms FROM "
                          "one_time_secrets WHERE hash = ? AND purpose = ? AND used_at_ms IS NULL "
                          "AND expires_at_ms > ?"));
    select.bind(bytes_of(hash)).bind(purpose).bind(now.since_epoch);
    GANTRY_TRY(const bool has_row, select.step());
    if (has_row)
      return Found{.hash = hash,
                   .secret = {.purpose = purpose,
                              .user_id = std::string(select.text(0)),
                              .payload = std::string(select.text(1)),
                              .expires_at = {select.integer(2)}}};
  }
  return std::nullopt;
}

}  // namespace

std::string make_url_secret() {
  std::array<unsigned char, 32> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  std::string text(
      sodium_base64_ENCODED_LEN(bytes.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(),
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  text.pop_back();  // the terminating zero
  return text;
}

Result<std::string> add_one_time_secret(state::Transaction& tx, const TokenHasher& hasher,
                                        const OneTimeSecret& secret, TimestampMs now) {
  std::string value = make_url_secret();
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO one_time_secrets (hash, purpose, user_id, payload, "
                        "created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?, ?, ?)"));
  insert.bind(bytes_of(hasher.hash(value))).bind(secret.purpose);
  if (secret.user_id.empty())
    insert.bind_null();
  else
    insert.bind(secret.user_id);
  insert.bind(secret.payload).bind(now.since_epoch).bind(secret.expires_at.since_epoch);
  GANTRY_CHECK(insert.run());
  return value;
}

Result<std::optional<OneTimeSecret>> find_one_time_secret(state::Transaction& tx,
                                                          const TokenHasher& hasher,
                                                          std::string_view purpose,
                                                          std::string_view secret,
                                                          TimestampMs now) {
  GANTRY_TRY(std::optional<Found> found, find(tx, hasher, purpose, secret, now));
  if (!found) return std::nullopt;
  return std::move(found->secret);
}

Result<std::optional<OneTimeSecret>> take_one_time_secret(state::Transaction& tx,
                                                          const TokenHasher& hasher,
                                                          std::string_view purpose,
                                                          std::string_view secret,
                                                          TimestampMs now) {
  GANTRY_TRY(std::optional<Found> found, find(tx, hasher, purpose, secret, now));
  if (!found) return std::nullopt;
  GANTRY_TRY(state::Statement update,
             tx.prepare("UPDATE one_time_secrets SET used_at_ms = ? WHERE hash = ? AND used_at_ms "
                        "IS NULL"));
  update.bind(now.since_epoch).bind(bytes_of(found->hash));
  GANTRY_CHECK(update.run());
  if (tx.changed_rows() != 1) return std::nullopt;
  return std::move(found->secret);
}

Result<bool> claim_once(state::Transaction& tx, const TokenHasher& hasher, std::string_view purpose,
                        std::string_view value, TimestampMs now, TimestampMs expires_at) {
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO one_time_secrets (hash, purpose, created_at_ms, "
                        "expires_at_ms, used_at_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT (hash) DO "
                        "NOTHING"));
  insert.bind(bytes_of(hasher.hash(value))).bind(purpose).bind(now.since_epoch);
  insert.bind(expires_at.since_epoch).bind(now.since_epoch);
  GANTRY_CHECK(insert.run());
  return tx.changed_rows() == 1;
}

Result<void> remove_one_time_secrets(state::Transaction& tx, std::string_view purpose,
                                     std::string_view user_id) {
  GANTRY_TRY(state::Statement remove,
             tx.prepare("DELETE FROM one_time_secrets WHERE purpose = ? AND user_id = ?"));
  remove.bind(purpose).bind(user_id);
  return remove.run();
}

Result<void> remove_expired_one_time_secrets(state::Transaction& tx, TimestampMs now) {
  GANTRY_TRY(state::Statement remove,
             tx.prepare("DELETE FROM one_time_secrets WHERE expires_at_ms <= ?"));
  remove.bind(now.since_epoch);
  return remove.run();
}

}  // namespace gantry::access
