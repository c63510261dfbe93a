#pragma once

// libpq with owners and our errors.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <libpq-fe.h>

#include "core/error.h"
#include "state/connection_internal.h"

namespace gantry::state {

struct PgConnCloser {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};

struct PgResultCloser {
  void operator()(PGresult* result) const { PQclear(result); }
};

using PgConn = std::unique_ptr<PGconn, PgConnCloser>;
using PgResult = std::unique_ptr<PGresult, PgResultCloser>;

// Of the types of parameters and columns, those that need care. Numbers from pg_type.dat.
inline constexpr Oid kPgBool = 16;
inline constexpr Oid kPgBytes = 17;

/// Where the database is. Thread-safe.
class PostgresTarget {
 public:
  /// Errors: InvalidArgument. No message holds any part of the URL but host, port and database.
  static Result<PostgresTarget> parse(std::string_view url);

  /// A connection with our session settings. Errors: Unavailable, FailedPrecondition (a server or
  /// encoding that does not do).
  [[nodiscard]] Result<PgConn> connect(const Db::Options& options) const;

  /// "PostgreSQL database gantry on db.example.com:5432"
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  std::string url_;
  std::string name_;
};

/// What went wrong with `result`, without the values that PostgreSQL's detail line may show.
[[nodiscard]] Error postgres_error(PGconn* connection, const PGresult* result,
                                   std::string_view doing);

/// Did the statement do what it should?
[[nodiscard]] bool is_success(const PGresult* result);

}  // namespace gantry::state
