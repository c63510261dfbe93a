#include "broadcast/replayer.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <pthread.h>

#include "broadcast/replay_rows.h"
#include "core/log.h"
#include "core/mutex.h"
#include "telemetry/metric_batch.h"

namespace gantry::broadcast {
namespace {

constexpr std::int64_t kNanosecondsPerMs = 1'000'000;

/// One replay as it runs.
struct Job {
  Replay replay;
  bool is_saved = true;
  bool is_over = false;
  bool is_held = false;  ///< Something fails, and the log has it.
  int trace_failures = 0;
  int sample_failures = 0;
  std::int64_t retry_ns = 0;                    ///< Of monotonic_ns(): nothing is tried before.
  std::unique_ptr<metrics::SampleSlice> slice;  ///< Null, or the one of the sample position.
  std::int64_t slice_opened_ns = 0;
};

const std::string& id_of(const Job& job) {
  return job.replay.id;
}

/// What passes by itself, or by an operator's hand.
bool is_passing(Code code) {
  return code == Code::Unavailable || code == Code::ResourceExhausted ||
         code == Code::DeadlineExceeded || code == Code::Cancelled;
}

}  // namespace

struct Replayer::Impl {
  Impl(Environment the_environment, Options the_options)
      : environment(the_environment), options(std::move(the_options)) {}

  void run(const std::stop_token& stopping);
  bool list();
  bool step(Job& job);
  void queue_pages(Job& job);
  void queue_traces(Job& job);
  void queue_samples(Job& job);
  Result<metrics::SamplePage> read_samples(Job& job);
  bool save(Job& job);
  void note_read_failure(Job& job, int& failures, std::string_view what, const Error& error);
  void hold(Job& job, const Error& error);
  void note_end(const Replay& replay);

  /// False: it does not run any more.
  Result<bool> write(const Replay& replay) {
    GANTRY_TRY(state::Transaction tx, environment.db.begin_write());
    GANTRY_TRY(const bool is_written, save_replay(tx, replay, environment.clock.now()));
    GANTRY_CHECK(tx.commit());
    return is_written;
  }

  Result<std::vector<Replay>> read_running() {
    GANTRY_TRY(state::Transaction tx, environment.db.begin_read());
    return list_running_replays(tx, options.replica);
  }

  Result<std::optional<ReplayOutcome>> read_outcome(const Replay& replay) {
    GANTRY_TRY(state::Transaction tx, environment.db.begin_read());
    return find_replay_outcome(tx, replay);
  }

  const Environment environment;
  const Options options;

  core::Mutex mutex;
  core::ConditionVariable wake;
  bool is_due GANTRY_GUARDED_BY(mutex) = true;

  // Of the thread.
  std::vector<Job> jobs;
  telemetry::SpanBatch spans;
  telemetry::MetricBatch samples;
  bool cannot_list = false;

  CancelToken cancel;
  std::jthread thread;
};

/// False: to be tried again.
bool Replayer::Impl::list() {
  const auto running = read_running();
  if (running.has_value() == cannot_list) {
    cannot_list = !running;
    if (running)
      log::info("replays read again");
    else
      log::error("replays not read", {{"error", running.error().message}});
  }
  if (!running) return false;
  std::vector<Job> now;
  for (const Replay& replay : *running) {
    const auto known =
        std::ranges::find_if(jobs, [&](const Job& job) { return job.replay.id == replay.id; });
    // What is known may be further than its row: saving may have failed.
    if (known != jobs.end())
      now.push_back(std::exchange(*known, {.replay = replay}));
    else
      now.push_back({.replay = replay});
  }
  // Those that are left were ended by others; a slice of theirs ends here too.
  for (const Job& job : jobs)
    if (std::ranges::find(now, job.replay.id, id_of) == now.end()) note_end(job.replay);
  jobs = std::move(now);
  return true;
}

void Replayer::Impl::run(const std::stop_token& stopping) {
  bool must_list = false;
  while (!stopping.stop_requested()) {
    {
      const core::Lock lock(mutex);
      must_list = std::exchange(is_due, false) || must_list;
    }
    if (must_list) must_list = !list();
    bool has_moved = false;
    for (Job& job : jobs) {
      if (stopping.stop_requested()) break;
      has_moved = step(job) || has_moved;
    }
    std::erase_if(jobs, [](const Job& job) { return job.is_over; });
    if (has_moved) continue;
    core::Lock lock(mutex);
    const auto is_wanted = [this]() GANTRY_REQUIRES(mutex) { return is_due; };
    if (jobs.empty() && !must_list) {
      wake.wait(lock, stopping, is_wanted);
    } else {
      const DurationMs pause = jobs.empty() ? options.retry_interval : options.poll_interval;
      wake.wait_for(lock, stopping, std::chrono::milliseconds(pause.count), is_wanted);
    }
  }
  jobs.clear();  // stores are closed next: no slice may hold one
}

/// False: there is nothing to do for it at the moment.
bool Replayer::Impl::step(Job& job) {
  const std::int64_t now_ns = monotonic_ns();
  if (now_ns - job.slice_opened_ns > options.slice_age_max.count * kNanosecondsPerMs)
    job.slice.reset();
  if (now_ns < job.retry_ns) return false;
  if (job.is_saved) queue_pages(job);
  return !job.is_saved && save(job);
}

/// Not saved any more: it has come further, or to its end.
void Replayer::Impl::queue_pages(Job& job) {
  Replay& replay = job.replay;
  queue_traces(job);
  // What holds up the one holds up the other for as long, so that the log has one of them.
  if (replay.state == ReplayState::Running && monotonic_ns() >= job.retry_ns) queue_samples(job);
  if (replay.state != ReplayState::Running || !has_ended(replay, Signal::Spans) ||
      !has_ended(replay, Signal::Metrics))
    return;
  replay.state = ReplayState::Finished;
  job.is_saved = false;
}

void Replayer::Impl::queue_traces(Job& job) {
  Replay& replay = job.replay;
  if (has_ended(replay, Signal::Spans) ||
      environment.outlet.intake(replay.stack, replay.destination, Signal::Spans) != Intake::Open)
    return;
  const auto page = environment.traces.read(replay.stack,
                                            {.after = replay.position,
                                             .end_ns = end_ns(replay.range),
                                             .bytes_max = environment.outlet.batch_bytes_max()},
                                            cancel, spans);
  if (!page) return note_read_failure(job, job.trace_failures, "traces", page.error());
  job.trace_failures = 0;
  Result<Requeued> requeued;
  if (!spans.spans.empty())
    requeued = environment.outlet.requeue(replay.stack, replay.destination, spans);
  if (!requeued) return hold(job, requeued.error());
  replay.position = page->last;
  replay.traces_read += page->traces;
  replay.traces_queued += requeued->traces;
  replay.spans_queued += requeued->spans;
  if (page->is_last) replay.position = {.start_ns = end_ns(replay.range), .trace = {}};
  job.is_saved = false;
}

void Replayer::Impl::queue_samples(Job& job) {
  Replay& replay = job.replay;
  if (has_ended(replay, Signal::Metrics) ||
      environment.outlet.intake(replay.stack, replay.destination, Signal::Metrics) != Intake::Open)
    return;
  const auto page = read_samples(job);
  if (!page) {
    job.slice.reset();
    return note_read_failure(job, job.sample_failures, "metrics", page.error());
  }
  job.sample_failures = 0;
  Result<std::uint64_t> requeued = 0;
  if (!samples.series.empty())
    requeued = environment.outlet.requeue(replay.stack, replay.destination, samples);
  if (!requeued) return hold(job, requeued.error());
  replay.sample_position = page->last;
  replay.samples_read += samples.samples.size() + samples.histograms.size();
  replay.samples_queued += *requeued;
  if (page->is_last) job.slice.reset();
  job.is_saved = false;
}

Result<metrics::SamplePage> Replayer::Impl::read_samples(Job& job) {
  const Replay& replay = job.replay;
  if (!job.slice) {
    const metrics::SampleSliceRequest request{.after = replay.sample_position,
                                              .end_ms = replay.range.end.since_epoch};
    GANTRY_TRY(job.slice, environment.metrics.open_slice(replay.stack, request, cancel));
    job.slice_opened_ns = monotonic_ns();
  }
  return job.slice->read(replay.sample_position, environment.outlet.batch_bytes_max(), cancel,
                         samples);
}

void Replayer::Impl::note_read_failure(Job& job, int& failures, std::string_view what,
                                       const Error& error) {
  if (is_passing(error.code) || ++failures < options.read_failures_max) return hold(job, error);
  log::error("replay failed", {{"destination", job.replay.destination}, {"error", error.message}});
  job.replay.state = ReplayState::Failed;
  // Messages of the store name files.
  job.replay.problem =
      fmt::format("the stack's {} cannot be read ({})", what, code_name(error.code));
  job.is_saved = false;
}

/// Only the first failure in a row is logged.
void Replayer::Impl::hold(Job& job, const Error& error) {
  job.retry_ns = monotonic_ns() + options.retry_interval.count * kNanosecondsPerMs;
  if (cancel.is_cancelled() || std::exchange(job.is_held, true)) return;
  log::warn("replay held", {{"destination", job.replay.destination}, {"error", error.message}});
}

bool Replayer::Impl::save(Job& job) {
  const Replay& replay = job.replay;
  const auto written = write(replay);
  if (!written) {
    hold(job, written.error());
    return false;
  }
  job.is_saved = true;
  if (std::exchange(job.is_held, false))
    log::info("replay goes on", {{"destination", replay.destination}});
  job.is_over = !*written || replay.state != ReplayState::Running;
  if (job.is_over) note_end(replay);
  return true;
}

/// As the database has it: others may have ended it.
void Replayer::Impl::note_end(const Replay& replay) {
  ReplayOutcome outcome{.state = ReplayState::Cancelled, .problem = {}};
  if (auto found = read_outcome(replay); found && *found) outcome = **std::move(found);
  log::info("replay ended", {{"destination", replay.destination},
                             {"state", replay_state_name(outcome.state)},
                             {"reason", outcome.problem},
                             {"traces", replay.traces_queued},
                             {"spans", replay.spans_queued},
                             {"samples", replay.samples_queued}});
}

Replayer::Replayer(Environment environment, Options options)
    : impl_(std::make_unique<Impl>(environment, std::move(options))) {}

Replayer::~Replayer() {
  stop();
}

void Replayer::start() {
  impl_->thread =
      std::jthread([raw = impl_.get()](const std::stop_token& stopping) { raw->run(stopping); });
  pthread_setname_np(impl_->thread.native_handle(), "replay");
}

void Replayer::notify() {
  {
    const core::Lock lock(impl_->mutex);
    impl_->is_due = true;
  }
  impl_->wake.notify_all();
}

void Replayer::stop() {
  impl_->cancel.cancel();
  if (!impl_->thread.joinable()) return;
  impl_->thread.request_stop();
  impl_->thread.join();
}

}  // namespace gantry::broadcast
