#pragma once

// Answers to requests that carry a key (X-Request-Id), kept for a day so that a client that lost
// the answer may send the request again.

#include <optional>
#include <string>
#include <string_view>

#include "access/control_plane.h"
#include "access/sealed_box.h"

namespace gantry::access {

inline constexpr DurationMs kAnswerKept{std::int64_t{24} * 3600 * 1000};

/// Which request it is. Keys of different askers do not meet: an answer may hold a new token.
struct RepeatableRequest {
  std::string path;  ///< Method, path and asker.
  std::string key;
  std::string content;  ///< Query string and body.
};

struct KeptAnswer {
  int status = 200;
  std::string body;
};

/// Null when the request is new. Errors: AlreadyExists (the key stands for another request).
[[nodiscard]] ControlResult<std::optional<KeptAnswer>> find_answer(OrgId org,
                                                                   state::Transaction& tx,
                                                                   const SealedBox& box,
                                                                   const RepeatableRequest& request,
                                                                   TimestampMs now);

/// In the transaction of the act. Forgets answers that are too old.
[[nodiscard]] Result<void> keep_answer(OrgId org, state::Transaction& tx, const SealedBox& box,
                                       const RepeatableRequest& request, const KeptAnswer& answer,
                                       TimestampMs now);

}  // namespace gantry::access
