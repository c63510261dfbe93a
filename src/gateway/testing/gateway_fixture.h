#pragma once

// The whole gateway behind a server, in front of a provider that the test scripts.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/testing/control_fixture.h"
#include "core/mutex.h"
#include "gateway/gateway.h"
#include "gateway/steady_clock.h"
#include "net/testing/raw_client.h"
#include "net/testing/raw_server.h"
#include "net/testing/streaming_peer.h"
#include "net/testing/test_server.h"

namespace gantry::gateway::testing {

inline constexpr std::string_view kChatPath = "/api/v1/chat/completions";

class RecordingSink final : public GenerationSink {
 public:
  void take(access::OrgId org, StackId stack,
            const std::shared_ptr<const Generation>& generation) override;

  /// Waits until there are so many.
  [[nodiscard]] std::vector<std::shared_ptr<const Generation>> wait_for(std::size_t count);

  [[nodiscard]] std::size_t count() const;

  void clear();

  /// The next `take` does not return before `release`, nor is its generation counted.
  void hold_next();

  void wait_until_held();
  void release();

 private:
  enum class Hold : std::uint8_t { Off, Next, Held };

  mutable core::Mutex mutex_;
  core::ConditionVariable changed_;
  Hold hold_ GANTRY_GUARDED_BY(mutex_) = Hold::Off;
  std::vector<std::shared_ptr<const Generation>> generations_ GANTRY_GUARDED_BY(mutex_);
};

class GatewayFixture : public access::ControlFixture {
 protected:
  ~GatewayFixture() override;

  /// Starts everything. The providers of `config` are at the script's server: their base_url is
  /// set here, unless they have one.
  void start(net::testing::RawServer::Script script, CatalogueConfig config,
             GatewayOptions options = {});

  /// Ends everything, so that `start` may follow; forgets finished calls.
  void stop();

  void wait_for_no_calls();

  /// One model, openai/gpt-4o, of one provider, OpenAI, at 2.5 and 10 USD per million tokens.
  [[nodiscard]] static CatalogueConfig one_model();

  /// OpenAI, and then Azure, who has the same model as deployment.
  [[nodiscard]] static CatalogueConfig two_providers();

  /// A key's secret.
  std::string make_key(GatewayKeySettings settings = {});

  /// `fields` end in line breaks.
  [[nodiscard]] std::string request(std::string_view path, std::string_view body,
                                    std::string_view fields = {}) const;

  net::testing::RawResponse post(std::string_view path, std::string_view body,
                                 std::string_view fields = {});
  net::testing::RawResponse fetch(std::string_view path);

  /// Of the only finished call.
  std::shared_ptr<const Generation> generation() { return sink_.wait_for(1).front(); }

  std::string secret_;  ///< Of the key that requests have. "": they have none.
  std::string next_id_ = "gen-1705312800-AbCdEfGhIjKlMnOpQrSt";
  RecordingSink sink_;
  SteadyClock steady_clock_;
  std::optional<net::testing::RawServer> upstream_;
  const std::shared_ptr<net::IoThreads> io_threads_ =
      std::make_shared<net::IoThreads>(2, "gateway-io");
  net::testing::Caller caller_{{.io_threads = io_threads_}};
  GatewayKeyFinder keys_{*db_, hasher_, clock_, registry_, {}};
  KeyBudgets budgets_{*db_, clock_, {}};
  GenerationRecords records_{*db_, clock_, registry_, {}};
  CallMetrics metrics_{registry_, {}};
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<net::testing::TestServer> server_;
};

/// A script that answers each request in turn; an empty answer is none, until the end.
[[nodiscard]] net::testing::RawServer::Script answering(
    std::function<std::string(const std::string& request)> answer);

}  // namespace gantry::gateway::testing
