#pragma once

// Label policies: which series a restricted principal may read.
//
//   auto policies = LabelPolicySet::parse({R"({ns="a"})", R"({ns="b",env!="prod"})"});
//   policies->shows(labels)      // any policy shows them; a policy shows them when all its
//   matchers
//                                // hold; a label that is missing is the empty string
//
// Selectors have PromQL's grammar, without its demand for a matcher that excludes the empty string:
// `{secret!="true"}` is what people write to hide something.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/principal.h"
#include "access/scope.h"
#include "core/error.h"
#include "promql/matcher.h"
#include "telemetry/labels.h"

namespace gantry::access {

inline constexpr std::size_t kLabelPoliciesMax = 50;
inline constexpr std::size_t kLabelPolicyMatchersMax = 20;
inline constexpr std::size_t kLabelSelectorBytesMax = 2048;
inline constexpr std::size_t kLabelRegexBytesMax = 512;
inline constexpr std::int64_t kLabelRegexProgramBytesMax = std::int64_t{1} << 20;

/// One selector in canonical form: matchers sorted by name, operator and value, without duplicates.
/// Immutable.
class LabelPolicy {
 public:
  /// Errors, all InvalidArgument with a message for whoever writes the policy: what is no selector,
  /// `{}`, an empty label name, bytes that are not UTF-8, the limits above.
  static Result<LabelPolicy> parse(std::string_view selector);

  [[nodiscard]] const std::vector<promql::Matcher>& matchers() const { return matchers_; }

  /// The plain definition; VisibleSeries has a quick one.
  [[nodiscard]] bool shows(std::span<const telemetry::LabelView> labels) const;

  /// Parses to the same policy.
  [[nodiscard]] std::string text() const;

 private:
  friend class LabelPolicySet;
  explicit LabelPolicy(std::vector<promql::Matcher> matchers);

  std::vector<promql::Matcher> matchers_;
};

/// Matchers that hold for every series that a policy set shows, so that a store need not look at
/// most of the others.
struct LabelPrefilter {
  std::vector<promql::Matcher> matchers;
  bool is_exact = false;  ///< They hold for no other series.
};

/// Policies of which any one suffices, sorted and without duplicates. Immutable, so thread-safe.
class LabelPolicySet {
 public:
  /// Errors, all InvalidArgument: those of LabelPolicy::parse with the number of the selector, none
  /// at all, more than kLabelPoliciesMax.
  static Result<LabelPolicySet> parse(std::span<const std::string> selectors);

  /// Shows no series: what is left when policies cannot be read.
  static LabelPolicySet nothing();

  /// Shows what both show.
  static LabelPolicySet intersection(const LabelPolicySet& a, const LabelPolicySet& b);

  [[nodiscard]] const std::vector<LabelPolicy>& policies() const { return policies_; }

  /// No policy: nothing is shown, whatever its labels.
  [[nodiscard]] bool is_empty() const { return policies_.empty(); }

  [[nodiscard]] bool shows(std::span<const telemetry::LabelView> labels) const;

  [[nodiscard]] const LabelPrefilter& prefilter() const { return prefilter_; }

  /// Whether this can be seen to show nothing that `wider` does not: each policy has all matchers
  /// of one of `wider`. False when it would take reasoning about values.
  [[nodiscard]] bool is_within(const LabelPolicySet& wider) const;

  /// SHA-256 of the canonical form with lengths before each string, so that no two sets share one.
  [[nodiscard]] const std::array<std::uint8_t, 32>& digest() const { return digest_; }

 private:
  explicit LabelPolicySet(std::vector<LabelPolicy> policies);

  std::vector<LabelPolicy> policies_;
  LabelPrefilter prefilter_;
  std::array<std::uint8_t, 32> digest_{};
};

/// What a realm with these selectors shows; absent: everything. Fails closed: a list that is empty
/// or cannot be read shows nothing, which is logged as lbac.policy_error under `policy_id`.
[[nodiscard]] Visibility read_visibility(const std::optional<std::vector<std::string>>& selectors,
                                         std::string_view policy_id);

/// As LabelPolicySet::is_within, where everything is widest.
[[nodiscard]] bool is_within(const Visibility& narrower, const Visibility& wider);

/// The part of a cache key that says whose answer it is: "unrestricted", or the digest in
/// hexadecimal.
[[nodiscard]] std::string visibility_key(const Visibility& visibility);

/// Scopes that a label policy can restrict. Who has one holds no others: a writer could forge
/// labels, a rule runs with Gantry's rights, an export passes by the engine.
[[nodiscard]] bool is_restrictable(Scope scope);

/// For saving an access policy of which a realm has label policies. Errors: InvalidArgument, with
/// the text that the API promises.
Result<void> check_restricted_scopes(std::span<const std::string> scope_names);

/// Sentences for whoever saves the policies: what probably shows more, or less, than was meant.
/// `label_names`: those of the stack's series, sorted; absent: not known.
[[nodiscard]] std::vector<std::string> label_policy_warnings(
    const LabelPolicySet& policies, std::optional<std::span<const std::string>> label_names);

}  // namespace gantry::access
