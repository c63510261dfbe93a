#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/config_flags.h"
#include "cli/control_client_internal.h"
#include <fmt/core.h>

#include "core/duration.h"
#include "core/rfc3339.h"

namespace gantry::cli {
namespace {

constexpr std::string_view kUnreserved =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
constexpr int kPagesMax = 10'000;

std::string value_text(const Json& value);

/// "stack:1000000", or with label policies "stack:1000000 [{team="a"} or {team="b"}]".
std::string realm_text(const Json& realm) {
  std::string text = value_text(realm["type"]) + ":" + value_text(realm["identifier"]);
  const Json policies = realm.value("labelPolicies", Json::array());
  std::string selectors;
  for (const Json& policy : policies)
    selectors += (selectors.empty() ? "" : " or ") + member_text(policy, "selector");
  return selectors.empty() ? text : fmt::format("{} [{}]", text, selectors);
}

std::string value_text(const Json& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const Json& item : value) {
    if (!text.empty()) text += ',';
    if (item.is_object() && item.contains("type") && item.contains("identifier"))
      text += realm_text(item);
    else
      text += value_text(item);
  }
  return text;
}

Code code_of_status(int status) {
  switch (status) {
    case 401:
      return Code::Unauthenticated;
    case 403:
      return Code::PermissionDenied;
    case 404:
      return Code::NotFound;
    case 409:
      return Code::FailedPrecondition;
    case 429:
    case 503:
      return Code::Unavailable;
    default:
      return Code::Internal;
  }
}

/// Of an `error` that is a text, or an object with `message` and, more exactly, `metadata`: the
/// reason, or a connection test that failed.
std::string nested_message(const Json& error) {
  if (!error.is_object()) return value_text(error);
  for (const char* const path : {"/metadata/reason", "/metadata/test/error/message", "/message"}) {
    const Json found = error.value(Json::json_pointer(path), Json());
    if (found.is_string()) return found.get<std::string>();
  }
  return {};
}

}  // namespace

void add_control_flags(CLI::App& command, ControlOptions& options) {
  command.add_option("--url", options.url, "Base URL of the server")
      ->envname("GANTRY_URL")
      ->capture_default_str();
  command.add_option("--token", options.token, "Token of an access policy")
      ->envname("GANTRY_TOKEN");
  command
      .add_option("--user", options.user,
                  "Sign in as this person instead: for what only super-admins may. The password is "
                  "in GANTRY_PASSWORD, or in --password-file")
      ->envname("GANTRY_USER");
  command.add_option("--password-file", options.password_file, "File with it; - is standard input")
      ->type_name("FILE");
  command.add_option("--org", options.org, "Id of the organisation; default the token's");
  command.add_option("--region", options.region, "Region (zone); default the server's");
  command.add_option("--ca-file", options.ca_file, "PEM file with the authorities to trust");
  command.add_flag("--json", options.json, "Print the server's JSON, for scripts");
}

std::string encode_component(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (kUnreserved.contains(c))
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

Error describe_refusal(const net::ClientResponse& response) {
  Json answer = Json::parse(response.body, nullptr, false);
  if (!answer.is_object()) answer = Json::object();
  std::string message = member_text(answer, "message");
  if (message.empty()) message = nested_message(answer.value("error", Json()));
  if (message.empty())
    message =
        fmt::format("HTTP {}: {}", response.status, std::string_view(response.body).substr(0, 300));
  if (response.status == 401) message += " (is --token or GANTRY_TOKEN a good token?)";
  return {.code = code_of_status(response.status), .message = std::move(message)};
}

ControlClient::ControlClient(ControlOptions options) : options_(std::move(options)) {
  while (options_.url.ends_with('/')) options_.url.pop_back();
}

Result<void> ControlClient::add_credentials(net::ClientRequest& request) {
  if (options_.user.empty()) {
    if (!options_.token.empty()) request.headers.set("Authorization", "Bearer " + options_.token);
    return {};
  }
  if (!session_) {
    GANTRY_TRY(ConsoleSession begun, ConsoleSession::begin({.url = options_.url,
                                                            .user = options_.user,
                                                            .password_file = options_.password_file,
                                                            .ca_file = options_.ca_file}));
    session_.emplace(std::move(begun));
  }
  session_->sign(request);
  return {};
}

Result<Json> ControlClient::send(std::string method, const std::string& path, const Query& query,
                                 const std::string& body) {
  net::ClientRequest request;
  request.method = std::move(method);
  request.url = options_.url + path;
  char separator = path.contains('?') ? '&' : '?';
  const auto add = [&](std::string_view name, std::string_view value) {
    request.url +=
        fmt::format("{}{}={}", separator, encode_component(name), encode_component(value));
    separator = '&';
  };
  for (const auto& [name, value] : query) add(name, value);
  if (!options_.org.empty()) add("orgId", options_.org);
  request.body = body;
  request.ca_file = options_.ca_file;
  request.headers.set("Accept", "application/json");
  if (!body.empty()) request.headers.set("Content-Type", "application/json");
  GANTRY_CHECK(add_credentials(request));
  GANTRY_TRY(const net::ClientResponse response, net::send(request));
  if (response.status < 200 || response.status > 299)
    return std::unexpected(describe_refusal(response));
  if (response.body.empty()) return Json();
  Json answer = Json::parse(response.body, nullptr, false);
  if (answer.is_discarded())
    return fail(
        Code::Internal,
        fmt::format("the answer of {} is not JSON: is this a Gantry server?", options_.url));
  return answer;
}

Result<Json> ControlClient::get(const std::string& path, Query query) {
  return send("GET", path, query, "");
}

Result<Json> ControlClient::post(const std::string& path, const Json& body, Query query) {
  return send("POST", path, query, body.dump());
}

Result<Json> ControlClient::put(const std::string& path, const Json& body, Query query) {
  return send("PUT", path, query, body.dump());
}

Result<Json> ControlClient::patch(const std::string& path, const Json& body, Query query) {
  return send("PATCH", path, query, body.dump());
}

Result<Json> ControlClient::remove(const std::string& path, Query query) {
  return send("DELETE", path, query, "");
}

Result<Json> ControlClient::list(const std::string& path, Query query) {
  Json items = Json::array();
  std::string next = path;
  for (int page = 0; page < kPagesMax; ++page) {
    GANTRY_TRY(const Json answer, get(next, query));
    if (!answer.is_object() || !answer.contains("items") || !answer["items"].is_array())
      return fail(Code::Internal, fmt::format("the answer of {} is no list", path));
    for (const Json& item : answer["items"]) items.push_back(item);
    const Json pagination = answer.value(Json::json_pointer("/metadata/pagination"), Json());
    next = member_text(pagination, "nextPage");
    if (!next.starts_with("/")) return items;
    query.clear();  // the next page's address has them
  }
  return items;
}

Result<Query> ControlClient::with_region(Query query) {
  if (options_.region.empty()) {
    GANTRY_TRY(const Json regions, get("/api/stack-regions"));
    options_.region = regions.value(Json::json_pointer("/items/0/slug"), std::string());
  }
  query.emplace_back("region", options_.region);
  return query;
}

std::string member_text(const Json& object, std::string_view member) {
  if (!object.is_object()) return {};
  const auto found = object.find(member);
  return found == object.end() ? std::string() : value_text(*found);
}

std::string format_table(const Json& items, std::initializer_list<Column> columns) {
  std::vector<std::vector<std::string>> rows(1);
  for (const Column& column : columns) rows.front().emplace_back(column.heading);
  for (const Json& item : items) {
    auto& row = rows.emplace_back();
    for (const Column& column : columns) {
      std::string text = member_text(item, column.member);
      row.push_back(text.empty() ? "-" : std::move(text));
    }
  }
  std::vector<std::size_t> widths(columns.size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i)
      text += fmt::format("{:<{}}  ", row[i], widths[i]);
    text += row.back() + "\n";
  }
  return text;
}

std::string format_object(const Json& object) {
  std::string text;
  if (!object.is_object()) return text;
  for (const auto& [name, value] : object.items())
    text += fmt::format("{}: {}\n", name, value_text(value));
  return text;
}

void print_list(const ControlOptions& options, const Json& items,
                std::initializer_list<Column> columns) {
  if (options.json)
    fmt::print("{}\n", items.dump());
  else
    fmt::print("{}", format_table(items, columns));
}

void print_object(const ControlOptions& options, const Json& object) {
  if (options.json)
    fmt::print("{}\n", object.dump());
  else
    fmt::print("{}", format_object(object));
}

Result<std::string> parse_expiry(std::string_view text, TimestampMs now) {
  if (const auto time = core::parse_rfc3339(text)) return core::format_rfc3339(*time);
  const auto duration = core::parse_duration(text);
  if (!duration)
    return fail(Code::InvalidArgument,
                fmt::format("--expires: \"{}\" is neither a duration such as 90d nor a time such "
                            "as 2030-01-02T15:04:05Z",
                            text));
  return core::format_rfc3339(now + *duration);
}

void add_control_command(CLI::App& family, const std::string& name, const std::string& help,
                         int& status, const std::function<ControlAct(CLI::App&)>& setup) {
  CLI::App* const command = family.add_subcommand(name, help);
  const auto options = std::make_shared<ControlOptions>();
  ControlAct act = setup(*command);
  add_control_flags(*command, *options);
  command->callback([options, act = std::move(act), &status] {
    ControlClient client(*options);
    const auto done = act(client);
    if (done) return;
    print_error(done.error().message);
    status = done.error().code == Code::InvalidArgument ? 2 : 1;
  });
}

}  // namespace gantry::cli
