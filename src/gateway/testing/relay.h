#pragma once

// A server whose streams come from a provider that a test scripts: the parts of the gateway put
// together in the plainest way, each upstream tried in turn.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/mutex.h"
#include "gateway/stream_pump.h"
#include "net/testing/raw_client.h"
#include "net/testing/raw_server.h"
#include "net/testing/streaming_peer.h"
#include "net/testing/test_server.h"

namespace gantry::gateway::testing {

class Relay {
 public:
  struct Options {
    net::testing::RawServer::Script script;
    int candidate_count = 1;  ///< All of them at the script's server.
    UpstreamTimeouts timeouts;
    DurationMs keep_alive{10'000};
    DurationMs write_timeout{60'000};
  };

  explicit Relay(Options options);
  ~Relay();

  [[nodiscard]] std::uint16_t port() const { return server_->port(); }

  [[nodiscard]] net::testing::TestServer& server() { return *server_; }

  [[nodiscard]] net::StreamingClient& client() { return caller_.client(); }

  [[nodiscard]] int connection_count() const { return upstream_.connection_count(); }

  /// Waits for so many calls to be over, and gives what is known of them.
  [[nodiscard]] std::vector<Generation> generations(std::size_t count);
  [[nodiscard]] std::vector<StreamResult> results(std::size_t count);

  [[nodiscard]] static std::string request(std::string_view path, std::string_view body);

 private:
  struct Call;

  net::Response open(Api api, net::Request& request);
  void try_next(const std::shared_ptr<Call>& call);
  void take(const std::shared_ptr<Call>& call, AttemptResult outcome);
  void done(const std::shared_ptr<Call>& call, StreamResult result);

  Options options_;
  core::Mutex mutex_;
  std::vector<Generation> generations_ GANTRY_GUARDED_BY(mutex_);
  std::vector<StreamResult> results_ GANTRY_GUARDED_BY(mutex_);
  // Their threads write the above, and end before it goes.
  net::testing::RawServer upstream_;
  net::testing::Caller caller_;
  std::unique_ptr<net::testing::TestServer> server_;
};

/// Payloads that a client got; [DONE] is a text.
[[nodiscard]] std::vector<nlohmann::json> payloads(std::string_view body);

}  // namespace gantry::gateway::testing
