#include "net/server.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "core/time.h"
#include "net/testing/raw_client.h"
#include "net/testing/test_server.h"

namespace gantry::net {
namespace {

using testing::RawClient;
using testing::RawResponse;
using testing::TestServer;
using testing::wait_until;

constexpr std::string_view kGetHello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

std::string post(std::string_view path, std::string_view body, std::string_view fields = "") {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(fields) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

TEST(Server, AnswersWithItsOwnFields) {
  TestServer server;
  RawClient client(server.port());
  client.send("GET /hello?a=b%20c HTTP/1.1\r\nHost: x\r\nX-Request-Id: abc-1\r\n\r\n");
  const RawResponse response = client.receive();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "hello a=b%20c from 127.0.0.1");
  EXPECT_EQ(response.field("x-request-id"), "abc-1");
  EXPECT_EQ(response.field("server"), "gantry");
  EXPECT_EQ(response.field("date").size(), 29U);
  EXPECT_EQ(response.field("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(response.field("connection"), "");
}

TEST(Server, KeepsTheConnectionForPipelinedRequests) {
  TestServer server;
  RawClient client(server.port());
  std::string requests;
  for (int i = 0; i < 20; ++i) requests += post("/echo", "body " + std::to_string(i));
  client.send(requests);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.receive().body, "body " + std::to_string(i));
  EXPECT_EQ(server.server().connection_count(), 1U);
}

TEST(Server, RunsWhatIsQuickWithoutAWorker) {
  TestServer server({.thread_count = 1, .add_routes = [](Router& router) {
                       router.add(Method::Post, "/length",
                                  {.is_quick =
                                       [](const Request& request) {
                                         if (request.body == "throw") throw std::length_error("");
                                         return request.body.size() < 5;
                                       }},
                                  [](Request& request) {
                                    return text_response(200, std::to_string(request.body.size()));
                                  });
                     }});
  RawClient busy(server.port());
  busy.send("GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
  server.wait_for_blocked(1);
  RawClient quick(server.port());
  quick.send(post("/length", "four"));
  EXPECT_EQ(quick.receive().body, "4");
  RawClient slow(server.port());
  slow.send(post("/length", "longer"));
  RawClient broken(server.port());
  broken.send(post("/length", "throw"));
  wait_until([&] { return server.queue_length() == 2; });
  server.release();
  EXPECT_EQ(slow.receive().body, "6");
  EXPECT_EQ(broken.receive().body, "5");
}

TEST(Server, IgnoresEmptyLinesBetweenRequests) {
  TestServer server;
  RawClient client(server.port());
  client.send("\r\n\r\n" + post("/echo", "a") + "\r\n" + post("/echo", "b"));
  EXPECT_EQ(client.receive().body, "a");
  EXPECT_EQ(client.receive().body, "b");
}

TEST(Server, ClosesWhenAsked) {
  TestServer server;
  RawClient client(server.port());
  client.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.receive().field("connection"), "close");
  EXPECT_TRUE(client.is_at_end());
}

TEST(Server, SpeaksHttp10) {
  TestServer server;
  {
    RawClient client(server.port());
    client.send("GET /hello HTTP/1.0\r\n\r\n");
    EXPECT_EQ(client.receive().field("connection"), "close");
    EXPECT_TRUE(client.is_at_end());
  }
  RawClient client(server.port());
  client.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(client.receive().field("connection"), "keep-alive");
  client.send("GET /stream/3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const RawResponse streamed = client.receive();
  EXPECT_EQ(streamed.field("transfer-encoding"), "");
  EXPECT_EQ(streamed.body, "start piece 0\npiece 1\npiece 2\n");
}

TEST(Server, ReadsABodyHoweverItIsCut) {
  TestServer server;
  const std::string request = post("/echo", std::string(300, 'x') + "end");
  for (const std::size_t cut : {1UZ, 20UZ, 60UZ, request.size() - 1}) {
    RawClient client(server.port());
    client.send(request.substr(0, cut));
    client.send(request.substr(cut));
    EXPECT_EQ(client.receive().body, std::string(300, 'x') + "end") << cut;
  }
}

TEST(Server, ReadsChunkedBodies) {
  TestServer server;
  RawClient client(server.port());
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.send("5\r\nhello\r\n1;name=value\r\n \r\n");
  client.send("5\r\nworld\r\n0\r\nAuthorization: trailer\r\n\r\n");
  client.send(kGetHello);
  EXPECT_EQ(client.receive().body, "hello world");
  EXPECT_EQ(client.receive().status, 200);
}

TEST(Server, ReadsAnEmptyChunkedBodyHoweverItIsSplit) {
  TestServer server;
  const std::string request =
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  for (std::size_t left = 1; left <= 5; ++left) {
    RawClient client(server.port());
    client.send(request.substr(0, request.size() - left));
    for (std::size_t i = request.size() - left; i < request.size(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      client.send(request.substr(i, 1));
    }
    EXPECT_EQ(client.receive().status, 200) << left;
  }
}

TEST(Server, LeavesReadableBytesBehindTheBody) {
  TestServer server;
  RawClient client(server.port());
  for (const std::size_t size : {0UZ, 1UZ, 15UZ, 16UZ, 4095UZ, 100'000UZ}) {
    client.send(post("/padding", std::string(size, 'x')));
    EXPECT_GE(std::stoul(client.receive().body), kBodyPaddingBytes) << size;
  }
}

TEST(Server, SaysContinueOnlyWhenItWillReadTheBody) {
  TestServer server;
  RawClient client(server.port());
  client.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.receive().status, 100);
  client.send("body");
  EXPECT_EQ(client.receive().body, "body");

  client.send(
      "POST /small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
  const RawResponse refused = client.receive();
  EXPECT_EQ(refused.status, 413);
  EXPECT_EQ(refused.field("connection"), "close");
}

TEST(Server, AnswersHeadLikeGetWithoutTheBody) {
  TestServer server;
  RawClient client(server.port());
  client.send("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  const RawResponse response = client.receive(false);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.field("content-length"), "21");
  client.send("HEAD /stream/3 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.receive(false).field("transfer-encoding"), "");
  client.send(kGetHello);
  EXPECT_EQ(client.receive().status, 200);
}

TEST(Server, StreamsInChunks) {
  TestServer server;
  RawClient client(server.port());
  client.send("GET /stream/1000 HTTP/1.1\r\nHost: x\r\n\r\n");
  const RawResponse response = client.receive();
  EXPECT_TRUE(response.is_complete);
  EXPECT_EQ(response.field("content-length"), "");
  EXPECT_TRUE(response.body.ends_with("piece 999\n"));
  client.send(kGetHello);
  EXPECT_EQ(client.receive().status, 200);
}

TEST(Server, CutsAStreamThatFails) {
  TestServer server;
  RawClient client(server.port());
  client.send("GET /broken-stream HTTP/1.1\r\nHost: x\r\n\r\n");
  const RawResponse response = client.receive();
  EXPECT_EQ(response.status, 200);
  EXPECT_FALSE(response.is_complete);
}

TEST(Server, TurnsAnExceptionInto500) {
  TestServer server;
  RawClient client(server.port());
  client.send("GET /throws HTTP/1.1\r\nHost: x\r\n\r\n");
  const RawResponse response = client.receive();
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(response.body.find("secret"), std::string::npos);
  client.send(kGetHello);
  EXPECT_EQ(client.receive().status, 200);
}

TEST(Server, AllowsNoFieldToBeSmuggledByAHandler) {
  TestServer server;
  RawClient client(server.port());
  client.send("GET /reflect?x HTTP/1.1\r\nHost: x\r\n\r\n");
  const RawResponse response = client.receive();
  EXPECT_EQ(response.field("evil"), "");
  EXPECT_EQ(response.field("x-reflected"), "a  Evil: yes");
  EXPECT_EQ(response.field("content-length"), "2");
}

struct BadRequestCase {
  std::string_view name, bytes;
  int status;
  std::string_view reason;
};

class BadRequest : public ::testing::TestWithParam<BadRequestCase> {};

TEST_P(BadRequest, IsAnsweredAndTheConnectionCloses) {
  TestServer server;
  RawClient client(server.port());
  client.send(GetParam().bytes);
  const RawResponse response = client.receive();
  EXPECT_EQ(response.status, GetParam().status) << response.body;
  EXPECT_TRUE(response.body.starts_with(R"({"status":"error","errorType":")")) << response.body;
  EXPECT_FALSE(response.field("x-request-id").empty());
  EXPECT_GE(server.rejected(GetParam().reason), GetParam().reason.empty() ? 0 : 1);
}

INSTANTIATE_TEST_SUITE_P(
    Requests, BadRequest,
    ::testing::Values(
        BadRequestCase{"not_http", "hello there\r\n\r\n", 400, "bad_request"},
        BadRequestCase{"tls_to_plain", std::string_view("\x16\x03\x01\x02\x00\r\n\r\n", 9), 400,
                       "bad_request"},
        BadRequestCase{"no_host", "GET /hello HTTP/1.1\r\n\r\n", 400, "bad_request"},
        BadRequestCase{"two_hosts", "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400,
                       "bad_request"},
        BadRequestCase{"version", "GET /hello HTTP/2.0\r\nHost: x\r\n\r\n", 505, "bad_request"},
        BadRequestCase{"space_before_colon", "GET /hello HTTP/1.1\r\nHost : x\r\n\r\n", 400,
                       "bad_request"},
        BadRequestCase{"bad_length", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                       400, "bad_request"},
        BadRequestCase{"two_lengths",
                       "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: "
                       "2\r\n\r\nab",
                       400, "bad_request"},
        BadRequestCase{"length_and_chunked",
                       "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: "
                       "chunked\r\n\r\n0\r\n\r\n",
                       400, "bad_request"},
        BadRequestCase{"chunked_and_length",
                       "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                       "chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
                       400, "bad_request"},
        BadRequestCase{"other_coding",
                       "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, "
                       "chunked\r\n\r\n0\r\n\r\n",
                       501, "bad_request"},
        BadRequestCase{"identity_coding",
                       "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\nabc",
                       501, "bad_request"},
        BadRequestCase{"chunked_http_1_0",
                       "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
                       "bad_request"},
        BadRequestCase{"bad_chunk",
                       "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                       "chunked\r\n\r\nzz\r\nabc\r\n",
                       400, "bad_request"},
        BadRequestCase{"expectation",
                       "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: "
                       "1\r\n\r\na",
                       417, "bad_request"},
        BadRequestCase{"encoded_slash", "GET /a%2Fb HTTP/1.1\r\nHost: x\r\n\r\n", 400,
                       "bad_request"},
        BadRequestCase{"dot_segments", "GET /a/../hello HTTP/1.1\r\nHost: x\r\n\r\n", 400,
                       "bad_request"},
        BadRequestCase{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"},
        BadRequestCase{"unknown_path", "GET /nope HTTP/1.1\r\nHost: x\r\n\r\n", 404, ""},
        BadRequestCase{"unknown_method", "BREW /echo HTTP/1.1\r\nHost: x\r\n\r\n", 405, ""}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(Server, TakesAnAbsoluteTarget) {
  TestServer server;
  RawClient client(server.port());
  client.send("GET http://example.com/hello?q HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.receive().body, "hello q from 127.0.0.1");
}

TEST(Server, SaysWhichMethodsAPathHas) {
  TestServer server;
  RawClient client(server.port());
  client.send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  const RawResponse response = client.receive();
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.field("allow"), "POST");
  client.send(kGetHello);
  EXPECT_EQ(client.receive().status, 200) << "a refusal without a body keeps the connection";
}

TEST(Server, LetsARouteRenderItsErrors) {
  TestServer server;
  RawClient client(server.port());
  client.send("GET /otlp HTTP/1.1\r\nHost: x\r\n\r\n");
  const RawResponse response = client.receive();
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.body, "405 otlp");
  EXPECT_EQ(response.field("allow"), "POST");
}

TEST(Server, LimitsTheBodyPerRoute) {
  TestServer server;
  RawClient client(server.port());
  client.send(post("/small", std::string(100, 'x')));
  EXPECT_EQ(client.receive().status, 200);
  client.send(post("/small", std::string(101, 'x')));
  const RawResponse response = client.receive();
  EXPECT_EQ(response.status, 413);
  EXPECT_NE(response.body.find("larger than 100 bytes (test.small_bytes_max)"), std::string::npos)
      << response.body;
  EXPECT_EQ(server.rejected("body_too_large"), 1);
}

TEST(Server, LimitsAChunkedBodyWhileItArrives) {
  TestServer server;
  RawClient client(server.port());
  client.send("POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.send("50\r\n" + std::string(0x50, 'x') + "\r\n");
  client.send("50\r\n" + std::string(0x50, 'x') + "\r\n");  // never ends
  EXPECT_EQ(client.receive().status, 413);
}

TEST(Server, LimitsChunkHeadersAndTrailers) {
  HttpLimits limits;
  limits.header_bytes_max = 1024;
  TestServer server({.limits = limits});
  RawClient client(server.port());
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.send("1;" + std::string(4000, 'e'));
  EXPECT_EQ(client.receive().status, 431);
}

TEST(Server, LimitsHeaderTargetAndFieldCount) {
  HttpLimits limits;
  limits.header_bytes_max = 4096;
  limits.target_bytes_max = 1000;
  limits.header_fields_max = 5;
  TestServer server({.limits = limits});
  const auto status_of = [&](const std::string& bytes) {
    RawClient client(server.port());
    client.send(bytes);
    return client.receive().status;
  };
  const auto target = [](std::size_t size) {
    return "GET /hello?" + std::string(size - 7, 'q') + " HTTP/1.1\r\nHost: x\r\n\r\n";
  };
  EXPECT_EQ(status_of(target(1000)), 200);
  EXPECT_EQ(status_of(target(1001)), 414);
  EXPECT_EQ(status_of(target(10'000)), 414);
  EXPECT_EQ(
      status_of("GET /hello HTTP/1.1\r\nHost: x\r\nA: " + std::string(5000, 'a') + "\r\n\r\n"),
      431);
  EXPECT_EQ(status_of("GET /hello HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n"),
            200);
  EXPECT_EQ(
      status_of("GET /hello HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n"),
      431);
  EXPECT_EQ(server.rejected("target_too_long"), 2);
  EXPECT_EQ(server.rejected("header_too_large"), 2);
}

TEST(Server, LimitsTheBodiesHeldAtOnce) {
  HttpLimits limits;
  limits.bodies_bytes_max = 5000;
  TestServer server({.limits = limits});
  RawClient first(server.port());
  first.send("GET /block HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n" +
             std::string(4000, 'x'));
  server.wait_for_blocked(1);
  RawClient second(server.port());
  second.send(post("/echo", std::string(2000, 'y')));
  const RawResponse refused = second.receive();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.field("retry-after"), "1");
  EXPECT_NE(refused.body.find("http.bodies_bytes_max"), std::string::npos);
  EXPECT_EQ(server.rejected("body_memory"), 1);
  server.release();
  EXPECT_EQ(first.receive().status, 200);
  testing::wait_until([&] {  // what was held is given back
    RawClient third(server.port());
    third.send(post("/echo", std::string(5000, 'y')));
    return third.receive().status == 200;
  });
}

TEST(Server, RefusesOneConnectionTooMany) {
  HttpLimits limits;
  limits.connections_max = 2;
  TestServer server({.limits = limits});
  RawClient first(server.port());
  first.send(kGetHello);
  EXPECT_EQ(first.receive().status, 200);
  RawClient second(server.port());
  second.send(kGetHello);
  EXPECT_EQ(second.receive().status, 200);
  {
    RawClient third(server.port());
    third.send(kGetHello);
    const RawResponse response = third.receive();
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.field("retry-after"), "1");
    EXPECT_TRUE(response.is_complete);
    EXPECT_NE(response.body.find("http.connections_max"), std::string::npos);
  }
  EXPECT_EQ(server.rejected("connections"), 1);
  first.reset();
  testing::wait_until([&] { return server.server().connection_count() == 1; });
  RawClient fourth(server.port());
  fourth.send(kGetHello);
  EXPECT_EQ(fourth.receive().status, 200);
}

TEST(Server, RefusesWorkWhenTheQueueIsFull) {
  TestServer server({.thread_count = 1, .queue_length_max = 1});
  RawClient running(server.port());
  running.send("GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
  server.wait_for_blocked(1);
  RawClient queued(server.port());
  queued.send("GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
  testing::wait_until([&] { return server.queue_length() == 1; });
  RawClient refused(server.port());
  refused.send(kGetHello);
  const RawResponse response = refused.receive();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.field("retry-after"), "1");
  EXPECT_EQ(server.rejected("queue_full"), 1);
  refused.send("GET /healthy HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(refused.receive().body, "healthy") << "runs on the I/O thread";
  server.release();
  EXPECT_EQ(running.receive().body, "not cancelled");
  EXPECT_EQ(queued.receive().body, "not cancelled");
}

TEST(Server, CompressesAsTheClientAsks) {
  TestServer server;
  const auto get = [&](std::string_view path, std::string_view accept) {
    RawClient client(server.port());
    client.send("GET " + std::string(path) +
                " HTTP/1.1\r\nHost: x\r\nAccept-Encoding: " + std::string(accept) + "\r\n\r\n");
    return client.receive();
  };
  const RawResponse plain = get("/large", "br");
  EXPECT_EQ(plain.field("content-encoding"), "");
  EXPECT_EQ(plain.field("vary"), "Accept-Encoding");
  EXPECT_EQ(plain.body.size(), 100'000U);
  for (const std::string_view coding : {"gzip", "deflate", "zstd"}) {
    const RawResponse whole = get("/large", coding);
    EXPECT_EQ(whole.field("content-encoding"), coding);
    EXPECT_LT(whole.body.size(), 2000U);
    EXPECT_EQ(testing::decode(coding, whole.body), plain.body);
    const RawResponse streamed = get("/stream/500", coding);
    EXPECT_EQ(streamed.field("content-encoding"), coding);
    EXPECT_EQ(testing::decode(coding, streamed.body), get("/stream/500", "identity").body);
  }
  EXPECT_EQ(get("/hello", "gzip").field("content-encoding"), "") << "too small";
}

TEST(Server, AnswersCors) {
  TestServer server({.cors_origin = "https://.*\\.example"});
  RawClient client(server.port());
  const auto get = [&](std::string_view method, std::string_view origin) {
    client.send(std::string(method) +
                " /cors HTTP/1.1\r\nHost: x\r\nOrigin: " + std::string(origin) + "\r\n\r\n");
    return client.receive();
  };
  const RawResponse allowed = get("GET", "https://a.example");
  EXPECT_EQ(allowed.field("access-control-allow-origin"), "https://a.example");
  EXPECT_EQ(allowed.field("access-control-expose-headers"), "Date");
  EXPECT_EQ(get("GET", "https://a.example.evil").field("access-control-allow-origin"), "");
  const RawResponse preflight = get("OPTIONS", "https://a.example");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.field("access-control-allow-methods"), "GET, POST, OPTIONS");
  EXPECT_EQ(preflight.field("allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(preflight.field("content-length"), "");
}

TEST(Server, CountsWhatItAnswers) {
  TestServer server;
  {
    RawClient client(server.port());
    client.send(post("/echo", "12345"));
    EXPECT_NE(client.receive().status, 0);
    client.send("GET /nope HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(client.receive().status, 0);
    EXPECT_EQ(server.metric("gantry_http_connections", "main"), 1);
  }
  testing::wait_until([&] { return server.metric("gantry_http_connections", "main") == 0; });
  EXPECT_EQ(server.metric("gantry_http_requests_total", "200|echo|POST"), 1);
  EXPECT_EQ(server.metric("gantry_http_requests_total", "404|none|GET"), 1);
  EXPECT_EQ(server.metric("gantry_http_request_duration_seconds_count", "echo"), 1);
  EXPECT_EQ(server.metric("gantry_http_request_body_bytes_total", "echo"), 5);
  EXPECT_EQ(server.metric("gantry_http_requests_in_flight", "echo"), 0);
  EXPECT_EQ(server.metric("gantry_http_connections_total", "main"), 1);
}

TEST(Server, ServesSeveralListeners) {
  TestServer server;
  RawClient other(server.server().bound_port("other"));
  other.send("GET /only-here HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(other.receive().body, "other");
  other.send(kGetHello);
  EXPECT_EQ(other.receive().status, 404);
  EXPECT_EQ(server.server().bound_port("nope"), 0);
}

TEST(Server, SaysWhyItCannotListen) {
  TestServer server;
  core::MetricRegistry metrics;
  core::WorkerPool pool({.thread_count = 1});
  const auto start = [&](std::string address) {
    ServerOptions options{.query_pool = pool, .ingest_pool = pool, .metrics = metrics};
    std::vector<ListenerOptions> listeners{
        {.name = "main", .address = address, .router = std::make_shared<Router>()}};
    return Server::start(std::move(options), std::move(listeners));
  };
  const std::string address = "127.0.0.1:" + std::to_string(server.port());
  const auto busy = start(address);
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code, Code::Unavailable);
  EXPECT_EQ(busy.error().message,
            "listener \"main\": cannot listen on " + address + ": Address already in use");
  EXPECT_EQ(start("nonsense").error().code, Code::InvalidArgument);
  const auto any = start(":0");
  ASSERT_TRUE(any);
  RawClient client((*any)->bound_port("main"));
  client.send(kGetHello);
  EXPECT_EQ(client.receive().status, 404);
}

}  // namespace
}  // namespace gantry::net
