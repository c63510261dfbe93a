#pragma once

// `gantry search` and `gantry trace`: TraceQL and traces by id against a URL, Gantry's or any other
// server's with Tempo's API.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/time.h"
#include "net/client.h"

namespace gantry::cli {

struct TraceConnection {
  std::string url = "http://localhost:9490";
  std::string user;   ///< Instance id: Basic credentials. "": the token as Bearer.
  std::string token;  ///< "": no credentials.
  std::string ca_file;
  bool json = false;  ///< Print the answer as it is.
  DurationMs timeout{120'000};
};

struct SearchOptions {
  TraceConnection connection;
  std::string query;
  std::string start;  ///< Unix seconds or RFC 3339; "": from the beginning.
  std::string end;    ///< "": until now.
  std::string since;  ///< "1h": from an hour ago.
  std::uint32_t limit = 20;
};

struct TraceOptions {
  TraceConnection connection;
  std::string id;  ///< Hexadecimal; leading zeros may be missing.
};

/// What will be sent. Errors: InvalidArgument (a bad time or duration, start beside since).
[[nodiscard]] Result<net::ClientRequest> make_search_request(const SearchOptions& options,
                                                             TimestampMs now);

/// Errors: InvalidArgument for an id that is not 1 to 32 hexadecimal digits.
[[nodiscard]] Result<net::ClientRequest> make_trace_request(const TraceOptions& options);

/// A line for each trace. Errors: InvalidArgument for what is no such answer.
[[nodiscard]] Result<std::string> format_search_table(std::string_view answer);

/// A line for each span, indented below its parent; what the answer says of itself comes last.
/// NotFound for a trace without spans, InvalidArgument for what is no such answer.
[[nodiscard]] Result<std::string> format_trace_table(std::string_view answer);

/// Send and print. Return the exit status.
[[nodiscard]] int search(const SearchOptions& options);
[[nodiscard]] int trace(const TraceOptions& options);

}  // namespace gantry::cli
