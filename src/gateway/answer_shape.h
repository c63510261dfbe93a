#pragma once

// A provider's answer as the client gets it: the provider's own bytes but for a few members.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/generation.h"

namespace gantry::gateway {

/// What stands in a client's answer in place of the provider's own.
struct AnswerShape {
  Api api = Api::Chat;
  std::string generation_id;
  std::string model;                ///< The catalogue's name of what serves.
  std::string provider_name;        ///< "": the answer says nothing of the provider.
  std::int64_t created_unix_s = 0;  ///< For chunks of the gateway's own.
  bool forwards_usage = false;      ///< Of streams: the client asked for it.
  Pricing pricing = {};             ///< For the cost in a usage.
};

/// An answer in one piece, of Chat, Completions or Embeddings: id (not for Embeddings), model and
/// provider are set, finish reasons outside the standard are normalised, and a usage says
/// what the call cost, if that is known. Nothing if it is not a JSON object or an error: such an
/// answer is the attempt's failure.
[[nodiscard]] std::optional<std::string> splice_answer(std::string_view body,
                                                       const AnswerShape& shape);

}  // namespace gantry::gateway
