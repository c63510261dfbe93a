#include "gateway/finish_reason.h"

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

TEST(FinishReason, IsOneOfFive) {
  for (const char* standard : {"tool_calls", "stop", "length", "content_filter", "error"}) {
    EXPECT_EQ(normalise_finish_reason(standard), standard);
  }
  EXPECT_EQ(normalise_finish_reason("end_turn"), "stop");
  EXPECT_EQ(normalise_finish_reason("tool_use"), "tool_calls");
  EXPECT_EQ(normalise_finish_reason("function_call"), "tool_calls");
  EXPECT_EQ(normalise_finish_reason("MAX_TOKENS"), "length");
  EXPECT_EQ(normalise_finish_reason("SAFETY"), "content_filter");
  EXPECT_EQ(normalise_finish_reason("abort"), "error");
  EXPECT_EQ(normalise_finish_reason("something new"), "stop");
  EXPECT_EQ(normalise_finish_reason(""), "");
}

}  // namespace
}  // namespace gantry::gateway
