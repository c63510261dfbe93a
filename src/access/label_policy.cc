#include "access/label_policy.h"

#include <algorithm>
#include <memory>
#include <tuple>
#include <utility>

#include <fmt/core.h>
#include <sodium.h>

#include "core/log.h"
#include "core/utf8.h"
#include "promql/parser.h"
#include "promql/regex_size.h"

namespace gantry::access {
namespace {

using promql::Matcher;
using promql::MatchOp;

/// Alternatives that a prefilter may have: as many as a Matcher keeps as plain texts.
constexpr std::size_t kPrefilterValuesMax = 4096;

std::tuple<std::string_view, MatchOp, std::string_view> key_of(const Matcher& matcher) {
  return {matcher.name(), matcher.op(), matcher.value()};
}

bool is_before(const Matcher& a, const Matcher& b) {
  return key_of(a) < key_of(b);
}

bool is_same(const Matcher& a, const Matcher& b) {
  return key_of(a) == key_of(b);
}

bool has_matchers_before(const LabelPolicy& a, const LabelPolicy& b) {
  return std::ranges::lexicographical_compare(a.matchers(), b.matchers(), is_before);
}

bool has_same_matchers(const LabelPolicy& a, const LabelPolicy& b) {
  return std::ranges::equal(a.matchers(), b.matchers(), is_same);
}

bool is_regex(const Matcher& matcher) {
  return matcher.op() == MatchOp::Regex || matcher.op() == MatchOp::NotRegex;
}

bool is_negative(const Matcher& matcher) {
  return matcher.op() == MatchOp::NotEqual || matcher.op() == MatchOp::NotRegex;
}

Result<void> check_matcher(const Matcher& matcher) {
  if (matcher.name().empty()) return fail(Code::InvalidArgument, "a label name is empty");
  if (!core::is_valid_utf8(matcher.name()) || !core::is_valid_utf8(matcher.value()))
    return fail(Code::InvalidArgument, "a label name or value is not valid UTF-8");
  if (!is_regex(matcher)) return {};
  if (matcher.value().size() > kLabelRegexBytesMax)
    return fail(Code::InvalidArgument,
                fmt::format("a regular expression has {} bytes, the limit is {}",
                            matcher.value().size(), kLabelRegexBytesMax));
  return promql::check_regex_size(matcher.value(), kLabelRegexProgramBytesMax);
}

void append_u32(std::vector<unsigned char>& out, std::size_t value) {
  for (const int shift : {24, 16, 8, 0})
    out.push_back(static_cast<unsigned char>((value >> shift) & 0xff));
}

void append_text(std::vector<unsigned char>& out, std::string_view text) {
  append_u32(out, text.size());
  out.insert(out.end(), text.begin(), text.end());
}

std::array<std::uint8_t, 32> digest_of(const std::vector<LabelPolicy>& policies) {
  std::vector<unsigned char> encoded;
  append_u32(encoded, policies.size());
  for (const LabelPolicy& policy : policies) {
    append_u32(encoded, policy.matchers().size());
    for (const Matcher& matcher : policy.matchers()) {
      encoded.push_back(static_cast<unsigned char>(matcher.op()));
      append_text(encoded, matcher.name());
      append_text(encoded, matcher.value());
    }
  }
  std::array<std::uint8_t, 32> digest{};
  static_assert(crypto_hash_sha256_BYTES == digest.size());
  crypto_hash_sha256(digest.data(), encoded.data(), encoded.size());
  return digest;
}

/// The values that a matcher accepts, when it can list them.
std::optional<std::vector<std::string>> accepted_values(const Matcher& matcher) {
  if (matcher.op() == MatchOp::Equal) return std::vector{matcher.value()};
  if (matcher.op() != MatchOp::Regex || matcher.literal_alternatives() == nullptr)
    return std::nullopt;
  return *matcher.literal_alternatives();
}

/// =~"a|b" of these values, or = of the only one.
std::optional<Matcher> matcher_of_values(const std::string& name,
                                         const std::vector<std::string>& values) {
  constexpr std::string_view kMetaCharacters = R"(\.+*?()|[]{}^$)";
  if (values.size() > kPrefilterValuesMax) return std::nullopt;
  if (values.size() == 1) return *Matcher::make(MatchOp::Equal, name, values.front());
  std::string expression;
  for (const std::string& value : values) {
    if (&value != &values.front()) expression.push_back('|');
    for (const char c : value) {
      if (kMetaCharacters.contains(c)) expression.push_back('\\');
      expression.push_back(c);
    }
  }
  auto made = Matcher::make(MatchOp::Regex, name, std::move(expression));
  // Anything but plain texts would have to be tried on every value of the label.
  if (!made || made->literal_alternatives() == nullptr) return std::nullopt;
  return *std::move(made);
}

/// What some matcher of each list says about the label's values, as one matcher.
std::optional<Matcher> matcher_of_all(const std::string& name,
                                      const std::vector<std::vector<Matcher>>& lists) {
  std::vector<std::string> values;
  for (const std::vector<Matcher>& list : lists) {
    std::optional<std::vector<std::string>> accepted;
    for (const Matcher& matcher : list)
      if (!accepted && matcher.name() == name) accepted = accepted_values(matcher);
    if (!accepted) return std::nullopt;
    values.insert(values.end(), accepted->begin(), accepted->end());
  }
  std::ranges::sort(values);
  const auto repeated = std::ranges::unique(values);
  values.erase(repeated.begin(), repeated.end());
  return matcher_of_values(name, values);
}

LabelPrefilter prefilter_of(const std::vector<LabelPolicy>& policies) {
  LabelPrefilter prefilter;
  if (policies.empty()) return prefilter;
  prefilter.matchers = policies.front().matchers();
  for (const LabelPolicy& policy : policies) {
    std::vector<Matcher> common;
    std::ranges::set_intersection(prefilter.matchers, policy.matchers(), std::back_inserter(common),
                                  is_before);
    prefilter.matchers = std::move(common);
  }
  std::vector<std::vector<Matcher>> rests;
  for (const LabelPolicy& policy : policies) {
    std::ranges::set_difference(policy.matchers(), prefilter.matchers,
                                std::back_inserter(rests.emplace_back()), is_before);
  }
  // A policy without more than what is common to all shows whatever any other shows.
  prefilter.is_exact = std::ranges::any_of(rests, [](const auto& rest) { return rest.empty(); });
  if (prefilter.is_exact) return prefilter;
  std::string previous_name;
  for (const Matcher& matcher : rests.front()) {
    if (std::exchange(previous_name, matcher.name()) == matcher.name()) continue;
    auto of_all = matcher_of_all(matcher.name(), rests);
    if (!of_all) continue;
    prefilter.matchers.push_back(*std::move(of_all));
    prefilter.is_exact = std::ranges::all_of(rests, [](const auto& r) { return r.size() == 1; });
  }
  return prefilter;
}

std::string_view find_value(std::span<const telemetry::LabelView> labels, std::string_view name) {
  const auto found = std::ranges::find(labels, name, &telemetry::LabelView::name);
  return found == labels.end() ? std::string_view() : found->value;
}

}  // namespace

LabelPolicy::LabelPolicy(std::vector<Matcher> matchers) : matchers_(std::move(matchers)) {
  std::ranges::sort(matchers_, is_before);
  const auto repeated = std::ranges::unique(matchers_, is_same);
  matchers_.erase(repeated.begin(), repeated.end());
}

Result<LabelPolicy> LabelPolicy::parse(std::string_view selector) {
  if (selector.size() > kLabelSelectorBytesMax)
    return fail(Code::InvalidArgument, fmt::format("the selector has {} bytes, the limit is {}",
                                                   selector.size(), kLabelSelectorBytesMax));
  GANTRY_TRY(std::vector<Matcher> matchers, promql::parse_metric_selector(selector));
  if (matchers.empty())
    return fail(Code::InvalidArgument,
                "the selector has no matcher: leave label policies out to show everything");
  if (matchers.size() > kLabelPolicyMatchersMax)
    return fail(Code::InvalidArgument, fmt::format("the selector has {} matchers, the limit is {}",
                                                   matchers.size(), kLabelPolicyMatchersMax));
  for (const Matcher& matcher : matchers) GANTRY_CHECK(check_matcher(matcher));
  return LabelPolicy(std::move(matchers));
}

bool LabelPolicy::shows(std::span<const telemetry::LabelView> labels) const {
  return std::ranges::all_of(matchers_, [&](const Matcher& matcher) {
    return matcher.matches(find_value(labels, matcher.name()));
  });
}

std::string LabelPolicy::text() const {
  std::string out = "{";
  for (const Matcher& matcher : matchers_) {
    if (out.size() > 1) out.push_back(',');
    if (telemetry::is_legacy_label_name(matcher.name()))
      out += matcher.name();
    else
      telemetry::append_go_quoted(out, matcher.name());
    out += promql::match_op_text(matcher.op());
    telemetry::append_go_quoted(out, matcher.value());
  }
  out.push_back('}');
  return out;
}

LabelPolicySet::LabelPolicySet(std::vector<LabelPolicy> policies) : policies_(std::move(policies)) {
  std::ranges::sort(policies_, has_matchers_before);
  const auto repeated = std::ranges::unique(policies_, has_same_matchers);
  policies_.erase(repeated.begin(), repeated.end());
  prefilter_ = prefilter_of(policies_);
  digest_ = digest_of(policies_);
}

Result<LabelPolicySet> LabelPolicySet::parse(std::span<const std::string> selectors) {
  if (selectors.empty())
    return fail(Code::InvalidArgument,
                "the list of label policies is empty: leave it out to show everything");
  if (selectors.size() > kLabelPoliciesMax)
    return fail(Code::InvalidArgument, fmt::format("{} label policies, the limit is {}",
                                                   selectors.size(), kLabelPoliciesMax));
  std::vector<LabelPolicy> policies;
  for (std::size_t i = 0; i < selectors.size(); ++i) {
    auto policy = LabelPolicy::parse(selectors[i]);
    if (!policy)
      return fail(policy.error().code,
                  fmt::format("label policy {}: {}", i + 1, policy.error().message));
    policies.push_back(*std::move(policy));
  }
  return LabelPolicySet(std::move(policies));
}

LabelPolicySet LabelPolicySet::nothing() {
  return LabelPolicySet({});
}

LabelPolicySet LabelPolicySet::intersection(const LabelPolicySet& a, const LabelPolicySet& b) {
  std::vector<LabelPolicy> both;
  both.reserve(a.policies_.size() * b.policies_.size());
  for (const LabelPolicy& of_a : a.policies_) {
    for (const LabelPolicy& of_b : b.policies_) {
      std::vector<Matcher> matchers = of_a.matchers();
      matchers.insert(matchers.end(), of_b.matchers().begin(), of_b.matchers().end());
      both.push_back(LabelPolicy(std::move(matchers)));
    }
  }
  return LabelPolicySet(std::move(both));
}

bool LabelPolicySet::shows(std::span<const telemetry::LabelView> labels) const {
  return std::ranges::any_of(policies_,
                             [&](const LabelPolicy& policy) { return policy.shows(labels); });
}

bool LabelPolicySet::is_within(const LabelPolicySet& wider) const {
  return std::ranges::all_of(policies_, [&](const LabelPolicy& policy) {
    return std::ranges::any_of(wider.policies_, [&](const LabelPolicy& wide) {
      return std::ranges::includes(policy.matchers(), wide.matchers(), is_before);
    });
  });
}

Visibility read_visibility(const std::optional<std::vector<std::string>>& selectors,
                           std::string_view policy_id) {
  if (!selectors) return Visibility::everything();
  auto policies = LabelPolicySet::parse(*selectors);
  if (!policies) {
    log::error("lbac.policy_error", {{"policy", policy_id}, {"error", policies.error().message}});
    policies = LabelPolicySet::nothing();
  }
  return Visibility::only(std::make_shared<const LabelPolicySet>(*std::move(policies)));
}

bool is_within(const Visibility& narrower, const Visibility& wider) {
  if (wider.is_everything()) return true;
  return !narrower.is_everything() && narrower.policies()->is_within(*wider.policies());
}

std::string visibility_key(const Visibility& visibility) {
  if (visibility.is_everything()) return "unrestricted";
  std::string key;
  for (const std::uint8_t byte : visibility.policies()->digest())
    key += fmt::format("{:02x}", byte);
  return key;
}

bool is_restrictable(Scope scope) {
  return scope == Scope::MetricsRead || scope == Scope::LogsRead || scope == Scope::TracesRead ||
         scope == Scope::StacksRead;
}

Result<void> check_restricted_scopes(std::span<const std::string> scope_names) {
  for (const std::string& name : scope_names) {
    const auto scope = parse_scope(name);
    if (!scope || !is_restrictable(*scope))
      return fail(Code::InvalidArgument, "label policies can only be combined with read scopes");
  }
  return {};
}

std::vector<std::string> label_policy_warnings(
    const LabelPolicySet& policies, std::optional<std::span<const std::string>> label_names) {
  std::vector<std::string> warnings;
  std::vector<std::string_view> unknown;
  for (const LabelPolicy& policy : policies.policies()) {
    if (std::ranges::all_of(policy.matchers(), is_negative))
      warnings.push_back(fmt::format(
          "label policy {} only excludes: it also shows every series without its labels",
          policy.text()));
    for (const Matcher& matcher : policy.matchers()) {
      if (matcher.op() == MatchOp::Regex && matcher.matches_empty())
        warnings.push_back(
            fmt::format("label policy {} also shows every series without the label \"{}\": its "
                        "regular expression matches the empty string",
                        policy.text(), matcher.name()));
      if (label_names && !std::ranges::binary_search(*label_names, matcher.name()) &&
          std::ranges::find(unknown, matcher.name()) == unknown.end())
        unknown.push_back(matcher.name());
    }
  }
  for (const std::string_view name : unknown)
    warnings.push_back(fmt::format("no series of the stack has the label \"{}\"", name));
  return warnings;
}

}  // namespace gantry::access
