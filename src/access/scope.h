#pragma once

// What a token may do: "metrics:write". There is no wildcard.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace gantry::access {

enum class Scope : std::uint8_t {
  MetricsRead,
  MetricsWrite,
  MetricsImport,  ///< Back-dated writes, not bound by the out-of-order window.
  MetricsDelete,
  MetricsExport,
  LogsRead,
  LogsWrite,
  LogsDelete,
  TracesRead,
  TracesWrite,
  TracesDelete,
  ProfilesRead,
  ProfilesWrite,
  RulesRead,
  RulesWrite,
  AlertsRead,
  AlertsWrite,
  StacksRead,
  StacksWrite,
  StacksDelete,
  OrgsRead,
  OrgsWrite,
  AccessPoliciesRead,
  AccessPoliciesWrite,
  AccessPoliciesDelete,
  DestinationsRead,
  DestinationsWrite,
  PipelinesRead,
  PipelinesWrite,
  DashboardsRead,
  DashboardsWrite,
  LlmInvoke,
  AuditRead,
};
inline constexpr std::size_t kScopeCount = 33;

/// "metrics:read"
[[nodiscard]] std::string_view scope_name(Scope scope);

/// Null for a name that Gantry has no use for.
[[nodiscard]] std::optional<Scope> parse_scope(std::string_view name);

/// Sends data in: its 401 also offers a Basic challenge, because senders expect one.
[[nodiscard]] bool is_write_scope(Scope scope);

/// Changes nothing: its name ends in ":read".
[[nodiscard]] bool is_read_scope(Scope scope);

/// A set of scopes; empty at first.
class ScopeSet {
 public:
  constexpr ScopeSet() = default;

  constexpr ScopeSet(std::initializer_list<Scope> scopes) {
    for (const Scope scope : scopes) add(scope);
  }

  constexpr void add(Scope scope) { bits_ |= bit(scope); }

  [[nodiscard]] constexpr bool contains(Scope scope) const { return (bits_ & bit(scope)) != 0; }

  [[nodiscard]] constexpr bool is_empty() const { return bits_ == 0; }

  /// Every scope of `other` too.
  [[nodiscard]] constexpr bool includes(ScopeSet other) const {
    return (other.bits_ & ~bits_) == 0;
  }

  /// Those in both.
  [[nodiscard]] constexpr ScopeSet common(ScopeSet other) const {
    ScopeSet both;
    both.bits_ = bits_ & other.bits_;
    return both;
  }

  friend constexpr bool operator==(ScopeSet, ScopeSet) = default;

 private:
  static constexpr std::uint64_t bit(Scope scope) {
    return std::uint64_t{1} << static_cast<unsigned>(scope);
  }

  std::uint64_t bits_ = 0;
};

}  // namespace gantry::access
