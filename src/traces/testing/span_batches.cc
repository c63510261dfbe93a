#include "traces/testing/span_batches.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace gantry::traces {
namespace {

using telemetry::AttributeValue;
using telemetry::BatchSlice;
using telemetry::BatchSpan;
using telemetry::SpanBatch;

std::string quote(std::string_view text) {
  return fmt::format("{}:{}", text.size(), text);
}

std::string hex(const telemetry::TraceId& id) {
  std::string out;
  for (const std::uint8_t byte : id.bytes) out += fmt::format("{:02x}", byte);
  return out;
}

std::string describe_value(const AttributeValue& value) {
  switch (value.kind) {
    case AttributeValue::Kind::String:
      return "s" + quote(value.text);
    case AttributeValue::Kind::Encoded:
      return "e" + quote(value.text);
    case AttributeValue::Kind::Bool:
      return value.boolean ? "true" : "false";
    case AttributeValue::Kind::Int:
      return fmt::format("i{}", value.integer);
    case AttributeValue::Kind::Double: {
      std::uint64_t bits = 0;
      std::memcpy(&bits, &value.number, sizeof bits);
      return fmt::format("d{:016x}", bits);
    }
  }
  return "";
}

std::string describe_attributes(const SpanBatch& batch, BatchSlice slice) {
  std::vector<std::string> all;
  for (const telemetry::SpanAttribute& attribute : batch.attributes_of(slice)) {
    all.push_back(quote(attribute.key) + "=" + describe_value(attribute.value));
  }
  std::ranges::sort(all);
  return fmt::format("[{}]", fmt::join(all, " "));
}

BatchSlice add_attributes(SpanBatch& batch,
                          std::initializer_list<telemetry::SpanAttribute> attributes) {
  const BatchSlice slice{.begin = static_cast<std::uint32_t>(batch.attributes.size()),
                         .count = static_cast<std::uint32_t>(attributes.size())};
  for (telemetry::SpanAttribute attribute : attributes) {
    attribute.key = batch.arena.copy(attribute.key);
    attribute.value.text = batch.arena.copy(attribute.value.text);
    batch.attributes.push_back(attribute);
  }
  return slice;
}

AttributeValue text_value(std::string_view text) {
  return {.kind = AttributeValue::Kind::String, .text = text};
}

}  // namespace

telemetry::TraceId test_trace_id(std::uint64_t number) {
  telemetry::TraceId id;
  id.bytes[0] = 0x7a;
  for (std::size_t i = 0; i < 8; ++i) {
    id.bytes[8 + i] = static_cast<std::uint8_t>(number >> (8 * (7 - i)));
  }
  return id;
}

void add_test_span(SpanBatch& batch, const TestSpan& span) {
  BatchSpan out;
  out.trace_id = test_trace_id(span.trace);
  out.span_id = span.id;
  out.parent_id = span.parent;
  out.start_ns = span.start_ns;
  out.end_ns = span.start_ns + span.duration_ns;
  out.kind = telemetry::SpanKind::Server;
  out.name = batch.arena.copy(span.name);
  out.resource = static_cast<std::uint32_t>(batch.resources.size());
  out.scope = static_cast<std::uint32_t>(batch.scopes.size());
  out.attributes =
      add_attributes(batch, {{.key = "http.method", .value = text_value("GET")},
                             {.key = "number",
                              .value = {.kind = AttributeValue::Kind::Int,
                                        .integer = static_cast<std::int64_t>(span.id)}}});
  out.events = {.begin = static_cast<std::uint32_t>(batch.events.size()), .count = 1};
  batch.events.push_back({.time_ns = span.start_ns, .name = "begun", .attributes = {}});
  batch.resources.push_back(
      {.attributes =
           add_attributes(batch, {{.key = "service.name", .value = text_value(span.service)}})});
  batch.scopes.push_back({.name = "test", .version = "1", .attributes = {}});
  batch.spans.push_back(out);
}

SpanBatch make_batch(std::initializer_list<TestSpan> spans) {
  SpanBatch batch;
  for (const TestSpan& span : spans) add_test_span(batch, span);
  return batch;
}

std::string RandomBatches::text() {
  if (below(4) == 0) return "";
  return fmt::format("text {}", below(below(3) == 0 ? 1000 : 5));
}

BatchSlice RandomBatches::attributes(SpanBatch& batch) {
  BatchSlice slice{.begin = static_cast<std::uint32_t>(batch.attributes.size()), .count = 0};
  std::vector<std::uint64_t> keys(12);
  std::iota(keys.begin(), keys.end(), 0);
  std::ranges::shuffle(keys, random_);
  keys.resize(below(8));
  for (const std::uint64_t key : keys) {
    AttributeValue value{.kind = static_cast<AttributeValue::Kind>(key < 6 ? key % 5 : below(5))};
    switch (value.kind) {
      case AttributeValue::Kind::String:
        value.text = batch.arena.copy(text());
        break;
      case AttributeValue::Kind::Encoded: {
        // AnyValue.bytes_value, or nothing.
        const std::string bytes = text();
        const auto length = static_cast<char>(bytes.size());
        value.text = batch.arena.copy(bytes.empty() ? "" : std::string{'\x3a', length} + bytes);
        break;
      }
      case AttributeValue::Kind::Bool:
        value.boolean = below(2) == 0;
        break;
      case AttributeValue::Kind::Int:
        value.integer = below(5) == 0 ? std::numeric_limits<std::int64_t>::min()
                                      : static_cast<std::int64_t>(below(100)) - 50;
        break;
      case AttributeValue::Kind::Double:
        value.number = below(5) == 0 ? -0.0 : static_cast<double>(below(100)) / 7;
        break;
    }
    batch.attributes.push_back(
        {.key = batch.arena.copy(fmt::format("key.{}", key)), .value = value});
    ++slice.count;
  }
  return slice;
}

void RandomBatches::add_children(SpanBatch& batch, BatchSpan& span) {
  span.events = {.begin = static_cast<std::uint32_t>(batch.events.size()),
                 .count = static_cast<std::uint32_t>(below(3))};
  for (std::uint32_t i = 0; i < span.events.count; ++i) {
    const BatchSlice slice = attributes(batch);
    batch.events.push_back({.time_ns = span.start_ns + below(1000),
                            .name = batch.arena.copy(text()),
                            .attributes = slice,
                            .dropped_attributes = static_cast<std::uint32_t>(below(2))});
  }
  span.links = {.begin = static_cast<std::uint32_t>(batch.links.size()),
                .count = static_cast<std::uint32_t>(below(2))};
  for (std::uint32_t i = 0; i < span.links.count; ++i) {
    const BatchSlice slice = attributes(batch);
    batch.links.push_back({.trace_id = test_trace_id(below(100)),
                           .span_id = 1 + below(100),
                           .trace_state = batch.arena.copy(text()),
                           .attributes = slice,
                           .dropped_attributes = static_cast<std::uint32_t>(below(2)),
                           .flags = static_cast<std::uint32_t>(below(3))});
  }
}

void RandomBatches::fill(SpanBatch& batch, std::size_t spans_max) {
  batch.clear();
  for (std::uint64_t i = 1 + below(3); i > 0; --i) {
    const BatchSlice slice = attributes(batch);
    batch.resources.push_back({.attributes = slice,
                               .dropped_attributes = static_cast<std::uint32_t>(below(2)),
                               .schema_url = batch.arena.copy(text())});
  }
  for (std::uint64_t i = 1 + below(3); i > 0; --i) {
    const BatchSlice slice = attributes(batch);
    batch.scopes.push_back({.name = batch.arena.copy(text()),
                            .version = batch.arena.copy(text()),
                            .attributes = slice,
                            .dropped_attributes = static_cast<std::uint32_t>(below(2)),
                            .schema_url = batch.arena.copy(text())});
  }
  for (std::uint64_t i = 1 + below(spans_max); i > 0; --i) {
    BatchSpan span;
    span.trace_id = test_trace_id(1 + below(trace_count_));
    span.span_id = 1 + below(50);
    span.parent_id = below(50);
    span.start_ns = kTestNowNs + below(3) * 1'000'000'000;
    span.end_ns = span.start_ns + below(3) * 500 - 400;
    span.resource = static_cast<std::uint32_t>(below(batch.resources.size()));
    span.scope = static_cast<std::uint32_t>(below(batch.scopes.size()));
    span.kind = static_cast<telemetry::SpanKind>(below(6));
    span.status = static_cast<telemetry::SpanStatus>(below(3));
    span.name = batch.arena.copy(text());
    span.status_message = batch.arena.copy(text());
    span.trace_state = batch.arena.copy(text());
    span.flags = static_cast<std::uint32_t>(below(3));
    span.dropped_attributes = static_cast<std::uint32_t>(below(2));
    span.dropped_events = static_cast<std::uint32_t>(below(2));
    span.dropped_links = static_cast<std::uint32_t>(below(2));
    span.attributes = attributes(batch);
    add_children(batch, span);
    batch.spans.push_back(span);
  }
}

std::string describe_span(const SpanBatch& batch, const BatchSpan& span) {
  const telemetry::BatchResource& resource = batch.resources[span.resource];
  const telemetry::BatchScope& scope = batch.scopes[span.scope];
  std::string out = fmt::format(
      "{} {:016x} < {:016x} {}..{} kind {} status {} {} name {} state {} flags {} dropped {} {} {} "
      "{}\n resource {} {} {}\n scope {} {} {} {} {}",
      hex(span.trace_id), span.span_id, span.parent_id, span.start_ns, span.end_ns,
      static_cast<int>(span.kind), static_cast<int>(span.status), quote(span.status_message),
      quote(span.name), quote(span.trace_state), span.flags, span.dropped_attributes,
      span.dropped_events, span.dropped_links, describe_attributes(batch, span.attributes),
      resource.dropped_attributes, quote(resource.schema_url),
      describe_attributes(batch, resource.attributes), quote(scope.name), quote(scope.version),
      quote(scope.schema_url), scope.dropped_attributes,
      describe_attributes(batch, scope.attributes));
  for (const telemetry::BatchEvent& event : batch.events_of(span)) {
    out += fmt::format("\n event {} {} {} {}", event.time_ns, quote(event.name),
                       event.dropped_attributes, describe_attributes(batch, event.attributes));
  }
  for (const telemetry::BatchLink& link : batch.links_of(span)) {
    out += fmt::format("\n link {} {:016x} {} {} {} {}", hex(link.trace_id), link.span_id,
                       quote(link.trace_state), link.flags, link.dropped_attributes,
                       describe_attributes(batch, link.attributes));
  }
  return out;
}

std::vector<std::string> describe_spans(const SpanBatch& batch) {
  std::vector<std::string> out;
  for (const BatchSpan& span : batch.spans) out.push_back(describe_span(batch, span));
  return out;
}

std::vector<std::string> describe_group(StoredGroup& group) {
  std::vector<std::uint32_t> rows(group.counts().spans);
  std::iota(rows.begin(), rows.end(), 0);
  SpanBatch batch;
  const auto read = read_spans(group, rows, batch);
  EXPECT_TRUE(read) << (read ? "" : read.error().message);
  return read ? describe_spans(batch) : std::vector<std::string>();
}

std::vector<std::string> describe_source(const traceql::SpanSource& source) {
  std::vector<std::string> out;
  std::set<telemetry::TraceId> seen;
  const auto snapshot = source.open(
      {.start_ns = 0, .end_ns = std::numeric_limits<std::int64_t>::max()}, CancelToken());
  EXPECT_TRUE(snapshot) << (snapshot ? "" : snapshot.error().message);
  if (!snapshot) return out;
  for (std::size_t i = 0; i < (*snapshot)->groups().size(); ++i) {
    const auto group = (*snapshot)->open(i);
    EXPECT_TRUE(group) << (group ? "" : group.error().message);
    if (!group) continue;
    auto* const stored = dynamic_cast<StoredGroup*>(group->get());
    EXPECT_NE(stored, nullptr);
    if (stored == nullptr) continue;
    const auto ids = stored->trace_ids();
    EXPECT_TRUE(ids);
    for (const telemetry::TraceId& id : *ids) {
      EXPECT_TRUE(seen.insert(id).second) << "trace " << hex(id) << " is in two groups";
    }
    const std::vector<std::string> spans = describe_group(*stored);
    out.insert(out.end(), spans.begin(), spans.end());
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace gantry::traces
