#include "access/idempotency.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include <sodium.h>

namespace gantry::access {
namespace {

std::array<std::byte, 32> hash_content(std::string_view content) {
  std::array<std::byte, 32> hash{};
  crypto_hash_sha256(reinterpret_cast<unsigned char*>(hash.data()),
                     reinterpret_cast<const unsigned char*>(content.data()), content.size());
  return hash;
}

}  // namespace

ControlResult<std::optional<KeptAnswer>> find_answer(OrgId org, state::Transaction& tx,
                                                     const SealedBox& box,
                                                     const RepeatableRequest& request,
                                                     TimestampMs now) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT body_hash, status, response FROM idempotent_requests WHERE org_id "
                        "= ? AND path = ? AND request_key = ? AND created_at_ms > ?"));
  select.bind(org.value())
      .bind(request.path)
      .bind(request.key)
      .bind((now - kAnswerKept).since_epoch);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  if (!std::ranges::equal(select.blob(0), hash_content(request.content)))
    return refuse(Code::AlreadyExists, "x-request-id was used for a different request");
  KeptAnswer answer{.status = static_cast<int>(select.integer(1)), .body = {}};
  GANTRY_TRY(answer.body, box.open(select.blob(2)));
  return answer;
}

Result<void> keep_answer(OrgId org, state::Transaction& tx, const SealedBox& box,
                         const RepeatableRequest& request, const KeptAnswer& answer,
                         TimestampMs now) {
  {
    GANTRY_TRY(
        state::Statement remove,
        tx.prepare("DELETE FROM idempotent_requests WHERE org_id = ? AND created_at_ms <= ?"));
    remove.bind(org.value()).bind((now - kAnswerKept).since_epoch);
    GANTRY_CHECK(remove.run());
  }
  const auto hash = hash_content(request.content);
  const auto sealed = box.seal(answer.body);
  GANTRY_TRY(state::Statement insert,
             tx.prepare("INSERT INTO idempotent_requests (org_id, path, request_key, body_hash, "
                        "status, response, created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)"));
  insert.bind(org.value())
      .bind(request.path)
      .bind(request.key)
      .bind(std::span<const std::byte>(hash))
      .bind(answer.status)
      .bind(std::span<const std::byte>(sealed))
      .bind(now.since_epoch);
  return insert.run();
}

}  // namespace gantry::access
