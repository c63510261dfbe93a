#pragma once

// Edits of attributes on the way to a store or a destination, in the words and with the meaning of
// the OpenTelemetry Collector's attributes processor.
//
//   GANTRY_TRY(const AttributeRules rules, AttributeRules::parse(
//       R"([{"action":"hash","key":"enduser.id"},{"action":"delete","pattern":"^internal\\."}])"));
//   if (!rules.empty()) rules.apply(batch, edited);

#include <cstddef>
#include <memory>
#include <string_view>

#include "core/error.h"
#include "telemetry/span_batch.h"

namespace gantry::pipeline {

inline constexpr std::size_t kAttributeRulesBytesMax = 64 << 10;  ///< Of the JSON text.
inline constexpr std::size_t kAttributeRulesMax = 100;
inline constexpr std::size_t kAttributeKeyBytesMax = 256;
inline constexpr std::size_t kAttributeValueBytesMax = 4096;
inline constexpr std::size_t kAttributePatternBytesMax = 512;
inline constexpr std::size_t kAttributeIncludesMax = 32;  ///< Entries of one list of `include`.

/// Immutable, thread-safe, cheap to copy. Default: changes nothing.
class AttributeRules {
 public:
  AttributeRules() = default;

  /// From an array of rules; `null` and `[]` change nothing. A rule has `action` (in any case) and
  ///
  ///   insert, update, upsert  `key`, and `value` (text, number, boolean) or `from_attribute`
  ///   delete, hash            `key` or `pattern` (of keys), or both
  ///   extract                 `key`, `pattern` with named groups only
  ///   convert                 `key`, `converted_type`: int, double, string
  ///   rename                  `key`, `new_key`
  ///
  /// and may have `scope`: span (if not given), resource or event; and `include`: `match_type`
  /// (strict, if not given, or regexp) with `services`, `span_names` (arrays of text) and
  /// `attributes` (array of `key`, and `value` unless it is enough that the key is there).
  /// Expressions are RE2 and match anywhere. Errors: InvalidArgument, which names the rule and the
  /// field ("attribute_rules[0].key: …") and the limit if one is passed; a key that is not known,
  /// given twice or of no use to the action is refused.
  static Result<AttributeRules> parse(std::string_view json);

  [[nodiscard]] bool empty() const { return impl_ == nullptr; }

  /// `out` becomes `in` with the rules applied in their order, each to what those before it left.
  /// A rule with `include` only edits where all that it names fits: one of the services
  /// (service.name of the resource), one of the span names, each of the attributes; those of the
  /// span, for scope event as well, or of the resource for scope resource.
  ///
  /// insert leaves a key that is there, update one that is not; without the attribute that
  /// `from_attribute` names nothing happens. hash makes the value the SHA-256 of its bytes in
  /// lower-case hex (numbers as eight bytes, little-endian; an empty text stays empty). extract
  /// reads texts and sets the groups' names; convert leaves what it cannot convert; rename
  /// replaces an attribute that has the new name already.
  ///
  /// `out` shares views with `in`, which must outlive it, and does not need the rules. Nothing in
  /// it refers to what was removed; `out.otlp` is empty unless there are no rules. Dropped counts
  /// stay: they say what the source lost. Pure: any number of threads, each with its own `out`.
  void apply(const telemetry::SpanBatch& in, telemetry::SpanBatch& out) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;  ///< Null: no rules.
};

}  // namespace gantry::pipeline
