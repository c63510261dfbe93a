#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/core.h>

#include "state/postgres_session_internal.h"

namespace gantry::state {
namespace {

constexpr int kServerVersionMin = 150'000;

struct OptionsCloser {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

std::string_view view_of(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

/// The value of a connection option that the URL gives, else what libpq takes (environment,
/// default).
std::string option_of(const PQconninfoOption* options, std::string_view keyword,
                      std::string_view fallback) {
  for (; options->keyword != nullptr; ++options)
    if (options->keyword == keyword && options->val != nullptr && *options->val != '\0')
      return options->val;
  return std::string(fallback);
}

/// libpq ends its messages with a line break and puts breaks inside.
std::string one_line(std::string_view message) {
  while (message.ends_with('\n')) message.remove_suffix(1);
  std::string line(message);
  std::erase(line, '\t');
  std::ranges::replace(line, '\n', ' ');
  return line;
}

Code code_of(std::string_view sqlstate) {
  struct Mapped {
    std::string_view sqlstate;  // or the class: its first two characters
    Code code;
  };

  // https://www.postgresql.org/docs/15/errcodes-appendix.html; the first that fits.
  static constexpr std::array kMapped = {
      Mapped{"23505", Code::AlreadyExists},       // unique_violation
      Mapped{"23", Code::FailedPrecondition},     // integrity constraint violation
      Mapped{"22021", Code::InvalidArgument},     // character_not_in_repertoire
      Mapped{"22", Code::FailedPrecondition},     // a value that the column's type does not have
      Mapped{"42804", Code::FailedPrecondition},  // datatype_mismatch
      Mapped{"53300", Code::Unavailable},         // too_many_connections
      Mapped{"53", Code::ResourceExhausted},      // disk full, out of memory
      Mapped{"54", Code::InvalidArgument},        // too large, as an indexed text may be
      Mapped{"55P03", Code::Unavailable},         // lock_not_available
      Mapped{"57", Code::Unavailable},            // time-out, shutdown
      Mapped{"40", Code::Unavailable},            // serialization failure, deadlock
      Mapped{"25006", Code::Unavailable},         // read-only: a server that became a standby
      Mapped{"25P03", Code::Unavailable},         // idle_in_transaction_session_timeout
      Mapped{"08", Code::Unavailable},            // connection exception
      Mapped{"XX001", Code::DataLoss},            // data_corrupted
      Mapped{"XX002", Code::DataLoss},            // index_corrupted
  };
  for (const Mapped& mapped : kMapped)
    if (sqlstate.starts_with(mapped.sqlstate)) return mapped.code;
  return Code::Internal;
}

std::string session_settings(const Db::Options& options) {
  // A replica that hangs inside a transaction would keep the writers' lock from all others: the
  // server ends it. A commit must be on disk when it returns, whatever the server's default says.
  return fmt::format(
      "SET statement_timeout = {}; SET lock_timeout = {};"
      "SET idle_in_transaction_session_timeout = 60000; SET standard_conforming_strings = on;"
      "SET bytea_output = hex;"
      "SELECT set_config('synchronous_commit', 'on', false) "
      "WHERE current_setting('synchronous_commit') = 'off'",
      options.statement_timeout_ms, options.busy_timeout_ms);
}

Result<void> check_server(PGconn* connection, const std::string& name) {
  if (const int version = PQserverVersion(connection); version < kServerVersionMin)
    return fail(Code::FailedPrecondition,
                fmt::format("{}: the server is PostgreSQL {}.{}, Gantry needs 15 or newer", name,
                            version / 10'000, version % 10'000));
  if (const auto encoding = view_of(PQparameterStatus(connection, "server_encoding"));
      encoding != "UTF8")
    return fail(Code::FailedPrecondition,
                fmt::format("{}: its encoding is {}, Gantry needs UTF8 (CREATE DATABASE … ENCODING "
                            "'UTF8' TEMPLATE template0)",
                            name, encoding));
  return {};
}

}  // namespace

Result<PostgresTarget> PostgresTarget::parse(std::string_view url) {
  if (!url.starts_with("postgres://") && !url.starts_with("postgresql://"))
    return fail(Code::InvalidArgument,
                "state.url is not a PostgreSQL URL such as postgres://user:password@host/database");
  PostgresTarget target;
  target.url_ = url;
  char* message = nullptr;
  const std::unique_ptr<PQconninfoOption, OptionsCloser> options(
      PQconninfoParse(target.url_.c_str(), &message));
  PQfreemem(message);  // not shown: it quotes the URL, and so its password
  if (!options)
    return fail(
        Code::InvalidArgument,
        "state.url is not a valid PostgreSQL URL; characters such as @ / : % in user name or "
        "password are written %40 %2F %3A %25");
  const std::string user = option_of(options.get(), "user", "");
  const std::string host = option_of(options.get(), "host", "localhost");
  target.name_ =
      fmt::format("PostgreSQL database {} on {}:{}", option_of(options.get(), "dbname", user), host,
                  option_of(options.get(), "port", "5432"));
  return target;
}

Result<PgConn> PostgresTarget::connect(const Db::Options& options) const {
  // A later word wins: what the URL says replaces our defaults. A peer that vanished is noticed in
  // about ten seconds; of several hosts the primary is taken.
  static constexpr std::array kWords = {
      "fallback_application_name", "connect_timeout",  "keepalives_idle",
      "keepalives_interval",       "keepalives_count", "tcp_user_timeout",
      "target_session_attrs",      "dbname",           "client_encoding"};
  const std::array<const char*, kWords.size()> values = {
      "gantry", "5", "5", "2", "3", "10000", "read-write", url_.c_str(), "UTF8"};
  std::array<const char*, kWords.size() + 1> words{};
  std::ranges::copy(kWords, words.begin());
  std::array<const char*, kWords.size() + 1> ended_values{};
  std::ranges::copy(values, ended_values.begin());

  PgConn connection(PQconnectdbParams(words.data(), ended_values.data(), 1));
  if (!connection || PQstatus(connection.get()) != CONNECTION_OK)
    return fail(Code::Unavailable,
                fmt::format("{}: {}", name_, one_line(view_of(PQerrorMessage(connection.get())))));
  // Notices would go to standard error.
  PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
  GANTRY_CHECK(check_server(connection.get(), name_));
  const PgResult set(PQexec(connection.get(), session_settings(options).c_str()));
  if (!is_success(set.get()))
    return std::unexpected(postgres_error(connection.get(), set.get(), "session settings"));
  return connection;
}

Error postgres_error(PGconn* connection, const PGresult* result, std::string_view doing) {
  const auto sqlstate = view_of(PQresultErrorField(result, PG_DIAG_SQLSTATE));
  if (sqlstate.empty())
    return Error{.code = Code::Unavailable,
                 .message = fmt::format("state database: {} in: {}",
                                        one_line(view_of(PQerrorMessage(connection))), doing)};
  return Error{
      .code = code_of(sqlstate),
      .message = fmt::format("state database: {} ({}) in: {}",
                             one_line(view_of(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY))),
                             sqlstate, doing)};
}

bool is_success(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

}  // namespace gantry::state
