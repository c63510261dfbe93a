#include "net/testing/test_server.h"

#include <stdexcept>
#include <thread>
#include <utility>

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

namespace gantry::net::testing {

void wait_until(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the condition did not come true";
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::string decode(std::string_view coding, std::string_view body) {
  std::string out(10 << 20, '\0');
  if (coding == "zstd") {
    const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(),
                                                                            ZSTD_freeDStream);
    ZSTD_inBuffer in{.src = body.data(), .size = body.size(), .pos = 0};
    ZSTD_outBuffer to{.dst = out.data(), .size = out.size(), .pos = 0};
    const std::size_t left = ZSTD_decompressStream(stream.get(), &to, &in);
    return left == 0 && in.pos == in.size ? out.substr(0, to.pos) : "";
  }
  z_stream stream{};
  inflateInit2(&stream, coding == "gzip" ? 15 + 16 : 15);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<unsigned>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  const int state = inflate(&stream, Z_FINISH);
  const bool is_whole = state == Z_STREAM_END && stream.avail_in == 0;
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return is_whole ? out : "";
}

TestServer::TestServer(Options options)
    : pool_({.thread_count = options.thread_count, .queue_length_max = options.queue_length_max}) {
  auto other = std::make_shared<Router>();
  other->add(Method::Get, "/only-here", {}, [](Request&) { return text_response(200, "other"); });
  ServerOptions server_options{.query_pool = pool_,
                               .ingest_pool = pool_,
                               .metrics = metrics_,
                               .limits = options.limits,
                               .io_threads = options.io_threads,
                               .cors_origin = options.cors_origin};
  auto router = make_router();
  if (options.add_routes) options.add_routes(*router);
  std::vector<ListenerOptions> listeners;
  listeners.push_back(
      {.name = "main", .address = "127.0.0.1:0", .router = std::move(router), .tls = options.tls});
  listeners.push_back({.name = "other", .address = "127.0.0.1:0", .router = other});
  auto started = Server::start(std::move(server_options), std::move(listeners));
  if (!started) throw std::runtime_error(started.error().message);
  server_ = *std::move(started);
}

TestServer::~TestServer() {
  release();
}

std::shared_ptr<Router> TestServer::make_router() {
  auto router = std::make_shared<Router>();
  router->add(Method::Get, "/hello", {.name = "hello"}, [](Request& request) {
    return text_response(200, "hello " + request.raw_query + " from " + request.peer_address);
  });
  router->add(Method::Get, "/healthy", {.runs_on = RunsOn::IoThread},
              [](Request&) { return text_response(200, "healthy"); });
  router->add(Method::Post, "/echo",
              {.name = "echo", .runs_on = RunsOn::IngestPool, .body_bytes_max = 64 << 20},
              [](Request& request) {
                EXPECT_FALSE(request.headers.contains("Authorization"));
                Response response = text_response(200, std::move(request.body));
                response.may_compress = false;
                return response;
              });
  router->add(Method::Post, "/padding", {}, [](Request& request) {
    return text_response(200, std::to_string(request.body.capacity() - request.body.size()));
  });
  router->add(Method::Post, "/small",
              {.body_bytes_max = 100, .body_setting = "test.small_bytes_max"},
              [](Request&) { return text_response(200, "ok"); });
  router->add(Method::Get, "/large", {},
              [](Request&) { return text_response(200, std::string(100'000, 'l')); });
  router->add(Method::Get, "/huge", {}, [](Request&) {
    Response response = text_response(200, std::string(64 << 20, 'h'));
    response.may_compress = false;
    return response;
  });
  router->add(Method::Get, "/cors", {.cors = Cors::Yes},
              [](Request&) { return text_response(200, "ok"); });
  router->add(Method::Get, "/throws", {},
              [](Request&) -> Response { throw std::runtime_error("secret detail"); });
  router->add(Method::Get, "/reflect", {}, [](Request&) {
    Response response = text_response(200, "ok");
    response.headers.add("X-Reflected", "a\r\nEvil: yes");
    response.headers.add("Content-Length", "7");
    return response;
  });
  router->add(Method::Get, "/stream/{count}", {}, [](Request& request) {
    Response response = text_response(200, "start ");
    response.stream = [next = 0, count = std::stoi(std::string(
                                     request.path_parameter("count")))]() mutable -> std::string {
      return next < count ? "piece " + std::to_string(next++) + "\n" : "";
    };
    return response;
  });
  router->add(Method::Get, "/broken-stream", {}, [](Request&) {
    Response response = text_response(200, "start");
    response.stream = []() -> std::string { throw std::runtime_error("broken"); };
    return response;
  });
  router->add(Method::Post, "/otlp",
              {.render_error =
                   [](const Request&, int status, std::string_view) {
                     return text_response(status, std::to_string(status) + " otlp");
                   }},
              [](Request&) { return text_response(200, "ok"); });
  router->add(Method::Get, "/block", {}, [this](Request& request) { return block(request); });
  return router;
}

Response TestServer::block(Request& request) {
  core::Lock lock(mutex_);
  const int ordinal = ++blocked_count_;
  changed_.notify_all();
  while (!is_released_ && ordinal > released_first_ && !request.cancel.is_cancelled()) {
    changed_.wait_for(lock, std::chrono::milliseconds(1));
  }
  if (!request.cancel.is_cancelled()) return text_response(200, "not cancelled");
  ++cancelled_count_;
  return text_response(499, "cancelled");
}

void TestServer::wait_for_blocked(int count) {
  core::Lock lock(mutex_);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (blocked_count_ < count) {
    ASSERT_NE(changed_.wait_until(lock, deadline), std::cv_status::timeout);
  }
}

void TestServer::release_first(int count) {
  const core::Lock lock(mutex_);
  released_first_ = count;
  changed_.notify_all();
}

void TestServer::release() {
  const core::Lock lock(mutex_);
  is_released_ = true;
  changed_.notify_all();
}

int TestServer::cancelled_count() {
  const core::Lock lock(mutex_);
  return cancelled_count_;
}

double TestServer::rejected(std::string_view reason) const {
  return reason.empty() ? 0 : metric("gantry_http_rejected_total", reason);
}

double TestServer::metric(std::string_view name, std::string_view label_values) const {
  for (const core::CollectedFamily& family : metrics_.collect()) {
    for (const core::CollectedSample& sample : family.samples) {
      std::string joined;
      for (const auto& [label, value] : sample.labels)
        joined += (joined.empty() ? "" : "|") + value;
      if (sample.name == name && joined == label_values) return sample.value;
    }
  }
  return -1;
}

}  // namespace gantry::net::testing
