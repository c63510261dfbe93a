#pragma once

// What a key has spent, ever and in the current day, week and month.

#include "core/time.h"
#include "gateway/generation.h"
#include "gateway/key_rows.h"

namespace gantry::gateway {

/// The sum; the largest amount where it does not fit.
[[nodiscard]] PicoUsd add_usd(PicoUsd a, PicoUsd b);

struct Spend {
  PicoUsd total;
  PicoUsd daily;
  PicoUsd weekly;
  PicoUsd monthly;

  friend bool operator==(const Spend&, const Spend&) = default;
};

/// Days, weeks from Monday and months are UTC's. Plain data.
struct KeySpend {
  Spend own;          ///< With the operator's provider keys.
  Spend byok;         ///< With the client's own.
  TimestampMs as_of;  ///< Whose day, week and month these are.

  /// Ends the windows that are over at `now`. A clock that was set back ends none.
  void roll(TimestampMs now);

  /// In the windows as of `as_of`.
  void add(PicoUsd own_cost, PicoUsd byok_cost);

  /// What counts against the key's limit, in the windows as of `as_of`.
  [[nodiscard]] PicoUsd against_limit(const GatewayKeySettings& settings) const;

  friend bool operator==(const KeySpend&, const KeySpend&) = default;
};

/// When what counts against the limit is next forgotten; absent for LimitReset::Never.
[[nodiscard]] std::optional<TimestampMs> next_reset(LimitReset reset, TimestampMs now);

}  // namespace gantry::gateway
