#pragma once

// Span batches for property tests. After GoogleTest, or rapidcheck does not compile.

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "codec/testing/conformance.h"
#include "telemetry/span_batch.h"

namespace gantry::codec::testing {

/// A batch of whatever a store may hold.
class RandomBatch {
 public:
  telemetry::SpanBatch make() {
    const auto resource_count = below(1, 3);
    for (std::uint32_t r = 0; r < resource_count; ++r)
      batch_.resources.push_back(
          {.attributes = attributes(), .dropped_attributes = below(0, 3), .schema_url = text()});
    const auto scope_count = below(1, 3);
    for (std::uint32_t s = 0; s < scope_count; ++s)
      batch_.scopes.push_back({.name = text(),
                               .version = text(),
                               .attributes = attributes(),
                               .dropped_attributes = below(0, 3),
                               .schema_url = text()});
    const auto span_count = below(0, 8);
    for (std::uint32_t i = 0; i < span_count; ++i) add_span();
    return std::move(batch_);
  }

 private:
  static std::uint32_t below(std::uint32_t least, std::uint32_t beyond) {
    return *rc::gen::inRange(least, beyond + 1);
  }

  static std::uint64_t any() { return *rc::gen::arbitrary<std::uint64_t>(); }

  std::string_view text() {
    return batch_.arena.copy(
        *rc::gen::element<std::string>("", "a", "GET /", "ä€😀", std::string("\0\n", 2)));
  }

  telemetry::AttributeValue value() {
    using Kind = telemetry::AttributeValue::Kind;
    switch (below(0, 6)) {
      case 0:
        return {.kind = Kind::Bool, .boolean = (any() & 1U) != 0};
      case 1:
        return {.kind = Kind::Int, .integer = *rc::gen::arbitrary<std::int64_t>()};
      case 2:
        return {.kind = Kind::Double, .number = std::bit_cast<double>(any())};
      case 3:
        return {};
      case 4:  // [0, "x"]
        return {.text = batch_.arena.copy(from_hex("2a090a0218000a030a0178"))};
      case 5:  // bytes
        return {.text = batch_.arena.copy(from_hex("3a02ff00"))};
      default:
        return {.kind = Kind::String, .text = text()};
    }
  }

  telemetry::BatchSlice attributes() {
    const telemetry::BatchSlice list{.begin = static_cast<std::uint32_t>(batch_.attributes.size()),
                                     .count = below(0, 4)};
    for (std::uint32_t i = 0; i < list.count; ++i) {
      const std::string_view key = batch_.arena.copy("k" + std::to_string(i));
      batch_.attributes.push_back({.key = key, .value = value()});
    }
    return list;
  }

  static telemetry::TraceId trace_id() {
    telemetry::TraceId id;
    for (auto& byte : id.bytes) byte = *rc::gen::arbitrary<std::uint8_t>();
    id.bytes[7] |= 1U;
    return id;
  }

  void add_span() {
    telemetry::BatchSpan span{.trace_id = trace_id(),
                              .span_id = any() | 1U,
                              .parent_id = below(0, 1) * any(),
                              .start_ns = any() >> 1U,
                              .end_ns = any() >> 1U};
    span.resource = below(0, static_cast<std::uint32_t>(batch_.resources.size()) - 1);
    span.scope = below(0, static_cast<std::uint32_t>(batch_.scopes.size()) - 1);
    span.kind = static_cast<telemetry::SpanKind>(below(0, 5));
    span.status = static_cast<telemetry::SpanStatus>(below(0, 2));
    span.name = text();
    span.status_message = text();
    span.trace_state = text();
    span.flags = static_cast<std::uint32_t>(any());
    span.attributes = attributes();
    span.dropped_attributes = below(0, 2);
    span.dropped_events = below(0, 2);
    span.dropped_links = below(0, 2);
    span.events = {.begin = static_cast<std::uint32_t>(batch_.events.size()), .count = below(0, 3)};
    for (std::uint32_t i = 0; i < span.events.count; ++i)
      batch_.events.push_back({.time_ns = any() >> 1U,
                               .name = text(),
                               .attributes = attributes(),
                               .dropped_attributes = below(0, 1)});
    span.links = {.begin = static_cast<std::uint32_t>(batch_.links.size()), .count = below(0, 3)};
    for (std::uint32_t i = 0; i < span.links.count; ++i)
      batch_.links.push_back({.trace_id = trace_id(),
                              .span_id = any() | 1U,
                              .trace_state = text(),
                              .attributes = attributes(),
                              .dropped_attributes = below(0, 1),
                              .flags = static_cast<std::uint32_t>(any())});
    batch_.spans.push_back(span);
  }

  telemetry::SpanBatch batch_;
};

}  // namespace gantry::codec::testing
