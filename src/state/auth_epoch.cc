#include "state/auth_epoch.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mutex.h"
#include "state/db_internal.h"

namespace gantry::state {
namespace {

/// Wakes a thread out of poll().
class WakeUp {
 public:
  WakeUp() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  ~WakeUp() {
    if (fd_ >= 0) ::close(fd_);
  }

  WakeUp(const WakeUp&) = delete;
  WakeUp& operator=(const WakeUp&) = delete;

  [[nodiscard]] int fd() const { return fd_; }

  void ring() const { static_cast<void>(::eventfd_write(fd_, 1)); }

 private:
  int fd_;
};

}  // namespace

Result<void> bump_auth_epoch(Transaction& tx, TimestampMs now) {
  GANTRY_TRY(Statement update, tx.prepare("UPDATE auth_epoch SET epoch = epoch + 1, "
                                          "changed_at_ms = ? WHERE id = 1 RETURNING epoch"));
  update.bind(now.since_epoch);
  GANTRY_TRY(const bool has_row, update.step());
  if (!has_row) return fail(Code::DataLoss, "state database: auth_epoch has no row");
  const AuthEpoch epoch{.number = update.integer(0), .changed_at = now};
  GANTRY_TRY([[maybe_unused]] const bool has_more, update.step());
  GANTRY_CHECK(tx.lease_->connection->announce(epoch.number));
  tx.lease_->announced = epoch;
  return {};
}

Result<AuthEpoch> read_auth_epoch(Transaction& tx) {
  GANTRY_TRY(Statement select,
             tx.prepare("SELECT epoch, changed_at_ms FROM auth_epoch WHERE id = 1"));
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return fail(Code::DataLoss, "state database: auth_epoch has no row");
  return AuthEpoch{.number = select.integer(0), .changed_at = TimestampMs{select.integer(1)}};
}

struct ChangeListener::Impl {
  Impl(Db::Impl& the_db, const Clock& the_clock, core::MetricRegistry& registry,
       Options the_options, std::function<void()> the_callback)
      : db(the_db),
        clock(the_clock),
        options(the_options),
        callback(std::move(the_callback)),
        propagation(registry.histogram(
            "gantry_auth_propagation_seconds",
            "From a change of who may do what, in any replica, to its taking effect in this one.",
            {0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60})) {}

  Db::Impl& db;
  const Clock& clock;
  const Options options;
  const std::function<void()> callback;
  core::Histogram& propagation;
  WakeUp wake;

  core::Mutex mutex;
  core::ConditionVariable idle;
  std::int64_t seen GANTRY_GUARDED_BY(mutex) = 0;
  bool is_calling GANTRY_GUARDED_BY(mutex) = false;
  bool is_closed GANTRY_GUARDED_BY(mutex) = false;

  std::shared_ptr<const Db::Impl::EpochObserver> observer;
  std::jthread thread;

  /// Returns when the callback for `epoch` has run, here or on another thread.
  void note(AuthEpoch epoch) {
    {
      core::Lock lock(mutex);
      while (is_calling) idle.wait(lock);
      if (is_closed || epoch.number <= seen) return;
      seen = epoch.number;
      is_calling = true;
    }
    callback();
    const auto took_ms = (clock.now() - epoch.changed_at).count;
    propagation.observe(static_cast<double>(std::max<std::int64_t>(took_ms, 0)) / 1000);
    {
      const core::Lock lock(mutex);
      is_calling = false;
    }
    idle.notify_all();
  }

  void close() {
    core::Lock lock(mutex);
    is_closed = true;
    while (is_calling) idle.wait(lock);
  }

  /// Hears of other processes until it is told to stop or the connection is lost.
  Result<void> listen(const std::stop_token& stopping) {
    GANTRY_TRY(const std::unique_ptr<EpochConnection> connection, db.backend->listen());
    while (!stopping.stop_requested()) {
      GANTRY_TRY(const AuthEpoch epoch, connection->read_epoch());
      if (lost_at_ns)
        log::info("state database reached again",
                  {{"database", db.backend->name()},
                   {"after_ms", (monotonic_ns() - *lost_at_ns) / 1'000'000}});
      lost_at_ns.reset();
      note(epoch);
      GANTRY_CHECK(connection->wait(wake.fd(), options.poll_interval));
    }
    return {};
  }

  void run(const std::stop_token& stopping) {
    while (!stopping.stop_requested()) {
      const auto listened = listen(stopping);
      if (listened) continue;
      if (!lost_at_ns) {
        lost_at_ns = monotonic_ns();
        log::warn("changes of access are not heard of", {{"error", listened.error().message}});
      }
      pollfd polled{.fd = wake.fd(), .events = POLLIN, .revents = 0};
      ::poll(&polled, 1, static_cast<int>(options.reconnect_delay.count));
    }
  }

  std::optional<std::int64_t> lost_at_ns;  // only the thread
};

ChangeListener::ChangeListener(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<ChangeListener>> ChangeListener::start(Db& db, const Clock& clock,
                                                              core::MetricRegistry& registry,
                                                              Options options,
                                                              std::function<void()> callback) {
  auto impl = std::make_shared<Impl>(*db.impl_, clock, registry, options, std::move(callback));
  if (impl->wake.fd() < 0)
    return fail(Code::Internal, fmt::format("eventfd: {}", std::generic_category().message(errno)));
  // A bump between this reading and the registration is heard of by neither in SQLite, so: first
  // register, then read. The callback may then run once too often.
  impl->observer = std::make_shared<const Db::Impl::EpochObserver>(
      [weak = std::weak_ptr<Impl>(impl)](AuthEpoch epoch) {
        if (const auto alive = weak.lock()) alive->note(epoch);
      });
  {
    const core::Lock lock(db.impl_->observers_mutex);
    db.impl_->observers.push_back(impl->observer);
  }
  std::unique_ptr<ChangeListener> listener(new ChangeListener(impl));
  GANTRY_TRY(Transaction tx, db.begin_read());
  GANTRY_TRY(const AuthEpoch epoch, read_auth_epoch(tx));
  {
    const core::Lock lock(impl->mutex);
    impl->seen = std::max(impl->seen, epoch.number);
  }
  if (db.is_shared())
    impl->thread =
        std::jthread([raw = impl.get()](const std::stop_token& stopping) { raw->run(stopping); });
  return listener;
}

ChangeListener::~ChangeListener() {
  {
    const core::Lock lock(impl_->db.observers_mutex);
    std::erase(impl_->db.observers, impl_->observer);
  }
  if (impl_->thread.joinable()) {
    impl_->thread.request_stop();
    impl_->wake.ring();
    impl_->thread.join();
  }
  impl_->close();
}

}  // namespace gantry::state
