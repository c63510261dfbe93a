#include "pipeline/privacy.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/otlp_nested_keys.h"
#include "core/error.h"
#include "pipeline/content_keys.h"

namespace gantry::pipeline {
namespace {

using telemetry::AttributeValue;
using telemetry::BatchSlice;
using telemetry::SpanAttribute;
using telemetry::SpanBatch;

/// error.type and exception.type are words of code: names of classes, codes, snake_case.
bool is_word(std::string_view text) {
  constexpr std::size_t kWordBytesMax = 128;
  constexpr std::string_view kNever = "\"'`{}\\";
  return !text.empty() && text.size() <= kWordBytesMax && std::ranges::all_of(text, [&](char c) {
    return c > ' ' && c < '\x7f' && !kNever.contains(c);
  });
}

/// The word for the error that the list is about; "" when it has none that says more than
/// kUnknownErrorType does.
std::string_view find_error_word(std::span<const SpanAttribute> attributes) {
  std::string_view exception_type;
  for (const SpanAttribute& attribute : attributes) {
    const AttributeValue& value = attribute.value;
    if (value.kind != AttributeValue::Kind::String || !is_word(value.text) ||
        value.text == kUnknownErrorType)
      continue;
    if (attribute.key == "error.type") return value.text;
    if (attribute.key == "exception.type") exception_type = value.text;
  }
  return exception_type;
}

AttributeValue text_value(std::string_view text) {
  return {.kind = AttributeValue::Kind::String, .text = text};
}

bool holds_content(const SpanAttribute& attribute) {
  if (attribute.value.kind != AttributeValue::Kind::Encoded) return false;
  const auto found =
      codec::has_nested_key(attribute.value.text, attribute.key, is_nested_content_key);
  // What cannot be read may be anything.
  return found.value_or(true);
}

class PrivacyView {
 public:
  PrivacyView(const SpanBatch& in, SpanBatch& out) : in_(in), out_(out) {}

  void make() {
    out_.clear();
    out_.body_bytes = in_.body_bytes;
    out_.attributes.reserve(in_.attributes.size());
    out_.resources = in_.resources;
    for (telemetry::BatchResource& resource : out_.resources)
      resource.attributes = keep_attributes(resource.attributes, {});
    out_.scopes = in_.scopes;
    for (telemetry::BatchScope& scope : out_.scopes)
      scope.attributes = keep_attributes(scope.attributes, {});
    out_.spans.reserve(in_.spans.size());
    out_.events.reserve(in_.events.size());
    out_.links.reserve(in_.links.size());
    for (const telemetry::BatchSpan& span : in_.spans) add_span(span);
  }

 private:
  /// Hot: per span.
  void add_span(const telemetry::BatchSpan& span) {
    telemetry::BatchSpan& kept = out_.spans.emplace_back(span);
    const bool is_error = span.status == telemetry::SpanStatus::Error;
    const std::string_view own_word = find_error_word(in_.attributes_of(span.attributes));
    const std::string_view word =
        own_word.empty() && is_error ? find_exception_word(span) : own_word;
    kept.attributes = keep_attributes(span.attributes, word);
    if (!span.status_message.empty())
      kept.status_message = is_error ? or_unknown(word) : std::string_view();

    kept.events.begin = static_cast<std::uint32_t>(out_.events.size());
    for (const telemetry::BatchEvent& event : in_.events_of(span)) {
      if (is_content_event(event.name)) continue;
      out_.events.push_back(event);
      out_.events.back().attributes = keep_attributes(event.attributes, own_word);
    }
    kept.events.count = static_cast<std::uint32_t>(out_.events.size()) - kept.events.begin;

    kept.links.begin = static_cast<std::uint32_t>(out_.links.size());
    for (const telemetry::BatchLink& link : in_.links_of(span)) {
      out_.links.push_back(link);
      out_.links.back().attributes = keep_attributes(link.attributes, {});
    }
  }

  /// That of the first event that stays and has one.
  [[nodiscard]] std::string_view find_exception_word(const telemetry::BatchSpan& span) const {
    for (const telemetry::BatchEvent& event : in_.events_of(span)) {
      if (is_content_event(event.name)) continue;
      const std::string_view word = find_error_word(in_.attributes_of(event.attributes));
      if (!word.empty()) return word;
    }
    return {};
  }

  static std::string_view or_unknown(std::string_view word) {
    return word.empty() ? kUnknownErrorType : word;
  }

  /// `word` is for texts of errors; the list's own when it is "".
  BatchSlice keep_attributes(BatchSlice list, std::string_view word) {
    const std::span<const SpanAttribute> attributes = in_.attributes_of(list);
    const std::size_t begin = out_.attributes.size();
    for (const SpanAttribute& attribute : attributes) {
      switch (classify_key(attribute.key)) {
        case KeyClass::Plain:
          if (!holds_content(attribute)) out_.attributes.push_back(attribute);
          break;
        case KeyClass::Content:
          break;
        case KeyClass::ErrorText:
          if (word.empty()) word = or_unknown(find_error_word(attributes));
          out_.attributes.push_back({.key = attribute.key, .value = text_value(word)});
          break;
        case KeyClass::ErrorType:
          out_.attributes.push_back({.key = attribute.key, .value = kept_type(attribute.value)});
          break;
      }
    }
    return {.begin = static_cast<std::uint32_t>(begin),
            .count = static_cast<std::uint32_t>(out_.attributes.size() - begin)};
  }

  /// Numbers and booleans (error=true) are no text.
  static AttributeValue kept_type(const AttributeValue& value) {
    const bool is_text =
        value.kind == AttributeValue::Kind::String || value.kind == AttributeValue::Kind::Encoded;
    const bool is_kept =
        !is_text || (value.kind == AttributeValue::Kind::String && is_word(value.text));
    return is_kept ? value : text_value(kUnknownErrorType);
  }

  const SpanBatch& in_;
  SpanBatch& out_;
};

}  // namespace

void make_privacy_view(const SpanBatch& in, SpanBatch& out) {
  GANTRY_ASSERT(&in != &out, "the view points into what it was made of");
  PrivacyView(in, out).make();
}

}  // namespace gantry::pipeline
