#pragma once

// What the generators of telemetry share: a keep-alive connection, and one thread for each.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <curl/curl.h>
#include <fmt/format.h>

namespace gantry::bench {

struct Target {
  std::string url;
  std::string user;
  std::string password;
};

/// One keep-alive connection. One thread.
class Connection {
 public:
  Connection(const Target& target, const std::vector<std::string>& headers)
      : handle_(curl_easy_init()) {
    for (const std::string& header : headers)
      headers_ = curl_slist_append(headers_, header.c_str());
    headers_ = curl_slist_append(headers_, "Expect:");
    curl_easy_setopt(handle_, CURLOPT_URL, target.url.c_str());
    curl_easy_setopt(handle_, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(handle_, CURLOPT_POST, 1L);
    curl_easy_setopt(handle_, CURLOPT_WRITEFUNCTION, &keep_body);
    curl_easy_setopt(handle_, CURLOPT_WRITEDATA, &answer_);
    if (!target.user.empty()) {
      curl_easy_setopt(handle_, CURLOPT_USERNAME, target.user.c_str());
      curl_easy_setopt(handle_, CURLOPT_PASSWORD, target.password.c_str());
    }
  }

  ~Connection() {
    curl_slist_free_all(headers_);
    curl_easy_cleanup(handle_);
  }

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// `count` items in `body`. False, and says why, unless the answer is 2xx.
  bool post(std::string_view body, std::size_t count) {
    answer_.clear();
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    const CURLcode code = curl_easy_perform(handle_);
    long status = 0;
    curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status / 100 == 2) {
      items += count;
      bytes += body.size();
      return true;
    }
    fmt::print(stderr, "sending failed: {}, status {}: {}\n", curl_easy_strerror(code), status,
               answer_.substr(0, 500));
    return false;
  }

  std::uint64_t items = 0;
  std::uint64_t bytes = 0;

 private:
  static std::size_t keep_body(char* data, std::size_t size, std::size_t count, void* to) {
    static_cast<std::string*>(to)->append(data, size * count);
    return size * count;
  }

  CURL* handle_;
  curl_slist* headers_ = nullptr;
  std::string answer_;
};

/// Runs `send` once for each connection, with its number, all at once; prints one JSON line and
/// returns the exit status. `items`: what is counted.
inline int run_load(const Target& target, const std::vector<std::string>& headers,
                    std::size_t connections, std::string_view items,
                    const std::function<bool(std::size_t, Connection&)>& send) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  std::atomic<std::uint64_t> count = 0;
  std::atomic<std::uint64_t> bytes = 0;
  std::atomic<bool> has_failed = false;
  const auto started = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < connections; ++i) {
      threads.emplace_back([&, i] {
        Connection connection(target, headers);
        if (!send(i, connection)) has_failed = true;
        count += connection.items;
        bytes += connection.bytes;
      });
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  fmt::print("{{\"{}\": {}, \"bytes\": {}, \"seconds\": {:.3f}}}\n", items, count.load(),
             bytes.load(), took.count());
  return has_failed ? 1 : 0;
}

}  // namespace gantry::bench
