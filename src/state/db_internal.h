#pragma once

// A Db's connections and who wants to hear of its commits.

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/mutex.h"
#include "state/connection_internal.h"
#include "state/db.h"

namespace gantry::state {

/// Connections of one kind. Thread-safe.
class ConnectionPool {
 public:
  ConnectionPool(Backend& backend, TransactionKind kind, std::size_t connections_max)
      : backend_(backend), kind_(kind), connections_max_(connections_max) {}

  struct Taken {
    std::unique_ptr<Connection> connection;
    bool is_fresh = false;  ///< It was opened just now.
  };

  /// Waits for one to be free, or opens one when there may be more.
  Result<Taken> take();

  /// What is lost is closed, and another may be opened in its place.
  void give_back(std::unique_ptr<Connection> connection);

  /// Adds one that was opened elsewhere.
  void adopt(std::unique_ptr<Connection> connection);

 private:
  void forget_one();

  Backend& backend_;
  const TransactionKind kind_;
  const std::size_t connections_max_;
  core::Mutex mutex_;
  core::ConditionVariable changed_;
  std::vector<std::unique_ptr<Connection>> idle_ GANTRY_GUARDED_BY(mutex_);
  std::size_t count_ GANTRY_GUARDED_BY(mutex_) = 0;  // idle and lent
};

struct Db::Impl {
  /// Called with each epoch that a transaction of this Db has committed.
  using EpochObserver = std::function<void(AuthEpoch)>;

  Impl(std::unique_ptr<Backend> the_backend, const Options& options)
      : backend(std::move(the_backend)),
        // Writers take turns, so that more connections would only wait for each other.
        writers(*backend, TransactionKind::Write, 1),
        readers(*backend, TransactionKind::Read, options.readers_max) {}

  const std::unique_ptr<Backend> backend;
  int schema_version = 0;
  ConnectionPool writers;
  ConnectionPool readers;

  core::Mutex observers_mutex;
  std::vector<std::shared_ptr<const EpochObserver>> observers GANTRY_GUARDED_BY(observers_mutex);

  static Result<std::unique_ptr<Db>> open(std::unique_ptr<Backend> backend, const Options& options,
                                          std::span<const Migration> migrations);
  Result<Transaction> begin(TransactionKind kind);
  void tell_observers(AuthEpoch epoch);
};

struct Transaction::Lease {
  ConnectionPool& pool;
  Db::Impl& owner;
  std::unique_ptr<Connection> connection;
  bool is_open = true;
  std::optional<AuthEpoch> announced;  // told to the observers at commit

  Lease(ConnectionPool& the_pool, Db::Impl& the_owner, std::unique_ptr<Connection> the_connection)
      : pool(the_pool), owner(the_owner), connection(std::move(the_connection)) {}

  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  ~Lease() {
    if (is_open) connection->rollback();
    pool.give_back(std::move(connection));
  }
};

}  // namespace gantry::state
