// Sends node-exporter-like series by remote write 1.0, as fast as the receiver takes them, and
// prints one JSON line.
//
//   bench_metrics_load --url http://127.0.0.1:9490/api/v1/push --user 1000000 --password glc_…
//   --series 100000 --steps 240
//
// The same seed makes the same bytes, so that every receiver gets the same data. Per host of 1,000
// series: 10 % CPU counters with two decimals, 10 % histogram buckets, 30 % integer counters, 25 %
// gauges, 25 % constants; 8 labels. With --churn-every N a tenth of the hosts gets new names every
// N steps. With --kind histograms all series are native histograms of durations, of twenty buckets.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "codec/compression.h"
#include "codec/remote_write_encoder.h"
#include "flags.h"
#include "load_sender.h"

namespace {

using gantry::bench::Connection;
using gantry::codec::WriteRequest;
using gantry::codec::WriteSeries;

constexpr std::size_t kSeriesPerHost = 1000;

struct Options {
  gantry::bench::Target target;
  std::size_t series = 100'000;
  std::size_t steps = 240;
  std::int64_t interval_ms = 15'000;
  std::int64_t start_ms = 0;
  std::size_t connections = 2;
  std::size_t samples_per_request = 2'000;
  std::size_t churn_every = 0;
  bool sends_histograms = false;
};

enum class Kind : std::uint8_t { CpuCounter, Bucket, IntegerCounter, Gauge, Constant };

constexpr std::size_t kDurationBuckets = 20;

/// Durations around a second with eight buckets for each power of two.
gantry::telemetry::IntegerHistogram make_durations() {
  gantry::telemetry::IntegerHistogram out;
  out.schema = 3;
  out.zero_threshold = 0x1p-128;
  out.positive_spans = {{.offset = -10, .length = kDurationBuckets}};
  out.positive_counts.resize(kDurationBuckets);
  return out;
}

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
  Host(std::size_t number, std::size_t series_count, bool sends_histograms)
      : number_(number), random_(number + 1) {
    series_.resize(series_count);
    values_.resize(series_count);
    if (sends_histograms) durations_.assign(series_count, make_durations());
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
      if (durations_.empty()) {
        series_[i].samples.assign(1, {.timestamp_ms = timestamp_ms, .value = next(i)});
      } else {
        observe(durations_[i]);
        series_[i].histograms.assign(1, {.timestamp_ms = timestamp_ms, .histogram = durations_[i]});
      }
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

  void observe(gantry::telemetry::IntegerHistogram& durations) {
    constexpr double kMiddle = kDurationBuckets / 2.0;
    const auto observed = static_cast<std::size_t>(5 + unit() * 55);
    for (std::size_t k = 0; k < observed; ++k) {
      const double bucket = std::normal_distribution<double>(kMiddle, 3)(random_);
      ++durations.positive_counts[static_cast<std::size_t>(
          std::clamp(bucket, 0.0, static_cast<double>(kDurationBuckets - 1)))];
    }
    durations.count += observed;
    durations.sum += static_cast<double>(observed) * (0.5 + unit());
  }

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
    if (!durations_.empty()) {
      out.push_back({"__name__", "request_duration_seconds"});
      out.push_back({"handler", fmt::format("/api/v1/endpoint{}", i / 5)});
      out.push_back({"code", fmt::format("{}00", (i % 5) + 1)});
      return gantry::telemetry::make_labels(std::move(out));
    }
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
  std::vector<gantry::telemetry::IntegerHistogram> durations_;  ///< Empty: numbers are sent.
};

/// Compresses and sends.
class Sender {
 public:
  explicit Sender(Connection& connection) : connection_(connection) {}

  bool send(const WriteRequest& request) {
    gantry::codec::encode_remote_write(gantry::codec::RemoteWriteVersion::V1, request, message_);
    if (!gantry::codec::compress(gantry::codec::Encoding::SnappyBlock, message_, compressed_)) {
      return false;
    }
    return connection_.post(compressed_, request.series.size());
  }

 private:
  Connection& connection_;
  std::string message_;
  std::string compressed_;
};

/// Sends the hosts that fall to connection `number`, all steps in order.
bool run(const Options& options, std::size_t number, Sender& sender) {
  std::vector<Host> hosts;
  std::vector<std::size_t> numbers;
  const std::size_t host_count = (options.series + kSeriesPerHost - 1) / kSeriesPerHost;
  for (std::size_t host = number; host < host_count; host += options.connections) {
    const std::size_t left = options.series - host * kSeriesPerHost;
    hosts.emplace_back(host, std::min(left, kSeriesPerHost), options.sends_histograms);
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

}  // namespace

int main(int count, char** arguments) {
  Options options;
  for (const auto& [name, value] : gantry::bench::read_flags(count, arguments)) {
    const auto number = static_cast<std::size_t>(std::atoll(value.c_str()));
    if (name == "url")
      options.target.url = value;
    else if (name == "user")
      options.target.user = value;
    else if (name == "password")
      options.target.password = value;
    else if (name == "kind")
      options.sends_histograms = value == "histograms";
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
  return gantry::bench::run_load(
      options.target,
      {"Content-Type: application/x-protobuf", "Content-Encoding: snappy",
       "X-Prometheus-Remote-Write-Version: 0.1.0"},
      options.connections, "samples", [&](std::size_t number, Connection& connection) {
        Sender sender(connection);
        return run(options, number, sender);
      });
}
