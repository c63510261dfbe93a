#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include <fmt/core.h>

#include "access/ceiling.h"
#include "access/idempotency.h"
#include "access/stacks.h"
#include "api/cloud_internal.h"
#include "api/wanted_organisation.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mutex.h"
#include "core/rfc3339.h"

namespace gantry::api {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::size_t kAskersMax = 10'000;
constexpr std::size_t kRequestKeyBytesMax = 128;
constexpr std::size_t kPageSizeDefault = 100;
constexpr std::size_t kPageSizeMax = 500;

struct ErrorKind {
  int status = 500;
  std::string_view code = "InternalError";
};

ErrorKind error_kind(Code code) {
  switch (code) {
    case Code::InvalidArgument:
    case Code::OutOfRange:
      // Cloud answers wrong and missing parameters with 409.
      return {.status = 409, .code = "InvalidArgument"};
    case Code::AlreadyExists:
    case Code::FailedPrecondition:
      return {.status = 409, .code = "Conflict"};
    case Code::NotFound:
      return {.status = 404, .code = "NotFound"};
    case Code::PermissionDenied:
      return {.status = 403, .code = "Forbidden"};
    case Code::Unauthenticated:
      return {.status = 401, .code = "InvalidCredentials"};
    case Code::TooLarge:
      return {.status = 413, .code = "PayloadTooLarge"};
    case Code::ResourceExhausted:
    case Code::Unavailable:
    case Code::DeadlineExceeded:
    case Code::Cancelled:
      return {.status = 503, .code = "ServiceUnavailable"};
    case Code::Unimplemented:
    case Code::Internal:
    case Code::DataLoss:
    case Code::Unsupported:
      break;
  }
  return {};
}

std::string_view code_of_status(int status) {
  switch (status) {
    case 401:
      return "InvalidCredentials";
    case 403:
      return "Forbidden";
    case 404:
      return "NotFound";
    case 405:
      return "MethodNotAllowed";
    case 409:
      return "InvalidArgument";
    case 413:
      return "PayloadTooLarge";
    case 429:
      return "TooManyRequests";
    case 503:
      return "ServiceUnavailable";
    default:
      return status < 500 ? "BadRequest" : "InternalError";
  }
}

net::Response error_body(const net::Request& request, int status, std::string_view code,
                         std::string_view message,
                         const std::vector<access::FieldProblem>& fields = {}) {
  net::Response response;
  response.status = status;
  response.headers.set("Content-Type", "application/json");
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("X-Content-Type-Options", "nosniff");
  core::JsonWriter json(response.body);
  json.begin_object();
  json.key("code").string(code);
  json.key("message").string(message);
  json.key("requestId").string(request.request_id);
  json.key("statusCode").integer(status);
  if (!fields.empty()) {
    json.key("fields").begin_array();
    for (const access::FieldProblem& field : fields) {
      json.begin_object();
      json.key("path").string(field.path);
      json.key("reason").string(field.reason);
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
  return response;
}

net::Response render_status(const net::Request& request, int status, std::string_view message) {
  return error_body(request, status, code_of_status(status), message);
}

net::Response refusal_response(const net::Request& request, const access::AccessError& refusal) {
  net::Response response =
      error_body(request, refusal.status, code_of_status(refusal.status),
                 refusal.status == 401 ? std::string_view("Login Required or invalid credentials")
                                       : std::string_view(refusal.message));
  for (const auto& [name, value] : refusal.headers.fields())
    if (name == "WWW-Authenticate" || name == "Retry-After") response.headers.add(name, value);
  return response;
}

/// Regions are names that operators give to where they run; all lead to the same lists.
ControlResult<void> check_region(const CloudCall& call, const CloudRule& rule,
                                 state::Transaction& tx) {
  if (!rule.needs_region) return {};
  const auto region = call.query.find("region");
  if (!region || region->empty()) return access::refuse_field("region", "is required");
  if (*region == call.services.control.rules.zone) return {};
  GANTRY_TRY(const std::vector<access::Stack> stacks, access::list_stacks(call.org, tx));
  if (std::ranges::find(stacks, *region, &access::Stack::zone) != stacks.end()) return {};
  return access::refuse_field("region", fmt::format("unknown region \"{}\"", *region));
}

/// Null without a key. Errors: InvalidArgument.
ControlResult<std::optional<access::RepeatableRequest>> repeatable(const CloudCall& call) {
  const std::string_view key = call.request.headers.find("X-Request-Id");
  if (key.empty() || call.org == OrgId()) return std::nullopt;
  const bool is_printable = std::ranges::all_of(key, [](char c) { return c >= 0x20 && c <= 0x7e; });
  if (key.size() > kRequestKeyBytesMax || !is_printable)
    return access::refuse_field("x-request-id", "must be at most 128 printable characters");
  return access::RepeatableRequest{
      .path = fmt::format("{} {} {}", net::method_text(call.request.method), call.request.path,
                          call.who.actor.id),
      .key = std::string(key),
      .content = fmt::format("{}\n{}", call.request.raw_query, call.request.body)};
}

net::Response kept_response(const access::KeptAnswer& kept) {
  net::Response response;
  response.status = kept.status;
  response.body = kept.body;
  if (!kept.body.empty()) response.headers.set("Content-Type", "application/json");
  return response;
}

void finish(net::Response& response) {
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("X-Content-Type-Options", "nosniff");
}

/// 403s are of interest to whoever watches over an organisation.
void note_denied(const CloudCall& call, const ControlError& error) {
  if (error.code != Code::PermissionDenied) return;
  call.services.control.audit.note_sampled(
      fmt::format("authz.denied {} {}", call.who.actor.id, error.message),
      {.event = "authz.denied",
       .outcome = access::Outcome::Denied,
       .actor = call.who.actor,
       .org = call.org,
       .stack = {},
       .target = {.type = "endpoint", .id = call.request.path, .name = {}},
       .client = call.who.client,
       .session_hash = call.who.session_hash,
       .changes = {},
       .reason = error.message});
}

/// Lets in, counts, and calls `act`, which answers or says what is wrong.
template <class Act>
net::Response enter(const CloudServices& services, const CloudRule& rule,
                    const net::Request& request, Act act) {
  const auto query = net::Parameters::parse(request.raw_query);
  if (!query) return render_status(request, 409, query.error().message);
  const auto org = wanted_organisation(*query);
  if (!org) return cloud_error_response(request, org.error());
  const auto who = services.gate.admit_control(request, rule.scope, *org);
  if (!who) return refusal_response(request, who.error());
  const CloudCall call{
      .services = services, .request = request, .query = *query, .who = *who, .org = who->org};
  if (const std::int64_t wait_seconds = services.rate.take(who->actor.id); wait_seconds > 0) {
    net::Response response =
        render_status(request, 429, "too many requests: see access.control_requests_per_minute");
    response.headers.set("Retry-After", std::to_string(wait_seconds));
    return response;
  }
  const auto reaches = rule.is_organisation_wide
                           ? access::require_organisation_realm(*who, who->org)
                           : ControlResult<void>();
  ControlResult<net::Response> answer =
      reaches ? act(call) : ControlResult<net::Response>(std::unexpect, reaches.error());
  if (!answer) {
    note_denied(call, answer.error());
    return cloud_error_response(request, answer.error());
  }
  finish(*answer);
  return *std::move(answer);
}

ControlResult<net::Response> change(const CloudCall& call, const CloudRule& rule,
                                    const CloudChanger& changer) {
  GANTRY_TRY(const Json body, parse_cloud_body(call.request.body));
  GANTRY_TRY(const auto request, repeatable(call));
  GANTRY_TRY(ControlChange change, ControlChange::begin(call.services.control, call.who));
  GANTRY_CHECK(check_region(call, rule, change.tx()));
  if (request) {
    GANTRY_TRY(const auto kept, access::find_answer(call.org, change.tx(), call.services.box,
                                                    *request, change.now()));
    if (kept) return kept_response(*kept);
  }
  GANTRY_TRY(net::Response response, changer(call, change, body));
  if (request)
    GANTRY_CHECK(access::keep_answer(call.org, change.tx(), call.services.box, *request,
                                     {.status = response.status, .body = response.body},
                                     change.now()));
  GANTRY_CHECK(change.commit());
  return response;
}

std::uint64_t hash_filters(const CloudCall& call) {
  std::map<std::string, std::string> filters;
  for (const auto& [name, value] : call.query.items())
    if (name != "pageSize" && name != "pageCursor") filters[name] += value + '\n';
  std::string text = call.request.path;
  for (const auto& [name, value] : filters) text += fmt::format("\n{}={}", name, value);
  return core::hash64(text);
}

std::string encode_component(std::string_view text) {
  constexpr std::string_view kUnreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string encoded;
  for (const char c : text)
    encoded += kUnreserved.contains(c) ? std::string(1, c)
                                       : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return encoded;
}

}  // namespace

net::Response cloud_error_response(const net::Request& request, const ControlError& error) {
  const ErrorKind kind = error_kind(error.code);
  if (kind.status == 500) {
    log::error(
        "control request failed",
        {{"request_id", request.request_id}, {"path", request.path}, {"error", error.message}});
    return error_body(request, kind.status, kind.code, "internal error; see the server's log");
  }
  return error_body(request, kind.status, kind.code, error.message, error.fields);
}

namespace {

net::RouteOptions route_options(const CloudRule& rule) {
  return {.access = rule.scope ? std::string(access::scope_name(*rule.scope)) : "any token",
          .render_error = render_status};
}

}  // namespace

void add_reader(net::Router& router, const CloudServices& services, net::Method method,
                std::string_view pattern, const CloudRule& rule, CloudReader reader) {
  router.add(method, pattern, route_options(rule),
             [&services, rule, reader = std::move(reader)](net::Request& request) {
               return enter(services, rule, request,
                            [&](const CloudCall& call) -> ControlResult<net::Response> {
                              GANTRY_TRY(state::Transaction tx, services.control.db.begin_read());
                              GANTRY_CHECK(check_region(call, rule, tx));
                              return reader(call, tx);
                            });
             });
}

void add_caller(net::Router& router, const CloudServices& services, net::Method method,
                std::string_view pattern, const CloudRule& rule, CloudCaller caller) {
  router.add(method, pattern, route_options(rule),
             [&services, rule, caller = std::move(caller)](net::Request& request) {
               return enter(services, rule, request, caller);
             });
}

void add_changer(net::Router& router, const CloudServices& services, net::Method method,
                 std::string_view pattern, const CloudRule& rule, CloudChanger changer) {
  router.add(method, pattern, route_options(rule),
             [&services, rule, changer = std::move(changer)](net::Request& request) {
               return enter(services, rule, request,
                            [&](const CloudCall& call) { return change(call, rule, changer); });
             });
}

ControlResult<CloudPage> read_page(const CloudCall& call) {
  CloudPage page{.start = {},
                 .size = kPageSizeDefault,
                 .cursor = call.parameter("pageCursor"),
                 .filter_hash = hash_filters(call)};
  if (const std::string size = call.parameter("pageSize"); !size.empty()) {
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), page.size);
    if (error != std::errc() || end != size.data() + size.size() || page.size < 1 ||
        page.size > kPageSizeMax)
      return access::refuse_field("pageSize",
                                  fmt::format("must be a whole number from 1 to {}", kPageSizeMax));
  }
  page.start.limit = page.size + 1;
  if (page.cursor.empty()) return page;
  const auto cursor = access::parse_page_cursor(page.cursor);
  if (!cursor) return access::refuse_field("pageCursor", cursor.error().message);
  if (cursor->filter_hash != page.filter_hash)
    return access::refuse_field("pageCursor", "was made by a request with other parameters");
  page.start.after_created_at = cursor->created_at;
  page.start.after_id = cursor->id;
  return page;
}

void write_pagination(core::JsonWriter& json, const CloudCall& call, const CloudPage& page,
                      const std::optional<access::PageCursor>& last) {
  json.key("metadata").begin_object().key("pagination").begin_object();
  json.key("pageSize").integer(page.size);
  json.key("pageCursor");
  if (page.cursor.empty())
    json.null();
  else
    json.string(page.cursor);
  json.key("nextPage");
  if (last) {
    std::string url = call.request.path + "?";
    for (const auto& [name, value] : call.query.items())
      if (name != "pageCursor" && name != "pageSize")
        url += fmt::format("{}={}&", encode_component(name), encode_component(value));
    json.string(fmt::format("{}pageSize={}&pageCursor={}", url, page.size,
                            access::format_page_cursor(*last)));
  } else {
    json.null();
  }
  json.end_object().end_object();
}

ControlResult<std::optional<TimestampMs>> time_parameter(const CloudCall& call,
                                                         std::string_view name) {
  const std::string text = call.parameter(name);
  if (text.empty()) return std::nullopt;
  if (const auto time = core::parse_rfc3339(text)) return time;
  return access::refuse_field(std::string(name), "must be a time such as 2030-01-02T15:04:05Z");
}

ControlResult<bool> switch_parameter(const CloudCall& call, std::string_view name) {
  const std::string text = call.parameter(name);
  if (text.empty() || text == "false") return false;
  if (text == "true") return true;
  return access::refuse_field(std::string(name), "must be true or false");
}

void write_time(core::JsonWriter& json, std::string_view key, TimestampMs time) {
  json.key(key).string(core::format_rfc3339(time));
}

void write_optional_time(core::JsonWriter& json, std::string_view key,
                         const std::optional<TimestampMs>& time) {
  if (time) write_time(json, key, *time);
}

struct RequestRate::Impl {
  struct Window {
    std::int64_t minute = 0;
    std::uint32_t count = 0;
  };

  const Clock& clock;
  const std::uint32_t per_minute;
  core::Mutex mutex;
  std::map<std::string, Window> windows GANTRY_GUARDED_BY(mutex);
};

RequestRate::RequestRate(const Clock& clock, std::uint32_t per_minute)
    : impl_(std::make_unique<Impl>(clock, per_minute)) {}

RequestRate::~RequestRate() = default;

std::int64_t RequestRate::take(const std::string& asker) {
  if (impl_->per_minute == 0) return 0;
  const std::int64_t now_ms = impl_->clock.now().since_epoch;
  const std::int64_t minute = now_ms / kMinuteMs;
  const core::Lock lock(impl_->mutex);
  if (impl_->windows.size() >= kAskersMax)
    std::erase_if(impl_->windows, [&](const auto& entry) { return entry.second.minute != minute; });
  Impl::Window& window = impl_->windows[asker];
  if (window.minute != minute) window = {.minute = minute, .count = 0};
  if (window.count >= impl_->per_minute)
    return std::max<std::int64_t>(1, ((minute + 1) * kMinuteMs - now_ms + 999) / 1000);
  ++window.count;
  return 0;
}

void add_cloud_routes(net::Router& router, const CloudServices& services) {
  add_cloud_policy_routes(router, services);
  add_cloud_token_routes(router, services);
  add_cloud_personal_token_routes(router, services);
  add_cloud_stack_routes(router, services);
  add_cloud_organisation_routes(router, services);
  add_cloud_legacy_key_routes(router, services);
  add_audit_routes(router, services);
}

}  // namespace gantry::api
