#pragma once

// `gantry query`: PromQL against a URL, Gantry's or any other server's with the same API.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/time.h"
#include "net/client.h"

namespace gantry::cli {

enum class QueryOutput : std::uint8_t { Table, Json };

struct QueryOptions {
  std::string expression;
  std::string url = "http://localhost:9490";
  std::string user;   ///< Instance id: Basic credentials. "": the token as Bearer.
  std::string token;  ///< "": no credentials.
  std::string time;   ///< Instant; Unix seconds or RFC 3339. "": now.
  std::string start;  ///< With any of start, end and since it is a range query.
  std::string end;
  std::string since;  ///< "1h": from an hour ago until `end` (now).
  std::string step;   ///< "": a hundredth of the range, at least 1 s.
  std::string ca_file;
  DurationMs timeout{120'000};
  QueryOutput output = QueryOutput::Table;
};

/// What will be sent. `now` stands for times not given. Errors: InvalidArgument (a range without
/// its ends, a bad duration).
[[nodiscard]] Result<net::ClientRequest> make_query_request(const QueryOptions& options,
                                                            TimestampMs now);

/// The answer's `data` as text for people. Errors: InvalidArgument for what is no such answer.
[[nodiscard]] Result<std::string> format_query_table(std::string_view answer);

/// Sends and prints. Returns the exit status.
[[nodiscard]] int query(const QueryOptions& options);

}  // namespace gantry::cli
