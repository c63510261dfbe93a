#include "api/gateway_keys.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access/ceiling.h"
#include "api/cloud_internal.h"
#include "api/management_internal.h"
#include "core/json_writer.h"
#include "gateway/key_listing.h"

namespace gantry::api {
namespace {

using access::FieldProblem;
using access::Scope;
using gateway::GatewayKey;
using gateway::GatewayKeySettings;
using gateway::KeySpend;

constexpr std::size_t kBodyBytesMax = 128 << 10;  // 256 models of 256 bytes, escaped
constexpr std::size_t kPageSize = 100;            // the original's

constexpr std::array<std::string_view, 11> kSettings = {
    "name", "disabled", "limit",          "limit_reset",    "include_byok_in_limit", "expires_at",
    "rpm",  "tpm",      "max_concurrent", "allowed_models", "workspace_id"};

/// Members that are shown and never set: what was read can be sent back.
constexpr std::array<std::string_view, 14> kShown = {"hash",
                                                     "label",
                                                     "limit_remaining",
                                                     "usage",
                                                     "usage_daily",
                                                     "usage_weekly",
                                                     "usage_monthly",
                                                     "byok_usage",
                                                     "byok_usage_daily",
                                                     "byok_usage_weekly",
                                                     "byok_usage_monthly",
                                                     "creator_user_id",
                                                     "created_at",
                                                     "updated_at"};

bool is_member(std::string_view name) {
  return std::ranges::find(kSettings, name) != kSettings.end() ||
         std::ranges::find(kShown, name) != kShown.end();
}

/// The body of a request to make or change a key. What is not given stays as it is.
class KeyBody {
 public:
  /// Errors: InvalidArgument: no JSON object, or a member that no key has. A limit that was
  /// misspelt must not become no limit.
  static ControlResult<KeyBody> parse(std::string_view text) {
    GANTRY_TRY(Json body, parse_cloud_body(text));
    std::vector<FieldProblem> problems;
    for (const auto& [name, value] : body.items())
      if (!is_member(name)) problems.push_back({.path = name, .reason = "is unknown"});
    if (!problems.empty()) return access::refuse_fields(std::move(problems));
    return KeyBody(std::move(body));
  }

  /// Errors: InvalidArgument, which names all that is wrong.
  [[nodiscard]] ControlResult<GatewayKeySettings> apply(GatewayKeySettings settings) const {
    std::vector<FieldProblem> problems;
    BodyReader body(object_, "", problems);
    read_texts(body, settings);
    read_switches(body, settings);
    read_limit(body, settings.limit);
    read_count(body, "rpm", settings.rpm);
    read_count(body, "tpm", settings.tpm);
    read_count(body, "max_concurrent", settings.max_concurrent);
    read_expiry(body, settings.expires_at);
    if (!problems.empty()) return access::refuse_fields(std::move(problems));
    return settings;
  }

  [[nodiscard]] ControlResult<std::optional<std::string>> workspace_id() const {
    std::vector<FieldProblem> problems;
    BodyReader body(object_, "", problems);
    auto id = body.text("workspace_id");
    if (!problems.empty()) return access::refuse_fields(std::move(problems));
    return id;
  }

 private:
  explicit KeyBody(Json object) : object_(std::move(object)) {}

  static void read_texts(BodyReader& body, GatewayKeySettings& settings) {
    if (body.is_null("name")) body.complain("name", "must be a string");
    if (auto name = body.text("name")) settings.name = *std::move(name);
    if (body.is_null("limit_reset")) settings.limit_reset = gateway::LimitReset::Never;
    if (const auto name = body.text("limit_reset")) {
      const auto reset = gateway::parse_limit_reset(*name);
      if (!reset) body.complain("limit_reset", "must be daily, weekly, monthly or null");
      settings.limit_reset = reset.value_or(settings.limit_reset);
    }
    if (body.is_null("allowed_models")) settings.allowed_models.clear();
    if (auto models = body.texts("allowed_models")) settings.allowed_models = *std::move(models);
  }

  static void read_switches(BodyReader& body, GatewayKeySettings& settings) {
    settings.is_disabled = body.boolean("disabled").value_or(settings.is_disabled);
    settings.includes_byok = body.boolean("include_byok_in_limit").value_or(settings.includes_byok);
  }

  void read_limit(BodyReader& body, std::optional<gateway::PicoUsd>& limit) const {
    if (!body.has("limit")) return;
    const Json& value = object_["limit"];
    limit.reset();
    if (value.is_null()) return;
    if (value.is_number()) limit = gateway::round_usd(value.get<double>());
    if (!limit) body.complain("limit", "must be a number of USD from 0 to 1000000, or null");
  }

  /// Its range is the key's own business; what does not fit is as much out of it.
  static void read_count(BodyReader& body, std::string_view name,
                         std::optional<std::int64_t>& count) {
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    if (body.is_null(name)) count.reset();
    if (const auto number = body.number(name))
      count = static_cast<std::int64_t>(std::min(*number, kMax));
  }

  static void read_expiry(BodyReader& body, std::optional<TimestampMs>& expires_at) {
    if (body.is_null("expires_at")) expires_at.reset();
    const auto text = body.text("expires_at");
    if (!text) return;
    const auto time = body.time("expires_at");
    if (!time) return;
    expires_at = time;
    if (!text->ends_with('Z') && !text->ends_with("+00:00"))
      body.complain("expires_at", "must be in UTC, such as 2030-01-02T15:04:05Z");
  }

  Json object_;
};

/// `secret`: only in the answer that creates it.
net::Response key_response(int status, const GatewayKey& key, const KeySpend& spend,
                           std::string_view secret = {}) {
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("data");
  gateway::write_managed_key(json, key, spend);
  if (!secret.empty()) json.key("key").string(secret);
  json.end_object();
  return net::json_response(status, std::move(body));
}

/// The key of the path, of a stack all of whose data is the caller's. Errors: NotFound,
/// PermissionDenied.
ControlResult<GatewayKey> find_own_key(const ManagementCall& call, state::Transaction& tx) {
  GANTRY_TRY(GatewayKey key,
             gateway::find_gateway_key(call.org, tx, call.request.path_parameter("hash")));
  GANTRY_CHECK(access::require_whole_stack(call.who, call.org, key.stack));
  return key;
}

ControlResult<GatewayKey> look_up(const ManagementCall& call) {
  GANTRY_TRY(state::Transaction tx, call.control.db.begin_read());
  return find_own_key(call, tx);
}

ControlResult<net::Response> list(gateway::KeyBudgets& budgets, const ManagementCall& call) {
  constexpr std::size_t kOffsetMax = 1'000'000;
  GANTRY_TRY(const std::size_t offset, number_parameter(call, "offset", 0, 0, kOffsetMax));
  GANTRY_TRY(const bool includes_disabled, bool_parameter(call, "include_disabled", false));
  const auto read_page = [&]() -> ControlResult<std::vector<GatewayKey>> {
    GANTRY_TRY(state::Transaction tx, call.control.db.begin_read());
    GANTRY_TRY(const StackId stack, read_workspace(call, tx, workspace_parameter(call)));
    return gateway::list_gateway_keys(
        call.org, stack, tx,
        {.offset = offset,
         .limit = kPageSize,
         .disabled =
             includes_disabled ? gateway::DisabledKeys::Included : gateway::DisabledKeys::Left});
  };
  GANTRY_TRY(const std::vector<GatewayKey> keys, read_page());
  std::string body;
  core::JsonWriter json(body);
  json.begin_object().key("data").begin_array();
  for (const GatewayKey& key : keys) {
    const auto spend = budgets.spend(key);
    if (!spend && spend.error().code == Code::NotFound) continue;  // deleted since
    GANTRY_CHECK(spend);
    gateway::write_managed_key(json, key, *spend);
  }
  json.end_array().end_object();
  return net::json_response(200, std::move(body));
}

ControlResult<net::Response> create(const ManagementCall& call) {
  GANTRY_TRY(const KeyBody body, KeyBody::parse(call.request.body));
  GANTRY_TRY(const auto workspace_id, body.workspace_id());
  GANTRY_TRY(const GatewayKeySettings settings, body.apply({}));
  if (settings.name.empty()) return access::refuse_field("name", "is required");
  GANTRY_TRY(ControlChange change, ControlChange::begin(call.control, call.who));
  GANTRY_TRY(const StackId stack, read_workspace(call, change.tx(), workspace_id));
  GANTRY_TRY(const gateway::IssuedGatewayKey issued,
             gateway::create_gateway_key(call.org, stack, change, settings));
  GANTRY_CHECK(change.commit());
  return key_response(201, issued.key, KeySpend{}, issued.secret);
}

ControlResult<net::Response> read(gateway::KeyBudgets& budgets, const ManagementCall& call) {
  GANTRY_TRY(const GatewayKey key, look_up(call));
  GANTRY_TRY(const KeySpend spend, budgets.spend(key));
  return key_response(200, key, spend);
}

ControlResult<net::Response> update(gateway::KeyBudgets& budgets, const ManagementCall& call) {
  GANTRY_TRY(const KeyBody body, KeyBody::parse(call.request.body));
  GANTRY_TRY(const auto workspace_id, body.workspace_id());
  // Before the change: afterwards an error would hide that it was made, and within it the budgets'
  // own flush would wait for this transaction.
  GANTRY_TRY(const GatewayKey known, look_up(call));
  GANTRY_TRY(const KeySpend spend, budgets.spend(known));
  GANTRY_TRY(ControlChange change, ControlChange::begin(call.control, call.who));
  GANTRY_TRY(const GatewayKey before, find_own_key(call, change.tx()));
  if (workspace_id) {
    GANTRY_TRY(const StackId stack, read_workspace(call, change.tx(), workspace_id));
    if (stack != before.stack)
      return access::refuse_field("workspace_id", "of a key never changes");
  }
  GANTRY_TRY(const GatewayKeySettings settings, body.apply(before.settings));
  GANTRY_TRY(const GatewayKey after,
             gateway::update_gateway_key(call.org, before.stack, change, before.hash, settings));
  GANTRY_CHECK(change.commit());
  return key_response(200, after, spend);
}

ControlResult<net::Response> remove(const ManagementCall& call) {
  GANTRY_TRY(ControlChange change, ControlChange::begin(call.control, call.who));
  GANTRY_TRY(const GatewayKey key, find_own_key(call, change.tx()));
  GANTRY_CHECK(gateway::delete_gateway_key(call.org, key.stack, change, key.hash));
  GANTRY_CHECK(change.commit());
  return net::json_response(200, R"({"deleted":true})");
}

}  // namespace

void add_gateway_key_routes(net::Router& router, const GatewayKeyServices& services) {
  constexpr std::string_view kList = "/api/v1/keys";
  constexpr std::string_view kOne = "/api/v1/keys/{hash}";
  const auto add = [&](net::Method method, std::string_view pattern, Scope scope,
                       ManagementAct act) {
    add_management_route(
        router, {.gate = services.gate, .control = services.control, .rate = services.rate},
        {.method = method, .pattern = pattern, .scope = scope, .body_bytes_max = kBodyBytesMax},
        std::move(act));
  };
  gateway::KeyBudgets& budgets = services.budgets;
  add(net::Method::Get, kList, Scope::AccessPoliciesRead,
      [&budgets](const ManagementCall& call) { return list(budgets, call); });
  add(net::Method::Post, kList, Scope::AccessPoliciesWrite, create);
  add(net::Method::Get, kOne, Scope::AccessPoliciesRead,
      [&budgets](const ManagementCall& call) { return read(budgets, call); });
  add(net::Method::Patch, kOne, Scope::AccessPoliciesWrite,
      [&budgets](const ManagementCall& call) { return update(budgets, call); });
  add(net::Method::Delete, kOne, Scope::AccessPoliciesDelete, remove);
}

}  // namespace gantry::api
