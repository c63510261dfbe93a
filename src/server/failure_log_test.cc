#include "server/failure_log.h"

#include <gtest/gtest.h>

namespace gantry::server {
namespace {

using Line = FailureLog::Line;

class FailureLogTest : public testing::Test {
 protected:
  Line good(std::string_view task) { return log_.note(task, {}); }

  Line bad(std::string_view task, Code code = Code::Unavailable) {
    return log_.note(task, fail(code, "the database is away"));
  }

  FailureLog log_{"not written", "written again"};
};

TEST_F(FailureLogTest, SaysOnceThatItBeginsAndOnceThatItIsOver) {
  EXPECT_EQ(good("usage"), Line::None);
  EXPECT_EQ(bad("usage"), Line::Failing);
  EXPECT_EQ(bad("usage"), Line::None);
  EXPECT_EQ(good("usage"), Line::Recovered);
  EXPECT_EQ(good("usage"), Line::None);
  EXPECT_EQ(bad("usage"), Line::Failing) << "a second outage";
}

TEST_F(FailureLogTest, IsOverWhenTheLastTaskSucceeds) {
  EXPECT_EQ(bad("usage"), Line::Failing);
  EXPECT_EQ(bad("audit"), Line::None);
  EXPECT_TRUE(log_.is_failing("audit"));
  EXPECT_EQ(good("audit"), Line::None);
  EXPECT_FALSE(log_.is_failing("audit"));
  EXPECT_EQ(good("sessions"), Line::None) << "it never failed";
  EXPECT_EQ(good("usage"), Line::Recovered);
}

TEST_F(FailureLogTest, AnotherCauseIsNews) {
  EXPECT_EQ(bad("usage"), Line::Failing);
  EXPECT_EQ(bad("audit", Code::ResourceExhausted), Line::Failing);
  EXPECT_EQ(bad("usage", Code::ResourceExhausted), Line::None);
  EXPECT_EQ(good("usage"), Line::None);
  EXPECT_EQ(good("audit"), Line::Recovered);
}

}  // namespace
}  // namespace gantry::server
