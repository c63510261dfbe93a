#include "state/db.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "core/utf8.h"
#include "state/db_internal.h"

namespace gantry::state {

ErrorCounts::ErrorCounts(core::MetricRegistry* registry) {
  if (registry == nullptr) return;
  for (std::size_t i = 0; i < kCounted.size(); ++i)
    counters_[i] =
        &registry->counter("gantry_state_errors_total",
                           "Failures of the state database; broken constraints are not counted.",
                           {{"code", std::string(code_name(kCounted[i]))}});
}

Error ErrorCounts::counted(Error error) const {
  const auto found = std::ranges::find(kCounted, error.code);
  const auto index = static_cast<std::size_t>(found - kCounted.begin());
  if (found != kCounted.end() && counters_[index] != nullptr) counters_[index]->add();
  return error;
}

Result<ConnectionPool::Taken> ConnectionPool::take() {
  {
    core::Lock lock(mutex_);
    while (idle_.empty() && count_ >= connections_max_) changed_.wait(lock);
    if (!idle_.empty()) {
      Taken taken{.connection = std::move(idle_.back()), .is_fresh = false};
      idle_.pop_back();
      return taken;
    }
    ++count_;
  }
  auto opened = backend_.connect(kind_);
  if (!opened) {
    forget_one();
    return std::unexpected(std::move(opened).error());
  }
  return Taken{.connection = *std::move(opened), .is_fresh = true};
}

void ConnectionPool::give_back(std::unique_ptr<Connection> connection) {
  if (connection->is_lost()) {
    connection.reset();
    forget_one();
    return;
  }
  {
    const core::Lock lock(mutex_);
    idle_.push_back(std::move(connection));
  }
  changed_.notify_one();
}

void ConnectionPool::adopt(std::unique_ptr<Connection> connection) {
  const core::Lock lock(mutex_);
  ++count_;
  idle_.push_back(std::move(connection));
}

void ConnectionPool::forget_one() {
  {
    const core::Lock lock(mutex_);
    --count_;
  }
  changed_.notify_one();
}

Statement::Statement(std::unique_ptr<StatementBody> body) : body_(std::move(body)) {}

Statement::Statement(Statement&& other) noexcept = default;
Statement::~Statement() = default;

Statement& Statement::bind_integer(std::int64_t value) {
  body_->bind_integer(value);
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  if (text.contains('\0') || !core::is_valid_utf8(text)) has_bad_text_ = true;
  body_->bind_text(text);
  return *this;
}

Statement& Statement::bind(std::span<const std::byte> blob) {
  body_->bind_blob(blob);
  return *this;
}

Statement& Statement::bind(std::optional<std::int64_t> value) {
  return value ? bind_integer(*value) : bind_null();
}

Statement& Statement::bind_null() {
  body_->bind_null();
  return *this;
}

Result<bool> Statement::step() {
  if (has_bad_text_)
    return fail(Code::InvalidArgument, "state database: text is not UTF-8 or holds NUL");
  return body_->step();
}

Result<void> Statement::run() {
  while (true) {
    GANTRY_TRY(const bool has_row, step());
    if (!has_row) return {};
  }
}

std::int64_t Statement::integer(int column) const {
  return body_->integer(column);
}

std::string_view Statement::text(int column) const {
  return body_->text(column);
}

std::span<const std::byte> Statement::blob(int column) const {
  return body_->blob(column);
}

bool Statement::is_null(int column) const {
  return body_->is_null(column);
}

std::optional<std::int64_t> Statement::optional_integer(int column) const {
  if (is_null(column)) return std::nullopt;
  return integer(column);
}

Transaction::Transaction(std::unique_ptr<Lease> lease) : lease_(std::move(lease)) {}

Transaction::Transaction(Transaction&& other) noexcept = default;
Transaction::~Transaction() = default;

Result<Statement> Transaction::prepare(std::string_view sql) {
  GANTRY_TRY(auto body, lease_->connection->prepare(sql));
  return Statement(std::move(body));
}

Result<void> Transaction::execute(std::string_view sql) {
  return lease_->connection->execute(sql);
}

Result<void> Transaction::commit() {
  GANTRY_ASSERT(lease_->is_open, "a transaction ends once");
  GANTRY_CHECK(lease_->connection->commit());
  lease_->is_open = false;
  if (lease_->announced) lease_->owner.tell_observers(*lease_->announced);
  return {};
}

std::int64_t Transaction::changed_rows() const {
  return lease_->connection->changed_rows();
}

Result<std::unique_ptr<Db>> Db::Impl::open(std::unique_ptr<Backend> backend, const Options& options,
                                           std::span<const Migration> migrations) {
  auto impl = std::make_unique<Impl>(std::move(backend), options);
  GANTRY_TRY(std::unique_ptr<Connection> writer, impl->backend->connect(TransactionKind::Write));
  GANTRY_TRY(impl->schema_version, migrate(*impl->backend, *writer, migrations));
  impl->writers.adopt(std::move(writer));
  return std::unique_ptr<Db>(new Db(std::move(impl)));
}

Result<Transaction> Db::Impl::begin(TransactionKind kind) {
  ConnectionPool& pool = kind == TransactionKind::Read ? readers : writers;
  while (true) {
    GANTRY_TRY(ConnectionPool::Taken taken, pool.take());
    auto begun = taken.connection->begin(kind);
    if (begun)
      return Transaction(
          std::make_unique<Transaction::Lease>(pool, *this, std::move(taken.connection)));
    // One that was lost while it rested did nothing yet: the next one is as good, and at the latest
    // a fresh one tells whether the server is there.
    const bool is_retried = taken.connection->is_lost() && !taken.is_fresh;
    pool.give_back(std::move(taken.connection));
    if (!is_retried) return std::unexpected(std::move(begun).error());
  }
}

void Db::Impl::tell_observers(AuthEpoch epoch) {
  std::vector<std::shared_ptr<const EpochObserver>> current;
  {
    const core::Lock lock(observers_mutex);
    current = observers;
  }
  for (const auto& observer : current) (*observer)(epoch);
}

Db::Db(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Db::~Db() = default;

Result<std::unique_ptr<Db>> Db::open(const std::filesystem::path& path, Options options,
                                     std::span<const Migration> migrations) {
  return Impl::open(make_sqlite_backend(path, options), options, migrations);
}

Result<std::unique_ptr<Db>> Db::open_postgres(std::string_view url, Options options,
                                              std::span<const Migration> migrations) {
  GANTRY_TRY(std::unique_ptr<Backend> backend, make_postgres_backend(url, options));
  return Impl::open(std::move(backend), options, migrations);
}

Result<void> Db::check_url(std::string_view url) {
  GANTRY_TRY(const std::unique_ptr<Backend> backend, make_postgres_backend(url, {}));
  return {};
}

Result<std::unique_ptr<Db>> Db::open_url(std::string_view url,
                                         const std::filesystem::path& directory, Options options,
                                         std::span<const Migration> migrations) {
  if (url.empty()) return open(directory / "gantry.db", options, migrations);
  return open_postgres(url, options, migrations);
}

Result<Transaction> Db::begin_write() {
  return impl_->begin(TransactionKind::Write);
}

Result<Transaction> Db::begin_read() {
  return impl_->begin(TransactionKind::Read);
}

Result<void> Db::backup(const std::filesystem::path& to) {
  return impl_->backend->backup(to);
}

int Db::schema_version() const {
  return impl_->schema_version;
}

bool Db::is_shared() const {
  return impl_->backend->is_shared();
}

const std::string& Db::name() const {
  return impl_->backend->name();
}

}  // namespace gantry::state
