#include "gateway/trace_ids.h"

#include <string>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

#include "gateway/testing/broadcast_cases.h"

namespace gantry::gateway {
namespace {

std::string text(const telemetry::TraceId& id) {
  std::string digits;
  for (const std::uint8_t byte : id.bytes) digits += fmt::format("{:02x}", byte);
  return digits;
}

std::string text(telemetry::SpanId id) {
  return fmt::format("{:016x}", id);
}

TEST(TraceIdsTest, AreThoseOfPublishedCaptures) {
  GANTRY_BROADCAST_JSON(table, "table-ids.json");
  for (const auto& capture : table.at("published_captures")) {
    const std::string generation_id = capture.at("generation_id");
    EXPECT_EQ(capture.at("trace_id"), text(derive_trace_id("", generation_id)));
    for (const auto& [suffix, span_id] : capture.at("span_ids").items()) {
      EXPECT_EQ(span_id, text(derive_span_id(generation_id, suffix))) << suffix;
    }
  }
}

TEST(TraceIdsTest, FollowTheTable) {
  GANTRY_BROADCAST_JSON(table, "table-ids.json");
  for (const auto& row : table.at("trace_ids")) {
    const auto& given = row.at("trace_id_in");
    const std::string generation_id = row.at("generation_id");
    EXPECT_EQ(row.at("trace_id_out"),
              text(derive_trace_id(given.is_null() ? "" : given.get<std::string>(), generation_id)))
        << given;
  }
  for (const auto& row : table.at("parent_span_ids")) {
    const auto& given = row.at("parent_span_id_in");
    const auto id = derive_parent_id(given.is_null() ? "" : given.get<std::string>());
    const auto& expected = row.at("parent_span_id_out");
    EXPECT_EQ(id == 0 ? nlohmann::json() : nlohmann::json(text(id)), expected) << given;
  }
}

TEST(TraceIdsTest, TakeUuidsOnlyAsTheyAreWritten) {
  constexpr std::string_view kDigits = "7b9d1f9e3c1a4f7e9d630d9c2c8b1a55";
  EXPECT_EQ(text(derive_trace_id("7B9D1F9E-3C1A-4F7E-9D63-0D9C2C8B1A55", "")), kDigits);
  EXPECT_NE(text(derive_trace_id("7b9d1f9e3-c1a-4f7e-9d63-0d9c2c8b1a55", "")), kDigits);
  EXPECT_NE(text(derive_trace_id("7b9d1f9e-3c1a-4f7e-9d63-0d9c2c8b1a5g", "")), kDigits);
  // The first 32 digits of the text's own hash, as for any other that is no id.
  EXPECT_EQ(text(derive_trace_id("00000000-0000-0000-0000-000000000000", "")),
            "12b9377cbe7e5c94e8a70d9d23929523");
}

RC_GTEST_PROP(TraceIdsTest, StayWhatTheyAreWhenDerivedAgain, ()) {
  const auto given = *rc::gen::nonEmpty<std::string>();
  const auto id = derive_trace_id(given, "gen-1");
  RC_ASSERT(derive_trace_id(text(id), "gen-2") == id);
  const auto parent = derive_parent_id(given);
  RC_ASSERT(parent != 0);
  RC_ASSERT(derive_parent_id(text(parent)) == parent);
}

TEST(TraceParentTest, ReadsVersionZero) {
  const auto ids = parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  ASSERT_TRUE(ids);
  EXPECT_EQ(ids->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(ids->parent_id, "00f067aa0ba902b7");
}

TEST(TraceParentTest, RefusesTheRest) {
  for (const std::string_view header :
       {"", "00", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0G",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
        "00-4bf92f3577b34da6a3ce929d0e0e473 -00f067aa0ba902b7-01"}) {
    EXPECT_FALSE(parse_traceparent(header)) << header;
  }
}

}  // namespace
}  // namespace gantry::gateway
