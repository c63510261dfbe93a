#include "pipeline/trace_sessions.h"

#include <gtest/gtest.h>

namespace gantry::pipeline {
namespace {

constexpr StackId kStack{1'000'000};
constexpr StackId kOther{1'000'001};

telemetry::TraceId trace(std::uint8_t number) {
  telemetry::TraceId id;
  id.bytes.back() = number;
  return id;
}

TEST(TraceSessions, WhatComesFirstHolds) {
  TraceSessions sessions;
  EXPECT_EQ(sessions.key_of(kStack, trace(1), "s-1"), "s-1");
  EXPECT_EQ(sessions.key_of(kStack, trace(1), ""), "s-1");
  EXPECT_EQ(sessions.key_of(kStack, trace(1), "s-2"), "s-1");
  EXPECT_EQ(sessions.key_of(kStack, trace(2), ""), "00000000000000000000000000000002");
  EXPECT_EQ(sessions.key_of(kStack, trace(2), "s-1"), "00000000000000000000000000000002");
  EXPECT_EQ(sessions.key_of(kOther, trace(2), "s-3"), "s-3") << "another stack's trace";
}

TEST(TraceSessions, ForgetsTheOldest) {
  TraceSessions sessions(2);
  EXPECT_EQ(sessions.key_of(kStack, trace(1), "a"), "a");
  EXPECT_EQ(sessions.key_of(kStack, trace(2), "b"), "b");
  EXPECT_EQ(sessions.key_of(kStack, trace(3), "c"), "c");
  EXPECT_EQ(sessions.key_of(kStack, trace(2), "x"), "b");
  EXPECT_EQ(sessions.key_of(kStack, trace(1), "x"), "x");
}

TEST(TraceSessions, ALongNameIsCut) {
  TraceSessions sessions;
  EXPECT_EQ(sessions.key_of(kStack, trace(1), std::string(1000, 's')), std::string(256, 's'));
}

}  // namespace
}  // namespace gantry::pipeline
