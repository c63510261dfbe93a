#pragma once

// Who is asking, resolved before any other code sees the request: which organisation and stack,
// which scopes, which part of the series.

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "access/scope.h"
#include "core/error.h"
#include "core/ids.h"

namespace gantry::access {

using OrgId = Id<struct OrgIdTag, std::int64_t>;

class LabelPolicySet;
struct QueryPolicy;

enum class TokenKind : std::uint8_t {
  AccessPolicy,  ///< `glc_`
  Bearer,        ///< `cqm_`: reads one stack through the read-only endpoint and nothing else.
  Legacy,        ///< An API key of the time before access policies, `eyJrIjoi`.
  Llm,           ///< `gtl_`
};

/// Which series and spans a principal may read: all, or those that a label policy shows. There is
/// no default constructor: whoever makes a Principal says it, and whoever hands out a source
/// (StackView) must ask. Cheap to copy.
class Visibility {
 public:
  [[nodiscard]] static Visibility everything() { return Visibility(nullptr); }

  /// Only what any of the policies shows; nothing when there is none. `policies` is not null.
  [[nodiscard]] static Visibility only(std::shared_ptr<const LabelPolicySet> policies) {
    GANTRY_ASSERT(policies != nullptr, "a restriction needs its policies");
    return Visibility(std::move(policies));
  }

  [[nodiscard]] bool is_everything() const { return policies_ == nullptr; }

  /// Null for everything.
  [[nodiscard]] const std::shared_ptr<const LabelPolicySet>& policies() const { return policies_; }

 private:
  explicit Visibility(std::shared_ptr<const LabelPolicySet> policies)
      : policies_(std::move(policies)) {}

  std::shared_ptr<const LabelPolicySet> policies_;
};

enum class PrincipalKind : std::uint8_t {
  Token,   ///< A token of an access policy.
  System,  ///< Gantry itself: its own metrics, its host's metrics.
};

/// Plain data, cheap enough to copy per request. It refers to exactly one stack.
struct Principal {
  PrincipalKind kind = PrincipalKind::Token;
  TokenKind token_kind = TokenKind::AccessPolicy;
  std::string policy_id;
  std::string policy_name;
  std::string token_id;
  OrgId org;
  StackId stack;
  ScopeSet scopes;
  Visibility visibility;
  std::shared_ptr<const QueryPolicy> query_policy;  ///< Null: the endpoint's own limits.
  std::optional<std::int64_t> earliest_ms;          ///< Older samples are not shown.
};

/// Gantry acting for itself on one stack.
[[nodiscard]] Principal system_principal(OrgId org, StackId stack, ScopeSet scopes);

}  // namespace gantry::access
