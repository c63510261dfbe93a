// What a span takes on disk, for spans as a web shop sends them.

#include <array>
#include <cmath>
#include <random>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "storage/faulty_file_system.h"
#include "traces/block/testing/block_support.h"
#include "traces/testing/span_batches.h"

namespace gantry::traces {
namespace {

using telemetry::AttributeValue;
using telemetry::BatchSpan;
using telemetry::SpanAttribute;
using telemetry::SpanBatch;

constexpr std::uint32_t kServices = 20;
constexpr std::uint32_t kNamesPerService = 8;
constexpr std::uint32_t kSpansPerTrace = 20;

/// Traces of 20 spans, 12 attributes each and 8 on each of 20 resources, 160 names.
class WebShop {
 public:
  SpanBatch make(std::uint32_t traces) {
    SpanBatch batch;
    for (std::uint32_t service = 0; service < kServices; ++service) add_resource(batch, service);
    batch.scopes.push_back({.name = "http", .version = "1.2.3"});
    for (std::uint32_t trace = 0; trace < traces; ++trace) add_trace(batch);
    return batch;
  }

 private:
  std::uint64_t below(std::uint64_t end) { return random_() % end; }

  /// Values of many magnitudes, as durations have them.
  std::uint64_t log_normal(double median, double sigma) {
    return static_cast<std::uint64_t>(
        std::lognormal_distribution<double>(std::log(median), sigma)(random_));
  }

  static AttributeValue number(std::uint64_t value) {
    return {.kind = AttributeValue::Kind::Int, .integer = static_cast<std::int64_t>(value)};
  }

  static AttributeValue text(SpanBatch& batch, std::string_view value) {
    return {.kind = AttributeValue::Kind::String, .text = batch.arena.copy(value)};
  }

  static void add_resource(SpanBatch& batch, std::uint32_t service) {
    const auto begin = static_cast<std::uint32_t>(batch.attributes.size());
    for (const std::string_view key :
         {"service.name", "service.version", "service.instance.id", "deployment.environment",
          "host.name", "telemetry.sdk.name", "telemetry.sdk.language", "k8s.pod.name"}) {
      batch.attributes.push_back(
          {.key = key, .value = text(batch, fmt::format("{}-{}", key, service))});
    }
    batch.resources.push_back({.attributes = {.begin = begin, .count = 8}});
  }

  void add_trace(SpanBatch& batch) {
    telemetry::TraceId id;
    for (std::uint8_t& byte : id.bytes) byte = static_cast<std::uint8_t>(random_());
    now_ns_ += log_normal(2'000'000, 1);
    const std::uint64_t user = below(100'000);
    std::array<BatchSpan, kSpansPerTrace> spans;
    for (std::uint32_t i = 0; i < kSpansPerTrace; ++i) {
      BatchSpan& span = spans[i];
      span.trace_id = id;
      span.span_id = random_();
      const BatchSpan* const parent = i == 0 ? nullptr : &spans[below(i)];
      span.parent_id = parent == nullptr ? 0 : parent->span_id;
      span.start_ns = parent == nullptr ? now_ns_ : parent->start_ns + log_normal(300'000, 1);
      span.end_ns = span.start_ns + log_normal(5'000'000, 1.2);
      span.resource = static_cast<std::uint32_t>(below(kServices));
      span.kind = i % 2 == 0 ? telemetry::SpanKind::Server : telemetry::SpanKind::Client;
      span.status = below(100) == 0 ? telemetry::SpanStatus::Error : telemetry::SpanStatus::Unset;
      const std::uint64_t name = span.resource * kNamesPerService + below(kNamesPerService);
      span.name = batch.arena.copy(fmt::format("GET /api/v1/resource-{}", name));
      span.attributes = add_attributes(batch, name, user, span.resource);
      batch.spans.push_back(span);
    }
  }

  telemetry::BatchSlice add_attributes(SpanBatch& batch, std::uint64_t name, std::uint64_t user,
                                       std::uint64_t service) {
    const auto begin = static_cast<std::uint32_t>(batch.attributes.size());
    constexpr std::array kMethods = {"GET", "GET", "GET", "POST", "PUT", "DELETE"};
    constexpr std::array kStatuses = {200, 200, 200, 200, 200, 200, 201, 204, 404, 500};
    const std::array<SpanAttribute, 12> attributes = {{
        {.key = "http.request.method", .value = text(batch, kMethods[below(kMethods.size())])},
        {.key = "http.route", .value = text(batch, fmt::format("/api/v1/resource-{}/:id", name))},
        {.key = "http.response.status_code",
         .value = number(static_cast<std::uint64_t>(kStatuses[below(kStatuses.size())]))},
        {.key = "http.request.body.size", .value = number(log_normal(800, 1))},
        {.key = "server.address", .value = text(batch, fmt::format("10.0.0.{}", service))},
        {.key = "server.port", .value = number(8080)},
        {.key = "url.scheme", .value = text(batch, "https")},
        {.key = "user_agent.original",
         .value = text(batch, fmt::format("Mozilla/5.0 (agent {})", below(30)))},
        {.key = "user.id",
         .value = text(batch, fmt::format("user-{}", below(4) == 0 ? below(100'000) : user))},
        {.key = "thread.id", .value = number(below(64))},
        {.key = "cache.hit",
         .value = {.kind = AttributeValue::Kind::Bool, .boolean = below(3) == 0}},
        {.key = "retry.count", .value = number(below(20) == 0 ? below(4) : 0)},
    }};
    batch.attributes.insert(batch.attributes.end(), attributes.begin(), attributes.end());
    return {.begin = begin, .count = static_cast<std::uint32_t>(attributes.size())};
  }

  std::mt19937_64 random_{42};
  std::uint64_t now_ns_ = kTestNowNs;
};

TEST(BlockSizeTest, ASpanOfAWebShopTakesAboutThirtyBytes) {
  const SpanBatch batch = WebShop().make(kGroupSpans / kSpansPerTrace);
  const auto table = make_table(batch);
  storage::FaultyFileSystem files;
  storage::ItemCache cache(0);
  const auto bytes_per_span = [&](int level) {
    const auto block = write_block(files, fmt::format("/level{}", level), cache, {table.get()},
                                   {.compression_level = level});
    return static_cast<double>(block->summary().bytes) /
           static_cast<double>(block->summary().spans);
  };
  const double fresh = bytes_per_span(1);
  RecordProperty("bytes_per_span_level_1", std::to_string(fresh));
  RecordProperty("bytes_per_span_level_3", std::to_string(bytes_per_span(3)));
  EXPECT_LT(fresh, 34);
  EXPECT_GT(fresh, 20) << "ids and times alone have more in them";
}

}  // namespace
}  // namespace gantry::traces
