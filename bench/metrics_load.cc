// Sends node-exporter-like series by remote write 1.0, as fast as the receiver takes them, and
// prints one JSON line.
//
//   bench_metrics_load --url http://127.0.0.1:9490/api/v1/push --user 1000000 --password glc_…
//   --series 100000 --steps 240
//
// The same seed makes the same bytes, so that every receiver gets the same data. Per host of 1,000
// series: 10 % CPU counters with two decimals, 10 % histogram buckets, 30 % integer counters, 25 %
// gauges, 25 % constants; 8 labels. With --churn-every N a tenth of the hosts gets new names every
// N steps.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <curl/curl.h>
#include <fmt/format.h>

#include "codec/compression.h"
#include "codec/remote_write_encoder.h"

namespace {

using gantry::codec::WriteRequest;
using gantry::codec::WriteSeries;

constexpr std::size_t kSeriesPerHost = 1000;

struct Options {
  std::string url;
  std::string user;
  std::string password;
  std::size_t series = 100'000;
  std::size_t steps = 240;
  std::int64_t interval_ms = 15'000;
  std::int64_t start_ms = 0;
  std::size_t connections = 2;
  std::size_t samples_per_request = 2'000;
  std::size_t churn_every = 0;
};

enum class Kind : std::uint8_t { CpuCounter, Bucket, IntegerCounter, Gauge, Constant };

Kind kind_of(std::size_t index) {
  const std::size_t percent = index * 100 / kSeriesPerHost;
  if (percent < 10) return Kind::CpuCounter;
  if (percent < 20) return Kind::Bucket;
  if (percent < 50) return Kind::IntegerCounter;
  if (percent < 75) return Kind::Gauge;
  return Kind::Constant;
}

/// One host's series and their values from step to step.
class Host {
 public:
  Host(std::size_t number, std::size_t series_count) : number_(number), random_(number + 1) {
    series_.resize(series_count);
    values_.resize(series_count);
    rename(0);
  }

  void rename(std::size_t generation) {
    for (std::size_t i = 0; i < series_.size(); ++i) {
      series_[i].labels = labels(i, generation);
      if (generation == 0) values_[i] = kind_of(i) == Kind::Gauge ? 100 : std::floor(unit() * 1000);
    }
  }

  /// Appends one sample of each series to requests of at most `samples_max`.
  template <class Send>
  bool step(std::int64_t timestamp_ms, std::size_t samples_max, WriteRequest& request, Send send) {
    for (std::size_t i = 0; i < series_.size(); ++i) {
      series_[i].samples.assign(1, {.timestamp_ms = timestamp_ms, .value = next(i)});
      request.series.push_back(series_[i]);
      if (request.series.size() == samples_max) {
        if (!send(request)) return false;
        request.series.clear();
      }
    }
    return true;
  }

 private:
  double unit() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  double next(std::size_t i) {
    double& value = values_[i];
    switch (kind_of(i)) {
      case Kind::CpuCounter:
        value = std::round((value + unit() * 15) * 100) / 100;
        break;
      case Kind::Bucket:
        value += std::floor(unit() * 20);
        break;
      case Kind::IntegerCounter:
        value += std::floor(unit() * 300);
        break;
      case Kind::Gauge:
        value = std::round((value + unit() * 2 - 1) * 100) / 100;
        break;
      case Kind::Constant:
        break;
    }
    return value;
  }

  [[nodiscard]] gantry::telemetry::Labels labels(std::size_t i, std::size_t generation) const {
    gantry::telemetry::Labels out = {
        {"cluster", "production-eu-west-1"},
        {"datacenter", fmt::format("dc{}", number_ % 4)},
        {"instance", fmt::format("node-{:05}-{}.example.internal:9100", number_, generation)},
        {"job", "node"},
        {"region", "eu-west-1"},
    };
    switch (kind_of(i)) {
      case Kind::CpuCounter:
        out.push_back({"__name__", "node_cpu_seconds_total"});
        out.push_back({"cpu", std::to_string(i / 8)});
        out.push_back({"mode", kModes[i % 8]});
        break;
      case Kind::Bucket: {
        const std::size_t at = i - kSeriesPerHost / 10;
        out.push_back({"__name__", "http_request_duration_seconds_bucket"});
        out.push_back({"handler", fmt::format("/api/v1/endpoint{}", at / 10)});
        out.push_back({"le", kBounds[at % 10]});
        break;
      }
      case Kind::IntegerCounter:
        out.push_back({"__name__", fmt::format("node_network_metric{}_total", i % 30)});
        out.push_back({"device", fmt::format("eth{}", i / 30)});
        out.push_back({"direction", "receive"});
        break;
      case Kind::Gauge:
        out.push_back({"__name__", fmt::format("node_memory_gauge{}_bytes", i % 50)});
        out.push_back({"zone", fmt::format("z{}", i / 50)});
        out.push_back({"unit", "bytes"});
        break;
      case Kind::Constant:
        out.push_back({"__name__", fmt::format("node_info{}", i % 50)});
        out.push_back({"version", fmt::format("v{}", i / 50)});
        out.push_back({"kernel", "6.1.0-23-amd64"});
        break;
    }
    return gantry::telemetry::make_labels(std::move(out));
  }

  static constexpr const char* kModes[8] = {"user", "system", "idle",    "iowait",
                                            "irq",  "nice",   "softirq", "steal"};
  static constexpr const char* kBounds[10] = {"0.005", "0.01", "0.025", "0.05", "0.1",
                                              "0.25",  "0.5",  "1.0",   "2.5",  "+Inf"};

  std::size_t number_;
  std::mt19937_64 random_;
  std::vector<WriteSeries> series_;
  std::vector<double> values_;
};

/// One keep-alive connection.
class Sender {
 public:
  explicit Sender(const Options& options) : handle_(curl_easy_init()) {
    headers_ = curl_slist_append(headers_, "Content-Type: application/x-protobuf");
    headers_ = curl_slist_append(headers_, "Content-Encoding: snappy");
    headers_ = curl_slist_append(headers_, "X-Prometheus-Remote-Write-Version: 0.1.0");
    headers_ = curl_slist_append(headers_, "Expect:");
    curl_easy_setopt(handle_, CURLOPT_URL, options.url.c_str());
    curl_easy_setopt(handle_, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(handle_, CURLOPT_POST, 1L);
    curl_easy_setopt(handle_, CURLOPT_WRITEFUNCTION, &keep_body);
    curl_easy_setopt(handle_, CURLOPT_WRITEDATA, &body_);
    if (!options.user.empty()) {
      curl_easy_setopt(handle_, CURLOPT_USERNAME, options.user.c_str());
      curl_easy_setopt(handle_, CURLOPT_PASSWORD, options.password.c_str());
    }
  }

  ~Sender() {
    curl_slist_free_all(headers_);
    curl_easy_cleanup(handle_);
  }

  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  bool send(const WriteRequest& request) {
    gantry::codec::encode_remote_write(gantry::codec::RemoteWriteVersion::V1, request, message_);
    if (!gantry::codec::compress(gantry::codec::Encoding::SnappyBlock, message_, compressed_)) {
      return false;
    }
    body_.clear();
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDS, compressed_.data());
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(compressed_.size()));
    const CURLcode code = curl_easy_perform(handle_);
    long status = 0;
    curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status / 100 == 2) {
      samples += request.series.size();
      bytes += compressed_.size();
      return true;
    }
    fmt::print(stderr, "sending failed: {}, status {}: {}\n", curl_easy_strerror(code), status,
               body_.substr(0, 500));
    return false;
  }

  std::uint64_t samples = 0;
  std::uint64_t bytes = 0;

 private:
  static std::size_t keep_body(char* data, std::size_t size, std::size_t count, void* to) {
    static_cast<std::string*>(to)->append(data, size * count);
    return size * count;
  }

  CURL* handle_;
  curl_slist* headers_ = nullptr;
  std::string message_;
  std::string compressed_;
  std::string body_;
};

/// Sends the hosts that fall to connection `number`, all steps in order.
bool run(const Options& options, std::size_t number, Sender& sender) {
  std::vector<Host> hosts;
  std::vector<std::size_t> numbers;
  const std::size_t host_count = (options.series + kSeriesPerHost - 1) / kSeriesPerHost;
  for (std::size_t host = number; host < host_count; host += options.connections) {
    const std::size_t left = options.series - host * kSeriesPerHost;
    hosts.emplace_back(host, std::min(left, kSeriesPerHost));
    numbers.push_back(host);
  }
  WriteRequest request;
  const auto send = [&](const WriteRequest& full) { return sender.send(full); };
  for (std::size_t step = 0; step < options.steps; ++step) {
    const auto timestamp_ms =
        options.start_ms + static_cast<std::int64_t>(step) * options.interval_ms;
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      if (options.churn_every != 0 && step > 0 && step % options.churn_every == 0) {
        const std::size_t generation = step / options.churn_every;
        if (numbers[i] % 10 == generation % 10) hosts[i].rename(generation);
      }
      if (!hosts[i].step(timestamp_ms, options.samples_per_request, request, send)) return false;
    }
  }
  return request.series.empty() || sender.send(request);
}

std::map<std::string, std::string> read_flags(int count, char** arguments) {
  std::map<std::string, std::string> flags;
  for (int i = 1; i + 1 < count; i += 2) {
    flags[std::string_view(arguments[i]).substr(2).data()] = arguments[i + 1];
  }
  return flags;
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  for (const auto& [name, value] : read_flags(count, arguments)) {
    const auto number = static_cast<std::size_t>(std::atoll(value.c_str()));
    if (name == "url")
      options.url = value;
    else if (name == "user")
      options.user = value;
    else if (name == "password")
      options.password = value;
    else if (name == "series")
      options.series = number;
    else if (name == "steps")
      options.steps = number;
    else if (name == "interval-ms")
      options.interval_ms = static_cast<std::int64_t>(number);
    else if (name == "start-ms")
      options.start_ms = static_cast<std::int64_t>(number);
    else if (name == "connections")
      options.connections = number;
    else if (name == "samples-per-request")
      options.samples_per_request = number;
    else if (name == "churn-every")
      options.churn_every = number;
    else {
      fmt::print(stderr, "unknown flag --{}\n", name);
      return 2;
    }
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  std::vector<std::unique_ptr<Sender>> senders;
  for (std::size_t i = 0; i < options.connections; ++i) {
    senders.push_back(std::make_unique<Sender>(options));
  }
  std::vector<char> succeeded(options.connections, 0);
  const auto started = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < options.connections; ++i) {
      threads.emplace_back([&, i] { succeeded[i] = run(options, i, *senders[i]) ? 1 : 0; });
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  std::uint64_t samples = 0;
  std::uint64_t bytes = 0;
  for (const auto& sender : senders) {
    samples += sender->samples;
    bytes += sender->bytes;
  }
  fmt::print("{{\"samples\": {}, \"bytes\": {}, \"seconds\": {:.3f}}}\n", samples, bytes,
             took.count());
  const bool is_complete =
      std::all_of(succeeded.begin(), succeeded.end(), [](char ok) { return ok != 0; });
  return is_complete ? 0 : 1;
}
