#pragma once

// Fills attribute lists of a SpanBatch.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "telemetry/span_batch.h"

namespace gantry::gateway {

/// Appends the attributes of one span, resource or event; they are contiguous, so one list is
/// finished before the next begins. Keys and texts must live as long as the batch is used.
class AttributeList {
 public:
  explicit AttributeList(telemetry::SpanBatch& batch)
      : batch_(batch), begin_(static_cast<std::uint32_t>(batch.attributes.size())) {}

  void add_string(std::string_view key, std::string_view text);
  void add_bool(std::string_view key, bool value);
  void add_int(std::string_view key, std::int64_t value);
  void add_double(std::string_view key, double value);
  void add_strings(std::string_view key, std::span<const std::string> texts);

  void add_string_if(std::string_view key, std::string_view text) {
    if (!text.empty()) add_string(key, text);
  }

  void add_int_if(std::string_view key, std::optional<std::int64_t> value) {
    if (value) add_int(key, *value);
  }

  void add_double_if(std::string_view key, std::optional<double> value) {
    if (value) add_double(key, *value);
  }

  [[nodiscard]] telemetry::BatchSlice slice() const {
    return {.begin = begin_,
            .count = static_cast<std::uint32_t>(batch_.attributes.size()) - begin_};
  }

 private:
  telemetry::AttributeValue& add(std::string_view key, telemetry::AttributeValue::Kind kind);

  telemetry::SpanBatch& batch_;
  std::uint32_t begin_;
};

}  // namespace gantry::gateway
