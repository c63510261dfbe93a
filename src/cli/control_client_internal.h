#pragma once

// How the administrative commands talk to a running server, and how they print what it says.

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/console_session_internal.h"
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/time.h"
#include "net/client.h"

namespace gantry::cli {

/// Keeps the server's order of members.
using Json = nlohmann::ordered_json;

struct ControlOptions {
  std::string url = "http://localhost:9490";
  std::string token;
  std::string user;  ///< Login of a person, who then signs in; "": the token counts.
  std::string password_file;
  std::string org;     ///< Id; "": the token's.
  std::string region;  ///< "": asked for.
  std::string ca_file;
  bool json = false;
};

/// --url, --token, --user, --password-file, --org, --region, --ca-file, --json, with their
/// environment variables.
void add_control_flags(CLI::App& command, ControlOptions& options);

using Query = std::vector<std::pair<std::string, std::string>>;

/// Requests to the control API. One thread.
class ControlClient {
 public:
  explicit ControlClient(ControlOptions options);

  /// The answer's body; null for an empty one. Errors carry the server's message; NotFound for 404.
  [[nodiscard]] Result<Json> get(const std::string& path, Query query = {});
  [[nodiscard]] Result<Json> post(const std::string& path, const Json& body, Query query = {});
  [[nodiscard]] Result<Json> put(const std::string& path, const Json& body, Query query = {});
  [[nodiscard]] Result<Json> patch(const std::string& path, const Json& body, Query query = {});
  [[nodiscard]] Result<Json> remove(const std::string& path, Query query = {});

  /// All items of all pages.
  [[nodiscard]] Result<Json> list(const std::string& path, Query query = {});

  /// The same below /api/v1/accesspolicies and /api/v1/tokens, which need a region.
  [[nodiscard]] Result<Query> with_region(Query query);

  [[nodiscard]] const ControlOptions& options() const { return options_; }

 private:
  [[nodiscard]] Result<Json> send(std::string method, const std::string& path, const Query& query,
                                  const std::string& body);
  [[nodiscard]] Result<void> add_credentials(net::ClientRequest& request);

  ControlOptions options_;
  std::optional<ConsoleSession> session_;  ///< From the first request on, when a user is given.
};

/// "a b" as "a%20b".
[[nodiscard]] std::string encode_component(std::string_view text);

/// What the server said about a refusal, or the status and the body's start.
[[nodiscard]] Error describe_refusal(const net::ClientResponse& response);

/// A column of a table: its heading, and the member that it shows.
struct Column {
  std::string_view heading;
  std::string_view member;
};

/// Left-aligned columns, two blanks between them. Lists are joined with commas.
[[nodiscard]] std::string format_table(const Json& items, std::initializer_list<Column> columns);

/// "name: value" lines of an object.
[[nodiscard]] std::string format_object(const Json& object);

/// A member as text: "" when it is missing or null.
[[nodiscard]] std::string member_text(const Json& object, std::string_view member);

/// Prints the list as a table, or as a JSON array with --json.
void print_list(const ControlOptions& options, const Json& items,
                std::initializer_list<Column> columns);

/// Prints the object's members line by line, or the JSON with --json.
void print_object(const ControlOptions& options, const Json& object);

/// RFC 3339 for "90d" from now or for a time. Errors: InvalidArgument.
[[nodiscard]] Result<std::string> parse_expiry(std::string_view text, TimestampMs now);

/// What a command does with a client; the status is 0 for a good Result.
using ControlAct = std::function<Result<void>(ControlClient&)>;

/// Adds a command that connects, acts and reports errors. `status` gets the exit status. `setup`
/// adds the command's own flags.
void add_control_command(CLI::App& family, const std::string& name, const std::string& help,
                         int& status, const std::function<ControlAct(CLI::App&)>& setup);

}  // namespace gantry::cli
