#pragma once

// Two span batches side by side: one with content planted in it, and what should be left of it.

#include <string>
#include <string_view>

#include "telemetry/span_batch.h"

namespace gantry::pipeline::testing {

/// Nobody else writes this.
inline constexpr std::string_view kMarker = "\xe2\x98\xa0SECRET-PROMPT\xe2\x98\xa0";

/// AnyValue messages.
[[nodiscard]] std::string encoded_text(std::string_view text);
[[nodiscard]] std::string encoded_bytes(std::string_view bytes);
[[nodiscard]] std::string encoded_array(std::string_view any_value);
[[nodiscard]] std::string encoded_map(std::string_view key, std::string_view any_value);

/// Random, from RapidCheck's generators. Contents carry kMarker.
class TwinBatch {
 public:
  TwinBatch();

  [[nodiscard]] const telemetry::SpanBatch& planted() const { return planted_; }

  [[nodiscard]] const telemetry::SpanBatch& expected() const { return expected_; }

 private:
  struct Slices {
    telemetry::BatchSlice planted;
    telemetry::BatchSlice expected;
  };

  void add_span();
  void add_events(telemetry::BatchSpan& planted, telemetry::BatchSpan& expected,
                  std::string_view word);
  void add_links(telemetry::BatchSpan& planted, telemetry::BatchSpan& expected);

  /// Plain attributes with contents between them; texts of errors turn into `word`. `type`: that of
  /// error.type or exception.type, whose name is `type_key`, if not "".
  Slices add_attributes(std::string_view word, std::string_view type_key = {},
                        std::string_view type = {});
  void add_plain();
  void add_content();
  void add_hidden_content();
  void add_both(std::string_view key, const telemetry::AttributeValue& value);

  telemetry::AttributeValue value_with(std::string_view text);

  telemetry::SpanBatch planted_;
  telemetry::SpanBatch expected_;
};

}  // namespace gantry::pipeline::testing
