#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "gateway/content.h"
#include "gateway/json_values_internal.h"
#include "gateway/trace_ids.h"
#include "gateway/trace_metadata_internal.h"

namespace gantry::gateway {

namespace ondemand = simdjson::ondemand;

namespace {

std::string hex_text(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

/// Ids are hashed unless they are short, so that a long one need not be kept.
std::string kept_trace_id(std::string_view given) {
  if (given.size() <= kMetadataKeyBytesMax) return std::string(given);
  return hex_text(derive_trace_id(given, {}).bytes);
}

std::string kept_parent_id(std::string_view given) {
  if (given.size() <= kMetadataKeyBytesMax) return std::string(given);
  return fmt::format("{:016x}", derive_parent_id(given));
}

std::string kept_name(std::string_view given) {
  return std::string(cut_text(given, kMetadataValueBytesMax));
}

/// Where a known key belongs and how much of it is kept.
struct KnownKey {
  std::string_view key;
  std::string TraceContext::* member;
  std::string (*keep)(std::string_view);
};

constexpr KnownKey kKnownKeys[] = {
    {"trace_id", &TraceContext::trace_id, kept_trace_id},
    {"trace_name", &TraceContext::trace_name, kept_name},
    {"span_name", &TraceContext::span_name, kept_name},
    {"generation_name", &TraceContext::generation_name, kept_name},
    {"parent_span_id", &TraceContext::parent_span_id, kept_parent_id},
};

class TraceObjectReader {
 public:
  TraceObjectReader(std::string_view metadata_namespace, TraceContext& context)
      : namespace_(metadata_namespace), context_(context), ignored_(context) {}

  simdjson::error_code read(ondemand::object& object);

 private:
  simdjson::error_code read_known(const KnownKey& known, ondemand::value& value);
  simdjson::error_code read_custom(const std::string& key, ondemand::value& value, int depth);
  simdjson::error_code read_members(const std::string& prefix, ondemand::value& value, int depth);
  simdjson::error_code read_json_text(const std::string& key, ondemand::value& value);
  simdjson::error_code read_number(const std::string& key, ondemand::value& value);

  /// The entry of that key, new or emptied; null if it must not be kept.
  Metadata* entry(const std::string& key);
  void add_text(const std::string& key, std::string_view text);
  /// Marks what was cut.
  void finish();

  [[nodiscard]] bool is_ours(std::string_view key) const {
    return key.starts_with(namespace_) &&
           (key.size() == namespace_.size() || key[namespace_.size()] == '.');
  }

  std::string_view namespace_;
  TraceContext& context_;
  IgnoredKeys ignored_;
  std::vector<std::string> cut_keys_;
};

simdjson::error_code TraceObjectReader::read(ondemand::object& object) {
  for (auto item : object) {
    ondemand::field field;
    if (const auto error = std::move(item).get(field)) return error;
    const std::string_view written = raw_key(field);
    std::string_view key;
    if (field.unescaped_key().get(key)) {
      ignored_.add(written);  // Half of a surrogate pair: no text at all.
      continue;
    }
    const auto* const known = std::ranges::find(kKnownKeys, key, &KnownKey::key);
    const auto error = known != std::end(kKnownKeys)
                           ? read_known(*known, field.value())
                           : read_custom(std::string(key), field.value(), 1);
    if (error) return error;
  }
  finish();
  return simdjson::SUCCESS;
}

simdjson::error_code TraceObjectReader::read_known(const KnownKey& known, ondemand::value& value) {
  std::string& member = context_.*known.member;
  member.clear();
  ondemand::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  switch (type) {
    case ondemand::json_type::null:
      break;
    case ondemand::json_type::string:
      if (const auto text = as_string(value)) {
        member = known.keep(*text);
      } else {
        ignored_.add(known.key);
      }
      break;
    case ondemand::json_type::number:
    case ondemand::json_type::boolean: {
      std::string_view text;
      if (const auto error = raw_json(value).get(text)) return error;
      member = known.keep(text);
      break;
    }
    default:
      ignored_.add(known.key);
  }
  return simdjson::SUCCESS;
}

simdjson::error_code TraceObjectReader::read_custom(const std::string& key, ondemand::value& value,
                                                    int depth) {
  ondemand::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  switch (type) {
    case ondemand::json_type::null:
      return simdjson::SUCCESS;
    case ondemand::json_type::string:
      if (const auto text = as_string(value)) {
        add_text(key, *text);
      } else {
        ignored_.add(key);
      }
      return simdjson::SUCCESS;
    case ondemand::json_type::boolean: {
      bool boolean = false;
      if (const auto error = value.get_bool().get(boolean)) return error;
      if (Metadata* const added = entry(key)) {
        added->kind = Metadata::Kind::Bool;
        added->boolean = boolean;
      }
      return simdjson::SUCCESS;
    }
    case ondemand::json_type::number:
      return read_number(key, value);
    case ondemand::json_type::object:
      return read_members(key, value, depth);
    case ondemand::json_type::array:
      break;
  }
  return read_json_text(key, value);
}

simdjson::error_code TraceObjectReader::read_members(const std::string& prefix,
                                                     ondemand::value& value, int depth) {
  if (depth >= kMetadataDepthMax) return read_json_text(prefix, value);
  ondemand::object object;
  if (const auto error = value.get_object().get(object)) return error;
  for (auto item : object) {
    ondemand::field field;
    if (const auto error = std::move(item).get(field)) return error;
    const std::string_view written = raw_key(field);
    std::string_view key;
    if (field.unescaped_key().get(key)) {
      ignored_.add(fmt::format("{}.{}", prefix, written));
      continue;
    }
    if (const auto error =
            read_custom(fmt::format("{}.{}", prefix, key), field.value(), depth + 1)) {
      return error;
    }
  }
  return simdjson::SUCCESS;
}

simdjson::error_code TraceObjectReader::read_json_text(const std::string& key,
                                                       ondemand::value& value) {
  std::string_view raw;
  if (const auto error = raw_json(value).get(raw)) return error;
  std::string minified(raw.size(), '\0');
  std::size_t bytes = 0;
  if (const auto error = simdjson::minify(raw.data(), raw.size(), minified.data(), bytes)) {
    return error;
  }
  minified.resize(bytes);
  if (minified != "{}") add_text(key, minified);
  return simdjson::SUCCESS;
}

simdjson::error_code TraceObjectReader::read_number(const std::string& key,
                                                    ondemand::value& value) {
  const std::string text(value.raw_json_token());
  const bool is_integer = text.find_first_of(".eE") == std::string::npos;
  std::int64_t integer = 0;
  double number = 0;
  if (is_integer && !value.get_int64().get(integer)) {
    if (Metadata* const added = entry(key)) {
      added->kind = Metadata::Kind::Int;
      added->integer = integer;
    }
  } else if (!is_integer && !value.get_double().get(number)) {
    if (Metadata* const added = entry(key)) {
      added->kind = Metadata::Kind::Double;
      added->number = number;
    }
  } else {
    // Too large for either; every digit stays.
    return read_json_text(key, value);
  }
  return simdjson::SUCCESS;
}

Metadata* TraceObjectReader::entry(const std::string& key) {
  if (is_ours(key) || key.size() > kMetadataKeyBytesMax) {
    ignored_.add(key);
    return nullptr;
  }
  auto& metadata = context_.metadata;
  const auto existing = std::ranges::find(metadata, key, &Metadata::key);
  if (existing != metadata.end()) {
    std::erase(cut_keys_, key);
    *existing = Metadata{};
    existing->key = key;
    return &*existing;
  }
  if (metadata.size() >= kMetadataMax) {
    ignored_.add(key);
    return nullptr;
  }
  metadata.emplace_back().key = key;
  return &metadata.back();
}

void TraceObjectReader::add_text(const std::string& key, std::string_view text) {
  Metadata* const added = entry(key);
  if (added == nullptr) return;
  added->text = cut_text(text, kMetadataValueBytesMax);
  if (added->text.size() < text.size()) cut_keys_.push_back(key);
}

void TraceObjectReader::finish() {
  for (const std::string& key : cut_keys_) {
    Metadata mark;
    mark.key = key + ".truncated";
    mark.kind = Metadata::Kind::Bool;
    mark.boolean = true;
    // A key of the client's own by that name would be a second of the same.
    std::erase_if(context_.metadata, [&](const Metadata& entry) { return entry.key == mark.key; });
    context_.metadata.push_back(std::move(mark));
  }
}

}  // namespace

void IgnoredKeys::add(std::string_view key) {
  ++context_.ignored_count;
  std::vector<std::string>& names = context_.ignored_keys;
  if (names.size() >= kIgnoredKeysMax) return;
  const std::string name(cut_text(key, kMetadataKeyBytesMax));
  const auto place = std::ranges::lower_bound(names, name);
  if (place == names.end() || *place != name) names.insert(place, name);
}

simdjson::error_code read_trace_object(ondemand::object& object,
                                       std::string_view metadata_namespace, TraceContext& context) {
  return TraceObjectReader(metadata_namespace, context).read(object);
}

}  // namespace gantry::gateway
