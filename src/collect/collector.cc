#include "collect/collector.h"

#include <stop_token>
#include <thread>
#include <utility>

#include <pthread.h>

#include "collect/rounds.h"
#include "core/log.h"

namespace gantry::collect {
namespace {

/// A target and how it fares.
struct Job {
  std::unique_ptr<Target> target;
  core::Counter* samples = nullptr;
  core::Counter* failures = nullptr;
  bool is_failing = false;
};

}  // namespace

struct Collector::Impl {
  Options options;
  Sink sink;
  const Clock& clock;
  std::vector<Job> jobs;
  std::jthread thread;

  void collect(TimestampMs at) {
    if (!options.record) return collect_jobs(at);
    core::OwnSpanRecording recording("collect");
    collect_jobs(at);
    options.record(recording.take());
  }

  void collect_jobs(TimestampMs at) {
    for (Job& job : jobs) {
      const core::OwnSpanScope span("collect " + job.target->job());
      const telemetry::MetricBatch& batch = job.target->collect(at);
      const auto written = sink(batch);
      core::annotate_own_span("gantry.samples", static_cast<std::int64_t>(batch.samples.size()));
      if (!written) core::fail_own_span(written.error().message);
      if (written) {
        job.samples->add(batch.samples.size());
      } else {
        job.failures->add();
      }
      report(job, written);
    }
  }

  /// Only changes are logged: a full disk would fill the log as well.
  static void report(Job& job, const Result<void>& written) {
    const bool is_failing = !written.has_value();
    if (is_failing == job.is_failing) return;
    job.is_failing = is_failing;
    if (is_failing) {
      log::warn("collected metrics refused",
                {{"job", job.target->job()}, {"error", written.error().message}});
    } else {
      log::info("collected metrics written again", {{"job", job.target->job()}});
    }
  }
};

Collector::Collector(Options options, std::vector<std::unique_ptr<Target>> targets, Sink sink,
                     core::MetricRegistry& metrics, const Clock& clock)
    : impl_(new Impl{.options = std::move(options), .sink = std::move(sink), .clock = clock}) {
  GANTRY_ASSERT(impl_->options.interval.count > 0, "an interval is positive");
  for (auto& target : targets) {
    const core::MetricLabels labels{{"job", target->job()}};
    impl_->jobs.push_back(
        {.target = std::move(target),
         .samples = &metrics.counter("gantry_collect_samples_total",
                                     "Samples collected and written.", labels),
         .failures = &metrics.counter("gantry_collect_failures_total",
                                      "Collections whose samples were refused.", labels)});
  }
}

Collector::~Collector() {
  stop();
}

void Collector::start() {
  impl_->thread = std::jthread([impl = impl_.get()](const std::stop_token& stop) {
    run_rounds(stop, impl->clock, impl->options.interval,
               [impl](TimestampMs at) { impl->collect(at); });
  });
  pthread_setname_np(impl_->thread.native_handle(), "collect");
}

void Collector::stop() {
  if (!impl_->thread.joinable()) return;
  impl_->thread.request_stop();
  impl_->thread.join();
}

void Collector::collect_round(TimestampMs at) {
  impl_->collect(at);
}

}  // namespace gantry::collect
