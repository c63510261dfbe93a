#pragma once

// Regular expressions as Prometheus matches label values and names with them: RE2, the whole text,
// and a dot takes newlines too.
//
//   GANTRY_TRY(const AnchoredRegex regex, AnchoredRegex::compile("f(.*)"));
//   const GroupTemplate replacement("ch$1", regex);
//   std::vector<std::string_view> groups;
//   if (regex.match("foo", groups)) replacement.expand(groups);   // "choo"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"

namespace gantry::promql {

/// Immutable, thread-safe, cheap to copy.
class AnchoredRegex {
 public:
  /// Errors: InvalidArgument in the words of Go's regexp package ("error parsing regexp: missing
  /// closing ): `…`"), for more than 16 MiB of program as well.
  static Result<AnchoredRegex> compile(std::string_view expression);

  [[nodiscard]] bool matches(std::string_view text) const;

  /// Whether it matches; `groups` then has the whole text and what each group took, as views into
  /// `text`, "" for a group that took no part.
  [[nodiscard]] bool match(std::string_view text, std::vector<std::string_view>& groups) const;

  /// The number of the named group.
  [[nodiscard]] std::optional<int> find_group(std::string_view name) const;

 private:
  struct Impl;

  explicit AnchoredRegex(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

  std::shared_ptr<const Impl> impl_;
};

/// A replacement text of Go's regexp.Expand: $1, ${1}, $name, ${name} and $$. A group that the
/// expression does not have is "".
class GroupTemplate {
 public:
  GroupTemplate(std::string_view text, const AnchoredRegex& regex);

  [[nodiscard]] std::string expand(std::span<const std::string_view> groups) const;

 private:
  static constexpr int kNoGroup = -1;

  struct Part {
    std::string literal;
    int group = kNoGroup;  ///< What follows the literal.
  };

  std::vector<Part> parts_;
};

}  // namespace gantry::promql
