#include <array>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

#include <fmt/core.h>
#include <poll.h>

#include "state/dialect_internal.h"
#include "state/postgres_connection_internal.h"

namespace gantry::state {
namespace {

std::int64_t integer_at(const PGresult* result, int column) {
  const std::string_view text = PQgetvalue(result, 0, column);
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

class PostgresEpochConnection final : public EpochConnection {
 public:
  PostgresEpochConnection(PgConn connection, const ErrorCounts& counts)
      : connection_(std::move(connection)), counts_(counts) {}

  Result<void> listen() {
    GANTRY_TRY([[maybe_unused]] const PgResult result, query("LISTEN gantry_auth"));
    return {};
  }

  Result<AuthEpoch> read_epoch() override {
    GANTRY_TRY(const PgResult result,
               query("SELECT epoch, changed_at_ms FROM auth_epoch WHERE id = 1"));
    if (PQntuples(result.get()) != 1)
      return fail(Code::DataLoss, "state database: auth_epoch has no row");
    return AuthEpoch{.number = integer_at(result.get(), 0),
                     .changed_at = TimestampMs{integer_at(result.get(), 1)}};
  }

  Result<void> wait(int wake_fd, DurationMs timeout) override {
    std::array<pollfd, 2> polled = {
        pollfd{.fd = PQsocket(connection_.get()), .events = POLLIN, .revents = 0},
        pollfd{.fd = wake_fd, .events = POLLIN, .revents = 0}};
    if (::poll(polled.data(), polled.size(), static_cast<int>(timeout.count)) < 0 && errno != EINTR)
      return fail(Code::Internal, fmt::format("waiting for the state database: {}",
                                              std::generic_category().message(errno)));
    if (PQconsumeInput(connection_.get()) == 0)
      return std::unexpected(
          counts_.counted(postgres_error(connection_.get(), nullptr, "LISTEN gantry_auth")));
    while (PGnotify* const notification = PQnotifies(connection_.get())) PQfreemem(notification);
    return {};
  }

 private:
  Result<PgResult> query(const char* sql) {
    PgResult result(PQexec(connection_.get(), sql));
    if (is_success(result.get())) return result;
    return std::unexpected(counts_.counted(postgres_error(connection_.get(), result.get(), sql)));
  }

  PgConn connection_;
  const ErrorCounts& counts_;
};

class PostgresBackend final : public Backend {
 public:
  PostgresBackend(PostgresTarget target, const Db::Options& options)
      : target_(std::move(target)), options_(options), counts_(options.registry) {}

  Result<std::unique_ptr<Connection>> connect(TransactionKind) override {
    GANTRY_TRY(PgConn connection, open());
    return std::make_unique<PostgresConnection>(std::move(connection), counts_);
  }

  Result<void> claim(Connection& connection) override {
    // Other programs, too, have a table of this name: the column tells ours. Sequences and indexes
    // come with tables.
    GANTRY_TRY(const auto select,
               connection.prepare(
                   "SELECT count(*), (SELECT count(*) FROM information_schema.columns "
                   "WHERE table_schema = current_schema() AND table_name = 'schema_migrations' "
                   "AND column_name = 'applied_at_ms') FROM information_schema.tables "
                   "WHERE table_schema = current_schema()"));
    GANTRY_TRY(const bool has_row, select->step());
    if (has_row && select->integer(0) != 0 && select->integer(1) == 0)
      return fail(Code::FailedPrecondition,
                  fmt::format("{} has tables but not Gantry's: give it a database of its own",
                              target_.name()));
    return {};
  }

  [[nodiscard]] std::string translate(std::string_view migration) const override {
    return to_postgres_schema(migration);
  }

  Result<std::unique_ptr<EpochConnection>> listen() override {
    GANTRY_TRY(PgConn connection, open());
    auto listening = std::make_unique<PostgresEpochConnection>(std::move(connection), counts_);
    GANTRY_CHECK(listening->listen());
    return listening;
  }

  Result<void> backup(const std::filesystem::path&) override {
    return fail(Code::FailedPrecondition,
                fmt::format("{} is backed up with pg_dump, not by gantry", target_.name()));
  }

  [[nodiscard]] bool is_shared() const override { return true; }

  [[nodiscard]] const std::string& name() const override { return target_.name(); }

 private:
  Result<PgConn> open() {
    auto connection = target_.connect(options_);
    if (!connection) return std::unexpected(counts_.counted(std::move(connection).error()));
    return connection;
  }

  PostgresTarget target_;
  Db::Options options_;
  ErrorCounts counts_;
};

}  // namespace

Result<std::unique_ptr<Backend>> make_postgres_backend(std::string_view url,
                                                       const Db::Options& options) {
  GANTRY_TRY(PostgresTarget target, PostgresTarget::parse(url));
  return std::make_unique<PostgresBackend>(std::move(target), options);
}

}  // namespace gantry::state
