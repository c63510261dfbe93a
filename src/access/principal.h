#pragma once

// Who is asking, resolved before any other code sees the request: which organisation and stack,
// which scopes, which part of the series.

#include <compare>
#include <cstdint>
#include <string>

#include "access/scope.h"
#include "core/ids.h"

namespace gantry::access {

using OrgId = Id<struct OrgIdTag, std::int64_t>;

/// Which series a principal may read. There is no default constructor: whoever makes a Principal
/// says it, and whoever hands out a source (StackView) must ask.
class SeriesVisibility {
 public:
  [[nodiscard]] static SeriesVisibility everything() { return SeriesVisibility(); }

 private:
  SeriesVisibility() = default;
};

enum class PrincipalKind : std::uint8_t {
  Token,   ///< A token of an access policy.
  System,  ///< Gantry itself: its own metrics, its host's metrics.
};

/// Plain data, cheap enough to copy per request. It refers to exactly one stack.
struct Principal {
  PrincipalKind kind = PrincipalKind::Token;
  std::string policy_id;
  std::string policy_name;
  std::string token_id;
  OrgId org;
  StackId stack;
  ScopeSet scopes;
  SeriesVisibility visibility;
};

/// Gantry acting for itself on one stack.
[[nodiscard]] Principal system_principal(OrgId org, StackId stack, ScopeSet scopes);

}  // namespace gantry::access
