// GET /api/audit: the audit log, newest first, as pages of JSON or as NDJSON.

#include "access/audit.h"

#include <charconv>
#include <utility>

#include <fmt/core.h>

#include "api/cloud_internal.h"

namespace gantry::api {
namespace {

using access::AuditEvent;
using access::AuditRecord;

constexpr std::size_t kPageSizeDefault = 100;
constexpr std::size_t kPageSizeMax = 1000;
constexpr std::size_t kExportPage = 1000;
constexpr std::string_view kNdjson = "application/x-ndjson";

void write_named(core::JsonWriter& json, std::string_view key, std::string_view type,
                 const std::string& id, const std::string& name) {
  json.key(key).begin_object();
  json.key("type").string(type);
  json.key("id").string(id);
  json.key("name").string(name);
  json.end_object();
}

void write_record(core::JsonWriter& json, const AuditRecord& record) {
  const AuditEvent& event = record.event;
  json.begin_object();
  json.key("id").integer(record.id);
  write_time(json, "time", record.time);
  json.key("event").string(event.event);
  json.key("outcome").string(access::outcome_name(event.outcome));
  write_named(json, "actor", access::actor_type_name(event.actor.type), event.actor.id,
              event.actor.name);
  if (event.org) json.key("orgId").string(std::to_string(event.org->value()));
  if (event.stack) json.key("stackId").string(std::to_string(event.stack->value()));
  write_named(json, "target", event.target.type, event.target.id, event.target.name);
  json.key("ip").string(event.client.ip);
  json.key("userAgent").string(event.client.user_agent);
  json.key("requestId").string(event.client.request_id);
  json.key("sessionIdHash").string(event.session_hash);
  json.key("changes").begin_array();
  for (const access::AuditChange& change : event.changes) {
    json.begin_object();
    json.key("field").string(change.field);
    json.key("old").string(change.before);
    json.key("new").string(change.after);
    json.end_object();
  }
  json.end_array();
  json.key("reason").string(event.reason);
  json.key("hash").string(record.hash);
  json.end_object();
}

ControlResult<std::optional<std::int64_t>> read_cursor(const CloudCall& call) {
  const std::string text = call.parameter("pageCursor");
  if (text.empty()) return std::nullopt;
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 1)
    return access::refuse_field("pageCursor", "is not a cursor of this list");
  return id;
}

ControlResult<std::size_t> read_page_size(const CloudCall& call) {
  const std::string text = call.parameter("pageSize");
  if (text.empty()) return kPageSizeDefault;
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || end != text.data() + text.size() || size < 1 || size > kPageSizeMax)
    return access::refuse_field("pageSize",
                                fmt::format("must be a whole number from 1 to {}", kPageSizeMax));
  return size;
}

/// Super-admins may ask for everything; everybody else for their organisation's events, viewers
/// and editors for their own.
ControlResult<access::AuditQuery> read_query(const CloudCall& call) {
  access::AuditQuery query{.org = call.org,
                           .event = call.parameter("event"),
                           .actor = call.parameter("actor"),
                           .target = call.parameter("target"),
                           .from = {},
                           .to = {},
                           .before_id = {},
                           .limit = 0};
  if (call.who.is_super_admin && call.parameter("orgId").empty()) query.org.reset();
  const bool sees_all = call.who.actor.type != access::Actor::Type::User ||
                        call.who.is_super_admin || call.who.role == access::Role::Admin;
  if (!sees_all) {
    if (!query.actor.empty() && query.actor != call.who.actor.id &&
        query.actor != call.who.actor.name)
      return access::refuse(Code::PermissionDenied, "only your own events are yours to read");
    query.actor = call.who.actor.id;
  }
  GANTRY_TRY(query.from, time_parameter(call, "from"));
  GANTRY_TRY(query.to, time_parameter(call, "to"));
  GANTRY_TRY(query.before_id, read_cursor(call));
  return query;
}

ControlResult<net::Response> list(const CloudCall& call, access::AuditQuery query) {
  GANTRY_TRY(const std::size_t size, read_page_size(call));
  query.limit = size + 1;
  GANTRY_TRY(std::vector<AuditRecord> records, call.services.control.audit.read(query));
  const bool has_more = records.size() > size;
  if (has_more) records.resize(size);
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("items").begin_array();
  for (const AuditRecord& record : records) write_record(json, record);
  json.end_array();
  json.key("metadata").begin_object().key("pagination").begin_object();
  json.key("pageSize").integer(size);
  json.key("pageCursor").string(call.parameter("pageCursor"));
  json.key("nextCursor");
  if (has_more)
    json.string(std::to_string(records.back().id));
  else
    json.null();
  json.end_object().end_object().end_object();
  return net::json_response(200, std::move(body));
}

/// All of it, a thousand rows at a time: an export may be long.
ControlResult<net::Response> stream(const CloudCall& call, access::AuditQuery query) {
  query.limit = kExportPage;
  net::Response response;
  response.headers.set("Content-Type", std::string(kNdjson));
  response.stream = [&audit = call.services.control.audit, query,
                     is_done = false]() mutable -> std::string {
    std::string text;
    if (is_done) return text;
    const auto records = audit.read(query);
    if (!records || records->size() < kExportPage) is_done = true;
    if (!records) return text;
    for (const AuditRecord& record : *records) {
      core::JsonWriter json(text);
      write_record(json, record);
      text += '\n';
      query.before_id = record.id;
    }
    return text;
  };
  return response;
}

}  // namespace

void add_audit_routes(net::Router& router, const CloudServices& services) {
  add_caller(router, services, net::Method::Get, "/api/audit", {.scope = access::Scope::AuditRead},
             [](const CloudCall& call) -> ControlResult<net::Response> {
               GANTRY_TRY(access::AuditQuery query, read_query(call));
               const bool is_export = call.parameter("format") == "ndjson" ||
                                      call.request.headers.find("Accept") == kNdjson;
               return is_export ? stream(call, std::move(query)) : list(call, std::move(query));
             });
}

}  // namespace gantry::api
