// Calls whose provider does not count, with a vocabulary for their model.

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "gateway/testing/gateway_fixture.h"
#include "gateway/testing/provider.h"
#include "gateway/testing/small_vocabulary.h"

namespace gantry::gateway {
namespace {

using net::testing::RawClient;
using testing::answering;
using testing::content_event;
using testing::kChatPath;
using testing::whole_answer;
using testing::whole_stream;
using Peer = net::testing::RawServer::Connection;

constexpr std::string_view kEnd =
    R"(data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})"
    "\n\ndata: [DONE]\n\n";

class TokenCountingTest : public testing::GatewayFixture {
 protected:
  ~TokenCountingTest() override { std::filesystem::remove(file_); }

  /// "Hello world" is two tokens, and eleven bytes are three by their number.
  CatalogueConfig with_vocabulary(std::string models = "openai/gpt-*") {
    std::ofstream(file_, std::ios::binary) << testing::small_vocabulary({"Hello", " world"});
    CatalogueConfig config = one_model();
    config.tokenizers = {{.encoding = Encoding::O200kBase, .file = file_, .models = {models}}};
    return config;
  }

  static std::string body(std::string_view content, std::string_view more = "") {
    return fmt::format(R"({{"model":"gpt-4o","messages":[{{"role":"user","content":"{}"}}]{}}})",
                       content, more);
  }

  void expect_usage(std::int64_t input, std::int64_t output) {
    expect_usage(*generation(), input, output);
  }

  static void expect_usage(const Generation& finished, std::int64_t input, std::int64_t output) {
    ASSERT_TRUE(finished.usage);
    EXPECT_EQ(finished.usage->input, input);
    EXPECT_EQ(finished.usage->output, output);
    EXPECT_EQ(finished.usage->total, input + output);
    EXPECT_TRUE(finished.usage->is_estimated);
    EXPECT_EQ(finished.cost->total.value, input * 2'500'000 + output * 10'000'000);
  }

  /// Of "Hello world", both ways, through a stream.
  void call() { EXPECT_EQ(post(kChatPath, body("Hello world", R"(,"stream":true)")).status, 200); }

  /// A gateway for such calls. The first of them keeps the thread that counts.
  void start_held(GatewayOptions options) {
    start(answering([](const std::string&) {
            return whole_stream(content_event("Hello world") + std::string(kEnd));
          }),
          with_vocabulary(), std::move(options));
    sink_.hold_next();
    call();
    sink_.wait_until_held();
  }

  const std::string file_ = (std::filesystem::temp_directory_path() /
                             fmt::format("gantry-token-counting-{}.tiktoken", ::getpid()))
                                .string();
};

TEST_F(TokenCountingTest, AStreamWithoutUsage) {
  start(answering([](const std::string&) {
          return whole_stream(content_event("Hello") + content_event(" world") + std::string(kEnd));
        }),
        with_vocabulary());
  EXPECT_EQ(post(kChatPath, body("Hello world Hello", R"(,"stream":true)")).status, 200);
  // 4 for the message, 3 for the answer; Hello and " world"; the six bytes of " Hello", of which no
  // two together are a token.
  expect_usage(4 + 3 + 2 + 6, 2);
}

TEST_F(TokenCountingTest, AStreamWhoseClientLeaves) {
  start(
      [](Peer& connection, int) {
        connection.read_request();
        connection.send(std::string(testing::kEventsHead) +
                        testing::transfer_chunk(content_event("Hello world")));
        connection.wait_for_end();
      },
      with_vocabulary());
  {
    RawClient client(server_->port());
    client.send(request(kChatPath, body("Hello world", R"(,"stream":true)")));
    std::string received;
    while (!received.contains("Hello")) {
      const std::string piece = client.receive_some();
      ASSERT_FALSE(piece.empty());
      received += piece;
    }
    client.reset();
  }
  expect_usage(4 + 3 + 2, 2);
  EXPECT_TRUE(generation()->is_cancelled);
}

TEST_F(TokenCountingTest, AllChoicesOfAWholeAnswer) {
  start(answering([](const std::string&) {
          return whole_answer(
              200, R"({"id":"c","choices":[{"index":0,"message":{"role":"assistant",)"
                   R"("content":"Hello world"},"finish_reason":"stop"},{"index":1,"message":)"
                   R"({"content":"Hello","reasoning_content":" world"},"finish_reason":"stop"}]})");
        }),
        with_vocabulary());
  EXPECT_EQ(post(kChatPath, body("Hello world", R"(,"n":2)")).status, 200);
  expect_usage(4 + 3 + 2, 4);
}

TEST_F(TokenCountingTest, OtherModelsByTheirBytes) {
  start(answering([](const std::string&) {
          return whole_stream(content_event("Hello world") + std::string(kEnd));
        }),
        with_vocabulary("openai/gpt-4"));
  EXPECT_EQ(post(kChatPath, body("Hello world", R"(,"stream":true)")).status, 200);
  expect_usage(4 + 3 + 3, 3);
}

TEST_F(TokenCountingTest, WhatTheProviderCountsHolds) {
  start(answering([](const std::string&) {
          return whole_stream(content_event("Hello world") + testing::last_events());
        }),
        with_vocabulary());
  EXPECT_EQ(post(kChatPath, body("Hello world", R"(,"stream":true)")).status, 200);
  EXPECT_EQ(generation()->usage->input, 11);
  EXPECT_FALSE(generation()->usage->is_estimated);
}

TEST_F(TokenCountingTest, AFullQueueCountsBytes) {
  GatewayOptions options;
  options.uncounted_max = 1;
  start_held(options);
  // One of them waits, and the other is over at once: eleven bytes are three tokens, each way.
  call();
  call();
  expect_usage(4 + 3 + 3, 3);
  sink_.release();
  const auto finished = sink_.wait_for(3);
  expect_usage(*finished[1], 4 + 3 + 2, 2);
  expect_usage(*finished[2], 4 + 3 + 2, 2);
}

TEST_F(TokenCountingTest, AStopWaitsForCallsToBeCounted) {
  start_held({});
  call();
  server_.reset();
  std::jthread stopping([this] { gateway_->stop(); });
  EXPECT_EQ(gateway_->live_call_count(), 2);
  EXPECT_EQ(sink_.count(), 0);
  sink_.release();
  stopping.join();
  ASSERT_EQ(sink_.count(), 2);
  const auto finished = sink_.wait_for(2);
  for (const auto& generation : finished) expect_usage(*generation, 4 + 3 + 2, 2);
}

/// The status of a call by a key that may have 1,000 tokens a minute.
class TokenReservationTest : public TokenCountingTest {
 protected:
  int status(CatalogueConfig config, std::string_view content) {
    start(answering([](const std::string&) {
            return whole_stream(content_event("Hello") + std::string(kEnd));
          }),
          std::move(config));
    secret_ = make_key({.name = "limited", .tpm = 1'000});
    return post(kChatPath, body(content, R"(,"stream":true,"max_tokens":1)")).status;
  }
};

TEST_F(TokenReservationTest, CountsAPromptExactly) {
  // Each letter is a token of this vocabulary: 2,000, and not 500.
  EXPECT_EQ(status(with_vocabulary(), std::string(2'000, 'z')), 429);
}

TEST_F(TokenReservationTest, WithoutAVocabularyByItsBytes) {
  EXPECT_EQ(status(one_model(), std::string(2'000, 'z')), 200);
}

TEST_F(TokenReservationTest, CountsALongPromptByItsBytes) {
  // 4,200 bytes, of 700 tokens; by their number 1,050.
  std::string prompt;
  for (int i = 0; i < 700; ++i) prompt += " world";
  start(answering([](const std::string&) {
          return whole_stream(content_event("Hello") + std::string(kEnd));
        }),
        with_vocabulary());
  secret_ = make_key({.name = "limited", .tpm = 900});
  EXPECT_EQ(post(kChatPath, body(prompt, R"(,"max_tokens":1)")).status, 429);
  prompt.resize(3'600);  // 600 tokens; by their number 900
  EXPECT_EQ(post(kChatPath, body(prompt, R"(,"stream":true,"max_tokens":1)")).status, 200);
}

}  // namespace
}  // namespace gantry::gateway
