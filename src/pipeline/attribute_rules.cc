#include "pipeline/attribute_rules.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/number_format.h"
#include "core/sha256.h"
#include "pipeline/attribute_rule_internal.h"
#include "pipeline/span_attributes.h"

namespace gantry::pipeline {
namespace {

using telemetry::AttributeValue;
using telemetry::BatchSlice;
using telemetry::SpanAttribute;
using telemetry::SpanBatch;
using Kind = AttributeValue::Kind;
using AttributeList = std::vector<SpanAttribute>;

constexpr std::string_view kServiceName = "service.name";

/// A rule with its texts in the arena of the batch that it edits, which may outlive the rule.
struct BoundRule {
  const AttributeRule* rule = nullptr;
  std::string_view key;
  std::string_view new_key;
  AttributeValue value;
  std::vector<std::string_view> group_names;
};

BoundRule bind(const AttributeRule& rule, core::Arena& arena) {
  BoundRule bound{.rule = &rule,
                  .key = arena.copy(rule.key),
                  .new_key = arena.copy(rule.new_key),
                  .value = rule.value.view(),
                  .group_names = {}};
  bound.value.text = arena.copy(bound.value.text);
  for (const std::string& name : rule.group_names) bound.group_names.push_back(arena.copy(name));
  return bound;
}

template <class List>
auto find(List& list, std::string_view key) {
  return std::ranges::find(list, key, &SpanAttribute::key);
}

void set(AttributeList& list, std::string_view key, const AttributeValue& value) {
  const auto found = find(list, key);
  if (found == list.end()) {
    list.push_back({.key = key, .value = value});
  } else {
    found->value = value;
  }
}

void write(const BoundRule& bound, AttributeList& list) {
  AttributeValue value = bound.value;
  if (!bound.rule->from_attribute.empty()) {
    const auto source = find(list, bound.rule->from_attribute);
    if (source == list.end()) return;
    value = source->value;
  }
  const bool is_there = find(list, bound.key) != list.end();
  if (bound.rule->action == AttributeAction::Insert && is_there) return;
  if (bound.rule->action == AttributeAction::Update && !is_there) return;
  set(list, bound.key, value);
}

bool is_meant(const BoundRule& bound, std::string_view key) {
  if (!bound.key.empty() && key == bound.key) return true;
  const RE2* const pattern = bound.rule->pattern.get();
  return pattern != nullptr &&
         RE2::PartialMatch(re2::StringPiece(key.data(), key.size()), *pattern);
}

std::string_view hex(const core::Sha256Digest& digest, core::Arena& arena) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  char* const text = arena.allocate(2 * digest.size());
  for (std::size_t i = 0; i < digest.size(); ++i) {
    text[2 * i] = kDigits[static_cast<std::size_t>(digest[i]) >> 4U];
    text[2 * i + 1] = kDigits[digest[i] & 0xFU];
  }
  return {text, 2 * digest.size()};
}

AttributeValue hashed(const AttributeValue& value, core::Arena& arena) {
  std::array<char, sizeof(std::uint64_t)> bytes{};
  std::string_view input;
  const auto number = [&](std::uint64_t bits) {
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<char>(static_cast<unsigned char>(bits >> (8 * i)));
    return std::string_view(bytes.data(), bytes.size());
  };
  switch (value.kind) {
    case Kind::String:
    case Kind::Encoded:
      input = value.text;
      break;
    case Kind::Bool:
      input = value.boolean ? std::string_view("\1", 1) : std::string_view("\0", 1);
      break;
    case Kind::Int:
      input = number(static_cast<std::uint64_t>(value.integer));
      break;
    case Kind::Double:
      input = number(std::bit_cast<std::uint64_t>(value.number));
      break;
  }
  if (input.empty()) return {.kind = Kind::String, .text = {}};
  return {.kind = Kind::String, .text = hex(core::sha256({input}), arena)};
}

void extract(const BoundRule& bound, AttributeList& list) {
  const auto source = find(list, bound.key);
  if (source == list.end() || source->value.kind != Kind::String) return;
  const re2::StringPiece text(source->value.text.data(), source->value.text.size());
  std::vector<re2::StringPiece> groups(bound.group_names.size() + 1);
  if (!bound.rule->pattern->Match(text, 0, text.size(), RE2::UNANCHORED, groups.data(),
                                  static_cast<int>(groups.size())))
    return;
  for (std::size_t i = 0; i < bound.group_names.size(); ++i) {
    const re2::StringPiece& group = groups[i + 1];  // Of one that took no part the data is null.
    set(list, bound.group_names[i],
        {.kind = Kind::String, .text = std::string_view(group.data(), group.size())});
  }
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  const bool has_plus = text.size() > 1 && text[0] == '+' && text[1] != '-';
  if (has_plus) text.remove_prefix(1);
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return number;
}

std::optional<std::int64_t> to_integer(const AttributeValue& value) {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63; NaN fails both comparisons
  switch (value.kind) {
    case Kind::String:
      return parse_integer(value.text);
    case Kind::Bool:
      return value.boolean ? 1 : 0;
    case Kind::Int:
      return value.integer;
    case Kind::Double:
      if (!(value.number >= -kLimit && value.number < kLimit)) return std::nullopt;
      return static_cast<std::int64_t>(value.number);
    case Kind::Encoded:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<double> to_double(const AttributeValue& value) {
  switch (value.kind) {
    case Kind::String:
      return core::parse_float(value.text);
    case Kind::Bool:
      return value.boolean ? 1 : 0;
    case Kind::Int:
      return static_cast<double>(value.integer);
    case Kind::Double:
      return value.number;
    case Kind::Encoded:
      return std::nullopt;
  }
  return std::nullopt;
}

AttributeValue converted(const AttributeValue& value, ConvertedType type, core::Arena& arena) {
  switch (type) {
    case ConvertedType::Int:
      if (const auto integer = to_integer(value)) return {.kind = Kind::Int, .integer = *integer};
      return value;
    case ConvertedType::Double:
      if (const auto number = to_double(value)) return {.kind = Kind::Double, .number = *number};
      return value;
    case ConvertedType::String:
      return {.kind = Kind::String, .text = attribute_text(value, arena)};
  }
  return value;
}

void rename(const BoundRule& bound, AttributeList& list) {
  if (find(list, bound.key) == list.end()) return;
  std::erase_if(list, [&](const SpanAttribute& other) { return other.key == bound.new_key; });
  find(list, bound.key)->key = bound.new_key;
}

/// Hot: per attribute list and rule.
void edit(const BoundRule& bound, AttributeList& list, core::Arena& arena) {
  switch (bound.rule->action) {
    case AttributeAction::Insert:
    case AttributeAction::Update:
    case AttributeAction::Upsert:
      return write(bound, list);
    case AttributeAction::Delete:
      std::erase_if(list, [&](const SpanAttribute& each) { return is_meant(bound, each.key); });
      return;
    case AttributeAction::Hash:
      for (SpanAttribute& each : list)
        if (is_meant(bound, each.key)) each.value = hashed(each.value, arena);
      return;
    case AttributeAction::Extract:
      return extract(bound, list);
    case AttributeAction::Convert:
      if (const auto found = find(list, bound.key); found != list.end())
        found->value = converted(found->value, bound.rule->converted_type, arena);
      return;
    case AttributeAction::Rename:
      return rename(bound, list);
  }
}

/// An empty list of conditions does not matter.
bool matches_one(std::span<const TextCondition> conditions, std::string_view text) {
  return conditions.empty() || std::ranges::any_of(conditions, [&](const TextCondition& condition) {
           return condition.matches(text);
         });
}

bool is_equal(const AttributeValue& a, const AttributeValue& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::String:
    case Kind::Encoded:
      return a.text == b.text;
    case Kind::Bool:
      return a.boolean == b.boolean;
    case Kind::Int:
      return a.integer == b.integer;
    case Kind::Double:
      return a.number == b.number;
  }
  return false;
}

bool matches_all(std::span<const AttributeCondition> conditions, const AttributeList& list) {
  return std::ranges::all_of(conditions, [&](const AttributeCondition& condition) {
    const auto found = find(list, condition.key);
    if (found == list.end()) return false;
    if (condition.value) return is_equal(found->value, condition.value->view());
    if (condition.pattern == nullptr) return true;
    core::Arena arena;
    const std::string_view text = attribute_text(found->value, arena);
    return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *condition.pattern);
  });
}

std::string_view service_name(const AttributeList& resource) {
  const auto found = find(resource, kServiceName);
  const bool is_text = found != resource.end() && found->value.kind == Kind::String;
  return is_text ? found->value.text : std::string_view();
}

class Edits {
 public:
  Edits(std::span<const AttributeRule> rules, const SpanBatch& in, SpanBatch& out)
      : in_(in), out_(out) {
    out_.clear();
    for (const AttributeRule& rule : rules) rules_.push_back(bind(rule, out_.arena));
  }

  void make() {
    out_.body_bytes = in_.body_bytes;
    out_.attributes.reserve(in_.attributes.size());
    out_.resources = in_.resources;
    includes_service_.resize(out_.resources.size() * rules_.size());
    for (std::size_t i = 0; i < out_.resources.size(); ++i) edit_resource(i);
    out_.scopes = in_.scopes;
    for (telemetry::BatchScope& scope : out_.scopes) scope.attributes = copy(scope.attributes);
    out_.spans.reserve(in_.spans.size());
    out_.events.reserve(in_.events.size());
    out_.links.reserve(in_.links.size());
    for (const telemetry::BatchSpan& span : in_.spans) add_span(span);
  }

 private:
  void load(BatchSlice slice) {
    const std::span<const SpanAttribute> attributes = in_.attributes_of(slice);
    list_.assign(attributes.begin(), attributes.end());
  }

  /// Only what the edits left gets into the batch.
  BatchSlice store() {
    const auto begin = static_cast<std::uint32_t>(out_.attributes.size());
    out_.attributes.insert(out_.attributes.end(), list_.begin(), list_.end());
    return {.begin = begin, .count = static_cast<std::uint32_t>(list_.size())};
  }

  BatchSlice copy(BatchSlice slice) {
    load(slice);
    return store();
  }

  /// A rule for spans asks for the service as the rules before it left it: that is written down.
  void edit_resource(std::size_t index) {
    telemetry::BatchResource& resource = out_.resources[index];
    load(resource.attributes);
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      const AttributeRule& rule = *rules_[i].rule;
      const bool is_included = matches_one(rule.include.services, service_name(list_));
      includes_service_[index * rules_.size() + i] = is_included;
      if (is_included && rule.scope == AttributeScope::Resource &&
          matches_all(rule.include.attributes, list_))
        edit(rules_[i], list_, out_.arena);
    }
    resource.attributes = store();
  }

  /// Hot: per span.
  void add_span(const telemetry::BatchSpan& span) {
    telemetry::BatchSpan& edited = out_.spans.emplace_back(span);
    load(span.attributes);
    event_rules_.clear();
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      const AttributeRule& rule = *rules_[i].rule;
      if (rule.scope == AttributeScope::Resource ||
          !includes_service_[span.resource * rules_.size() + i] ||
          !matches_one(rule.include.span_names, span.name) ||
          !matches_all(rule.include.attributes, list_))
        continue;
      if (rule.scope == AttributeScope::Event) {
        event_rules_.push_back(i);
      } else {
        edit(rules_[i], list_, out_.arena);
      }
    }
    edited.attributes = store();
    add_events(span, edited);
    edited.links = {.begin = static_cast<std::uint32_t>(out_.links.size()),
                    .count = span.links.count};
    for (const telemetry::BatchLink& link : in_.links_of(span)) {
      out_.links.push_back(link);
      out_.links.back().attributes = copy(link.attributes);
    }
  }

  void add_events(const telemetry::BatchSpan& span, telemetry::BatchSpan& edited) {
    edited.events = {.begin = static_cast<std::uint32_t>(out_.events.size()),
                     .count = span.events.count};
    for (const telemetry::BatchEvent& event : in_.events_of(span)) {
      load(event.attributes);
      for (const std::size_t i : event_rules_) edit(rules_[i], list_, out_.arena);
      out_.events.push_back(event);
      out_.events.back().attributes = store();
    }
  }

  const SpanBatch& in_;
  SpanBatch& out_;
  std::vector<BoundRule> rules_;
  std::vector<bool> includes_service_;    ///< By resource, then by rule.
  AttributeList list_;                    ///< The list that is being edited.
  std::vector<std::size_t> event_rules_;  ///< For the events of the span, by index.
};

}  // namespace

struct AttributeRules::Impl {
  std::vector<AttributeRule> rules;
};

Result<AttributeRules> AttributeRules::parse(std::string_view json) {
  GANTRY_TRY(std::vector<AttributeRule> parsed, parse_attribute_rules(json));
  AttributeRules rules;
  if (!parsed.empty()) rules.impl_ = std::make_shared<const Impl>(Impl{.rules = std::move(parsed)});
  return rules;
}

void AttributeRules::apply(const SpanBatch& in, SpanBatch& out) const {
  GANTRY_ASSERT(&in != &out, "the edited batch points into what it was made of");
  if (impl_ == nullptr) {
    Edits({}, in, out).make();
    out.otlp = in.otlp;
    return;
  }
  Edits(impl_->rules, in, out).make();
}

}  // namespace gantry::pipeline
