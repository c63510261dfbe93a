#pragma once

// What all endpoints of the control API share: letting in, transactions, repeated requests, errors,
// bodies, pages.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "access/control_error.h"
#include "access/control_plane.h"
#include "access/page.h"
#include "access/tokens.h"
#include "api/cloud.h"
#include "core/json_writer.h"
#include "net/http.h"
#include "net/router.h"

namespace gantry::api {

using access::ControlChange;
using access::ControlError;
using access::ControlResult;
using access::OrgId;
using Json = nlohmann::json;

/// Who may call a route, and how.
struct CloudRule {
  std::optional<access::Scope> scope;  ///< Absent: whoever is known.
  bool needs_region = false;           ///< `region` must be given, and one that is known.
  bool is_organisation_wide = true;    ///< Not for tokens that reach only some stacks.
};

/// A request that has been let in.
struct CloudCall {
  const CloudServices& services;
  const net::Request& request;
  const net::Parameters& query;
  const access::ControlPrincipal& who;
  OrgId org;

  [[nodiscard]] std::string parameter(std::string_view name) const {
    return std::string(query.find(name).value_or(""));
  }
};

using CloudReader =
    std::function<ControlResult<net::Response>(const CloudCall&, state::Transaction&)>;

/// For what has transactions of its own.
using CloudCaller = std::function<ControlResult<net::Response>(const CloudCall&)>;

/// `body` is an object; an absent body is an empty one.
using CloudChanger =
    std::function<ControlResult<net::Response>(const CloudCall&, ControlChange&, const Json& body)>;

/// Adds a route that reads in one transaction.
void add_reader(net::Router& router, const CloudServices& services, net::Method method,
                std::string_view pattern, const CloudRule& rule, CloudReader reader);

/// Adds a route that is let in and no more. The rule's region is not looked at.
void add_caller(net::Router& router, const CloudServices& services, net::Method method,
                std::string_view pattern, const CloudRule& rule, CloudCaller caller);

/// Adds a route whose act commits when the handler returns an answer, and is rolled back when it
/// returns an error. A repeated x-request-id gets the first answer again.
void add_changer(net::Router& router, const CloudServices& services, net::Method method,
                 std::string_view pattern, const CloudRule& rule, CloudChanger changer);

/// {"code","message","requestId","statusCode"}, and "fields".
[[nodiscard]] net::Response cloud_error_response(const net::Request& request,
                                                 const ControlError& error);

/// A JSON object of distinct keys, at most 32 levels deep. Errors: InvalidArgument.
[[nodiscard]] ControlResult<Json> parse_cloud_body(std::string_view body);

/// Reads members of a body and collects what is wrong with them. Members nobody asks for are
/// ignored, as Cloud does.
class BodyReader {
 public:
  /// `path`: of `object` in the body, "" for the body itself. `object` outlives the reader.
  BodyReader(const Json& object, std::string path, std::vector<access::FieldProblem>& problems);

  [[nodiscard]] bool has(std::string_view key) const;

  /// Whether the member is there and null.
  [[nodiscard]] bool is_null(std::string_view key) const;

  [[nodiscard]] std::string required_text(std::string_view key);
  [[nodiscard]] std::optional<std::string> text(std::string_view key);
  [[nodiscard]] std::optional<bool> boolean(std::string_view key);

  /// A whole number, or one in a string: clients that know ids as text send text.
  [[nodiscard]] std::optional<std::uint64_t> number(std::string_view key);
  [[nodiscard]] std::optional<TimestampMs> time(std::string_view key);
  [[nodiscard]] std::optional<std::vector<std::string>> texts(std::string_view key);

  /// Null unless it is there and an object. The same for arrays.
  [[nodiscard]] const Json* object(std::string_view key);
  [[nodiscard]] const Json* array(std::string_view key);

  void complain(std::string_view key, std::string_view reason);

  /// "realms[0].type"
  [[nodiscard]] std::string path_of(std::string_view key) const;

 private:
  [[nodiscard]] const Json* find(std::string_view key) const;

  const Json& object_;
  std::string path_;
  std::vector<access::FieldProblem>& problems_;
};

/// A page asked for by `pageSize` and `pageCursor`.
struct CloudPage {
  access::PageStart
      start;  ///< Its limit is one more than asked for, to know whether there is more.
  std::size_t size = 100;
  std::string cursor;
  std::uint64_t filter_hash = 0;
};

/// Errors: InvalidArgument, also for a cursor that was made with other filters.
[[nodiscard]] ControlResult<CloudPage> read_page(const CloudCall& call);

/// "metadata":{"pagination":{…}}. `last`: of this page when there is a next one.
void write_pagination(core::JsonWriter& json, const CloudCall& call, const CloudPage& page,
                      const std::optional<access::PageCursor>& last);

/// A query parameter that is RFC 3339 when given. Errors: InvalidArgument.
[[nodiscard]] ControlResult<std::optional<TimestampMs>> time_parameter(const CloudCall& call,
                                                                       std::string_view name);

/// "true" or "false"; false when absent. Errors: InvalidArgument.
[[nodiscard]] ControlResult<bool> switch_parameter(const CloudCall& call, std::string_view name);

void write_time(core::JsonWriter& json, std::string_view key, TimestampMs time);

/// `secret`: only in the answer that creates it.
void write_token(core::JsonWriter& json, const access::Token& token, TimestampMs now,
                 const std::string& secret = {});
[[nodiscard]] net::Response token_response(const CloudCall& call, const access::Token& token,
                                           const std::string& secret = {});
void write_optional_time(core::JsonWriter& json, std::string_view key,
                         const std::optional<TimestampMs>& time);

}  // namespace gantry::api
