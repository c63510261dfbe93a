// The streaming client: kept connections, TLS, failures by kind, limits.

#include <atomic>
#include <filesystem>
#include <future>
#include <thread>

#include <gtest/gtest.h>

#include "net/streaming_client.h"
#include "net/testing/raw_server.h"
#include "net/testing/streaming_peer.h"
#include "net/testing/test_server.h"

namespace gantry::net {
namespace {

using testing::Caller;
using testing::failure_of;
using testing::RawServer;
using testing::wait_until;
using testing::WaitingCall;
using Connection = RawServer::Connection;

constexpr std::string_view kHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

void answer_all(Connection& connection) {
  while (!connection.read_request().empty()) connection.send(kHello);
}

TEST(StreamingClientReuse, KeepsConnectionsByOrigin) {
  const auto script = [](Connection& connection, int) { answer_all(connection); };
  RawServer first(script);
  RawServer second(script);
  Caller caller;
  for (int i = 0; i < 5; ++i) {
    for (const RawServer* server : {&first, &second}) {
      WaitingCall call(caller.client(), {.url = Caller::url(*server)});
      EXPECT_EQ(call.rest(), "hello");
      EXPECT_EQ(call.head()->is_reused_connection, i > 0);
    }
  }
  EXPECT_EQ(first.connection_count(), 1);
  EXPECT_EQ(second.connection_count(), 1);
  EXPECT_EQ(caller.client().counts().idle_connections, 2U);
  EXPECT_EQ(caller.client().counts().opened_connections, 2U);
}

TEST(StreamingClientReuse, GivesTheConnectionBackBeforeTheBodyIsAskedFor) {
  RawServer server([](Connection& connection, int) { answer_all(connection); });
  Caller caller;
  WaitingCall first(caller.client(), {.url = Caller::url(server)});
  ASSERT_TRUE(first.head());
  wait_until([&] { return caller.client().counts().idle_connections == 1; });
  WaitingCall second(caller.client(), {.url = Caller::url(server)});
  EXPECT_EQ(second.rest(), "hello");
  EXPECT_EQ(first.rest(), "hello");
  EXPECT_EQ(server.connection_count(), 1);
}

TEST(StreamingClientReuse, DropsConnectionsThatThePeerClosed) {
  RawServer server([](Connection& connection, int) {
    connection.read_request();
    connection.send(kHello);
  });
  Caller caller;
  for (int i = 0; i < 3; ++i) {
    WaitingCall call(caller.client(), {.url = Caller::url(server)});
    EXPECT_EQ(call.rest(), "hello");
    // The next call must notice the end, not fail on it.
    wait_until([&] { return server.open_count() == 0; });
  }
  EXPECT_EQ(server.connection_count(), 3);
  EXPECT_EQ(caller.client().counts().repeated_calls, 0U);
}

TEST(StreamingClientReuse, RepeatsOnlyWhatMayBeRepeated) {
  // Each first connection answers once and closes when it sees a second request: too late to be
  // noticed before.
  RawServer server([](Connection& connection, int ordinal) {
    connection.read_request();
    connection.send(kHello);
    connection.read_request();
    if (ordinal == 1) connection.send(kHello);
  });
  Caller caller;
  CallRequest request{.method = "POST", .url = Caller::url(server), .body = CallBody::from("data")};
  WaitingCall first(caller.client(), request);
  EXPECT_EQ(first.rest(), "hello");
  request.may_repeat = true;
  WaitingCall repeated(caller.client(), request);
  EXPECT_EQ(repeated.rest(), "hello");
  EXPECT_FALSE(repeated.head()->is_reused_connection);
  EXPECT_EQ(caller.client().counts().repeated_calls, 1U);
  request.may_repeat = false;
  WaitingCall third(caller.client(), request);
  EXPECT_EQ(third.rest(), "hello") << "the second connection answers twice";
  wait_until([&] { return server.open_count() == 0; });
  WaitingCall fourth(caller.client(), request);
  EXPECT_EQ(fourth.rest(), "hello");
  WaitingCall refused(caller.client(), request);
  EXPECT_EQ(failure_of(refused), "reset");
  EXPECT_EQ(caller.client().counts().repeated_calls, 1U);
}

TEST(StreamingClientReuse, DoesNotRepeatOnceAnAnswerBegan) {
  RawServer server([](Connection& connection, int) {
    connection.read_request();
    connection.send(kHello);
    connection.read_request();
    connection.send("HTTP/1.1 2");
  });
  Caller caller;
  const CallRequest request{.url = Caller::url(server), .may_repeat = true};
  WaitingCall first(caller.client(), request);
  EXPECT_EQ(first.rest(), "hello");
  WaitingCall second(caller.client(), request);
  EXPECT_EQ(failure_of(second), "reset");
  EXPECT_EQ(server.connection_count(), 1);
}

TEST(StreamingClientReuse, DoesNotTrustAConnectionWithSomethingLeftOnIt) {
  RawServer server([](Connection& connection, int) {
    connection.read_request();
    connection.send(std::string(kHello) + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    connection.wait_for_end();
  });
  Caller caller;
  for (int i = 0; i < 2; ++i) {
    WaitingCall call(caller.client(), {.url = Caller::url(server)});
    EXPECT_EQ(call.rest(), "hello");
  }
  EXPECT_EQ(server.connection_count(), 2);
}

TEST(StreamingClientReuse, ClosesWhatIsIdleTooLongOrTooMany) {
  std::atomic<int> ended = 0;
  RawServer server([&](Connection& connection, int) {
    answer_all(connection);
    ++ended;
  });
  Caller caller({.idle_per_origin_max = 1, .idle_connection_timeout = {100}});
  {
    WaitingCall first(caller.client(), {.url = Caller::url(server)});
    WaitingCall second(caller.client(), {.url = Caller::url(server)});
    EXPECT_EQ(first.rest(), "hello");
    EXPECT_EQ(second.rest(), "hello");
  }
  EXPECT_LE(caller.client().counts().idle_connections, 1U);
  wait_until([&] { return ended == server.connection_count(); });
  wait_until([&] { return caller.client().counts().idle_connections == 0; });
}

TEST(StreamingClientMany, RunsHundredsAtOnce) {
  RawServer server([](Connection& connection, int) {
    while (!connection.read_request().empty()) {
      connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (int i = 0; i < 10; ++i) connection.send("6\r\npiece;\r\n");
      connection.send("0\r\n\r\n");
    }
  });
  Caller caller;
  std::string expected;
  for (int i = 0; i < 10; ++i) expected += "piece;";
  for (int round = 0; round < 2; ++round) {
    std::vector<std::unique_ptr<WaitingCall>> calls;
    for (int i = 0; i < 200; ++i) {
      calls.push_back(
          std::make_unique<WaitingCall>(caller.client(), CallRequest{.url = Caller::url(server)}));
    }
    for (const auto& call : calls) EXPECT_EQ(call->rest(), expected);
  }
  EXPECT_LE(server.connection_count(), 400);
  EXPECT_LE(caller.client().counts().idle_connections, 256U);
}

struct RefusedCase {
  std::string_view name, url, failure;
  Code code;
};

class StreamingClientRefuses : public ::testing::TestWithParam<RefusedCase> {};

TEST_P(StreamingClientRefuses, BeforeAnythingIsSent) {
  Caller caller({.resolve = [](const std::string& host) -> Result<std::vector<core::IpAddress>> {
    if (host == "other.example") return std::vector{*core::IpAddress::parse("10.0.0.1")};
    if (host == "rebound.example") return std::vector{*core::IpAddress::parse("169.254.169.254")};
    return fail(Code::Unavailable, host + ": no address");
  }});
  WaitingCall call(caller.client(), {.url = std::string(GetParam().url)});
  EXPECT_EQ(failure_of(call), GetParam().failure);
  EXPECT_EQ(call.head().error().error.code, GetParam().code);
  EXPECT_FALSE(call.head().error().error.message.contains("secret"));
  EXPECT_EQ(caller.client().counts().opened_connections, 0U);
}

std::string refused_name(const ::testing::TestParamInfo<RefusedCase>& info) {
  return std::string(info.param.name);
}

INSTANTIATE_TEST_SUITE_P(
    Urls, StreamingClientRefuses,
    ::testing::Values(
        RefusedCase{"not_a_url", "secret", "bad_request", Code::InvalidArgument},
        RefusedCase{"scheme", "ftp://upstream.example/secret", "bad_request",
                    Code::InvalidArgument},
        RefusedCase{"grpc", "grpc://upstream.example/secret", "bad_request", Code::InvalidArgument},
        RefusedCase{"plain", "http://unlisted.example/secret", "forbidden", Code::InvalidArgument},
        RefusedCase{"private", "https://10.0.0.1/secret", "forbidden", Code::PermissionDenied},
        RefusedCase{"rebound", "https://rebound.example/secret", "forbidden",
                    Code::PermissionDenied},
        RefusedCase{"no_such_host", "https://upstream.example/secret", "resolve",
                    Code::Unavailable},
        RefusedCase{"nobody_listens", "http://127.0.0.1:1/secret", "connect", Code::Unavailable}),
    refused_name);

TEST(StreamingClientErrors, RefusesFieldsThatWouldSplitTheRequest) {
  Caller caller;
  CallRequest request{.url = "http://127.0.0.1:1/"};
  request.headers.add("Authorization", "secret\r\nX-Evil: yes");
  WaitingCall call(caller.client(), request);
  EXPECT_EQ(failure_of(call), "bad_request");
  EXPECT_EQ(call.head().error().error.message, "header \"Authorization\" contains a line break");
  WaitingCall method(caller.client(), {.method = "GET /", .url = "http://127.0.0.1:1/"});
  EXPECT_EQ(failure_of(method), "bad_request");
}

struct BrokenCase {
  std::string_view name, answer, failure;
};

class StreamingClientBroken : public ::testing::TestWithParam<BrokenCase> {};

TEST_P(StreamingClientBroken, IsTold) {
  RawServer server([](Connection& connection, int) {
    connection.read_request();
    connection.send(GetParam().answer);
  });
  Caller caller({.header_bytes_max = 1024});
  WaitingCall call(caller.client(), {.url = Caller::url(server)});
  EXPECT_EQ(failure_of(call), GetParam().failure);
}

std::string broken_name(const ::testing::TestParamInfo<BrokenCase>& info) {
  return std::string(info.param.name);
}

const std::string& large_header() {
  static const std::string text = "HTTP/1.1 200 OK\r\nA: " + std::string(2000, 'a') + "\r\n\r\n";
  return text;
}

INSTANTIATE_TEST_SUITE_P(
    Answers, StreamingClientBroken,
    ::testing::Values(
        BrokenCase{"nothing", "", "reset"}, BrokenCase{"half_a_header", "HTTP/1.1 200", "reset"},
        BrokenCase{"garbage", "SSH-2.0-OpenSSH\r\n\r\n", "protocol"},
        BrokenCase{"header_too_large", large_header(), "protocol"},
        BrokenCase{"half_a_body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "reset"},
        BrokenCase{"half_the_chunks",
                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "reset"},
        BrokenCase{"bad_chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                   "protocol"}),
    broken_name);

TEST(StreamingClientErrors, TellsAResetInTheBody) {
  RawServer server([](Connection& connection, int) {
    connection.read_request();
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    connection.reset();
  });
  Caller caller;
  WaitingCall call(caller.client(), {.url = Caller::url(server)});
  EXPECT_EQ(failure_of(call), "reset");
}

TEST(StreamingClientErrors, LimitsHowManyRunAtOnce) {
  std::promise<void> go;
  RawServer server([going = go.get_future().share()](Connection& connection, int) {
    connection.read_request();
    going.wait();
    connection.send(kHello);
  });
  Caller caller({.calls_max = 1});
  WaitingCall first(caller.client(), {.url = Caller::url(server)});
  WaitingCall second(caller.client(), {.url = Caller::url(server)});
  EXPECT_EQ(failure_of(second), "overloaded");
  EXPECT_EQ(second.head().error().error.code, Code::ResourceExhausted);
  go.set_value();
  EXPECT_EQ(first.rest(), "hello");
}

TEST(StreamingClientConnect, TriesEachAddress) {
  RawServer server([](Connection& connection, int) { answer_all(connection); });
  std::atomic<int> lookups = 0;
  Caller caller({.resolve = [&](const std::string&) -> Result<std::vector<core::IpAddress>> {
    ++lookups;
    // Nobody listens at the first.
    return std::vector{*core::IpAddress::parse("127.0.0.2"), *core::IpAddress::parse("127.0.0.1")};
  }});
  WaitingCall call(caller.client(),
                   {.url = "http://upstream.example:" + std::to_string(server.port()) + "/"});
  EXPECT_EQ(call.rest(), "hello");
  WaitingCall again(caller.client(),
                    {.url = "http://upstream.example:" + std::to_string(server.port()) + "/"});
  EXPECT_EQ(again.rest(), "hello");
  EXPECT_EQ(lookups, 1) << "a kept connection needs none";
}

/// A directory with a certificate for localhost and 127.0.0.1, gone after the test.
class StreamingClientTls : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "gantry-net-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    files_ = testing::write_certificate(directory_, "upstream");
    other_files_ = testing::write_certificate(directory_, "other");
  }

  void TearDown() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] static std::string url(const RawServer& server, std::string_view host) {
    return "https://" + std::string(host) + ":" + std::to_string(server.port()) + "/";
  }

  std::string directory_;
  testing::CertificateFiles files_;
  testing::CertificateFiles other_files_;
};

TEST_F(StreamingClientTls, VerifiesNamesAndAddresses) {
  RawServer server([](Connection& connection, int) { answer_all(connection); }, files_);
  Caller caller({.ca_file = files_.certificate_file});
  for (const std::string_view host : {"localhost", "127.0.0.1", "localhost"}) {
    WaitingCall call(caller.client(), {.url = url(server, host)});
    EXPECT_EQ(call.rest(), "hello");
  }
  EXPECT_EQ(server.connection_count(), 2);
}

TEST_F(StreamingClientTls, TellsWhatIsWrongWithACertificate) {
  RawServer server([](Connection& connection, int) { answer_all(connection); }, files_);
  Caller trusting({.ca_file = files_.certificate_file});
  WaitingCall wrong_name(trusting.client(), {.url = url(server, "upstream.example")});
  EXPECT_EQ(failure_of(wrong_name), "tls_verification");
  EXPECT_NE(wrong_name.head().error().error.message.find("ostname mismatch"), std::string::npos)
      << wrong_name.head().error().error.message;
  for (const std::string& ca_file : {std::string(), other_files_.certificate_file}) {
    Caller other({.ca_file = ca_file});
    WaitingCall unknown(other.client(), {.url = url(server, "localhost")});
    EXPECT_EQ(failure_of(unknown), "tls_verification");
    EXPECT_EQ(unknown.head().error().error.code, Code::Unavailable);
  }
}

TEST_F(StreamingClientTls, TellsAHandshakeThatFails) {
  RawServer plain([](Connection& connection, int) {
    connection.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    connection.wait_for_end();
  });
  RawServer closing([](Connection&, int) {});
  Caller caller;
  for (const RawServer* server : {&plain, &closing}) {
    WaitingCall call(caller.client(), {.url = url(*server, "localhost")});
    EXPECT_EQ(failure_of(call), "tls");
  }
}

TEST_F(StreamingClientTls, StreamsAndCancels) {
  std::promise<void> is_closed;
  RawServer server(
      [&](Connection& connection, int) {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        connection.wait_for_end();
        is_closed.set_value();
      },
      files_);
  Caller caller({.ca_file = files_.certificate_file});
  WaitingCall call(caller.client(), {.method = "POST",
                                     .url = url(server, "localhost"),
                                     .body = CallBody::from(std::string(1 << 20, 'x'))});
  EXPECT_EQ(call.next().value(), "hello");
  call.cancel();
  is_closed.get_future().wait();
}

TEST_F(StreamingClientTls, RefusesAuthoritiesThatAreNone) {
  const auto egress = Egress::make({});
  const auto client = StreamingClient::make({.egress = **egress, .ca_file = "/nonexistent"});
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, Code::InvalidArgument);
}

}  // namespace
}  // namespace gantry::net
