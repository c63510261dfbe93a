#include <memory>
#include <string>

#include <grpc/support/log.h>
#include <gtest/gtest.h>

#include "core/log.h"
#include "net/egress.h"
#include "net/grpc_client.h"

namespace gantry::net {
namespace {

class GrpcLog : public ::testing::Test {
 protected:
  GrpcLog() { gpr_set_log_verbosity(GPR_LOG_SEVERITY_DEBUG); }

  ~GrpcLog() override {
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
    log::configure(log::Level::Info, log::Format::Logfmt);
  }

  /// What is written when gRPC says this.
  static std::string written(gpr_log_severity severity, const char* message) {
    ::testing::internal::CaptureStderr();
    gpr_log("/build/src/core/tsi/handshake.cc", 42, severity, "%s", message);
    return ::testing::internal::GetCapturedStderr();
  }

  const Result<std::unique_ptr<Egress>> egress_ = Egress::make({});
  const Result<std::unique_ptr<GrpcClient>> client_ = GrpcClient::make({.egress = **egress_});
};

TEST_F(GrpcLog, ErrorsAreWarningsAmongOurEvents) {
  ASSERT_TRUE(client_);
  log::configure(log::Level::Warn, log::Format::Logfmt);
  const std::string line = written(GPR_LOG_SEVERITY_ERROR, "peer \"x\"\nspoke HTTP/1");
  EXPECT_TRUE(line.starts_with("time=")) << line;
  EXPECT_TRUE(
      line.ends_with(" level=warn msg=\"grpc reported\" message=\"peer \\\"x\\\"\\nspoke "
                     "HTTP/1\" source=handshake.cc:42\n"))
      << line;
}

TEST_F(GrpcLog, TheRestIsForDebugging) {
  ASSERT_TRUE(client_);
  EXPECT_EQ(written(GPR_LOG_SEVERITY_INFO, "connected"), "");
  log::configure(log::Level::Debug, log::Format::Json);
  for (const gpr_log_severity severity : {GPR_LOG_SEVERITY_INFO, GPR_LOG_SEVERITY_DEBUG}) {
    const std::string line = written(severity, "connected");
    EXPECT_TRUE(line.contains(R"("level":"debug","msg":"grpc reported","message":"connected")"))
        << line;
  }
}

}  // namespace
}  // namespace gantry::net
