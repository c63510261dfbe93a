// gantry policy …

#include <memory>

#include "cli/administration.h"
#include "cli/control_client_internal.h"
#include "cli/policy_lookup_internal.h"
#include <fmt/core.h>

namespace gantry::cli {
namespace {

constexpr std::string_view kPolicies = "/api/v1/accesspolicies";
constexpr std::size_t kUuidCharacters = 36;

std::string policy_path(std::string_view id) {
  return fmt::format("{}/{}", kPolicies, encode_component(id));
}

/// What create and update share.
struct PolicyFlags {
  std::string display_name;
  std::vector<std::string> scopes;
  std::vector<std::string> realms;
  std::vector<std::string> label_policies;
  std::vector<std::string> subnets;
  bool from_anywhere = false;
};

void add_policy_flags(CLI::App& command, PolicyFlags& flags) {
  command.add_option("--display-name", flags.display_name, "Name for people");
  command.add_option("--scope", flags.scopes, "metrics:read, …; repeatable, or with commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--realm", flags.realms, "stack:SLUG_OR_ID or org:SLUG_OR_ID; repeatable")
      ->allow_extra_args(false);
  command
      .add_option("--label-policy", flags.label_policies,
                  "Selector such as {team=\"a\"} for every --realm; repeatable, any one suffices")
      ->allow_extra_args(false);
  command.add_option("--subnet", flags.subnets, "Only from here (CIDR); repeatable")
      ->allow_extra_args(false);
}

Result<void> fill_body(const PolicyFlags& flags, Json& body) {
  if (!flags.display_name.empty()) body["displayName"] = flags.display_name;
  if (!flags.scopes.empty()) body["scopes"] = flags.scopes;
  if (flags.realms.empty() && !flags.label_policies.empty())
    return fail(Code::InvalidArgument, "--label-policy needs the --realm that it is for");
  for (const std::string& realm : flags.realms) {
    const std::size_t colon = realm.find(':');
    if (colon == std::string::npos)
      return fail(Code::InvalidArgument,
                  fmt::format("--realm: \"{}\" is not stack:SLUG_OR_ID or org:SLUG_OR_ID", realm));
    Json entry = {{"type", realm.substr(0, colon)}, {"identifier", realm.substr(colon + 1)}};
    for (const std::string& selector : flags.label_policies)
      entry["labelPolicies"].push_back({{"selector", selector}});
    body["realms"].push_back(std::move(entry));
  }
  if (!flags.subnets.empty()) body["conditions"]["allowedSubnets"] = flags.subnets;
  if (flags.from_anywhere) body["conditions"] = Json::object();
  return {};
}

void print_policy(const ControlOptions& options, const Json& policy) {
  print_object(options, policy);
}

ControlAct setup_create(CLI::App& command) {
  struct Flags {
    std::string name;
    PolicyFlags policy;
  };

  const auto flags = std::make_shared<Flags>();
  command.add_option("name", flags->name, "Name: a-z, 0-9 and -")->required()->type_name("NAME");
  add_policy_flags(command, flags->policy);
  command.get_option("--scope")->required();
  command.get_option("--realm")->required();
  return [flags](ControlClient& client) -> Result<void> {
    Json body = {{"name", flags->name}};
    GANTRY_CHECK(fill_body(flags->policy, body));
    GANTRY_TRY(const Query query, client.with_region({}));
    GANTRY_TRY(const Json policy, client.post(std::string(kPolicies), body, query));
    print_policy(client.options(), policy);
    return {};
  };
}

ControlAct setup_update(CLI::App& command) {
  struct Flags {
    std::string policy_id;
    std::string status;
    PolicyFlags policy;
  };

  const auto flags = std::make_shared<Flags>();
  command.add_option("policy", flags->policy_id, "Id or name")->required()->type_name("POLICY");
  add_policy_flags(command, flags->policy);
  command.add_option("--status", flags->status, "active, or inactive to refuse all its tokens")
      ->check(CLI::IsMember({"active", "inactive"}));
  command.add_flag("--from-anywhere", flags->policy.from_anywhere, "Remove all --subnet rules");
  return [flags](ControlClient& client) -> Result<void> {
    Json body = Json::object();
    GANTRY_CHECK(fill_body(flags->policy, body));
    if (!flags->status.empty()) body["status"] = flags->status;
    if (body.empty()) return fail(Code::InvalidArgument, "nothing to change: see --help");
    GANTRY_TRY(const std::string id, find_policy_id(client, flags->policy_id));
    GANTRY_TRY(const Query query, client.with_region({}));
    GANTRY_TRY(const Json policy, client.post(policy_path(id), body, query));
    print_policy(client.options(), policy);
    return {};
  };
}

ControlAct setup_list(CLI::App& command) {
  struct Flags {
    std::string name;
    std::string status;
  };

  const auto flags = std::make_shared<Flags>();
  command.add_option("--name", flags->name, "Only the one with this name");
  command.add_option("--status", flags->status, "active or inactive")
      ->check(CLI::IsMember({"active", "inactive"}));
  return [flags](ControlClient& client) -> Result<void> {
    GANTRY_TRY(Query query, client.with_region({}));
    if (!flags->name.empty()) query.emplace_back("name", flags->name);
    if (!flags->status.empty()) query.emplace_back("status", flags->status);
    GANTRY_TRY(const Json items, client.list(std::string(kPolicies), query));
    print_list(client.options(), items,
               {{"ID", "id"},
                {"NAME", "name"},
                {"STATUS", "status"},
                {"SOURCE", "source"},
                {"REALMS", "realms"},
                {"SCOPES", "scopes"}});
    return {};
  };
}

ControlAct setup_get(CLI::App& command) {
  const auto name = std::make_shared<std::string>();
  command.add_option("policy", *name, "Id or name")->required()->type_name("POLICY");
  return [name](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const std::string id, find_policy_id(client, *name));
    GANTRY_TRY(const Query query, client.with_region({}));
    GANTRY_TRY(const Json policy, client.get(policy_path(id), query));
    print_policy(client.options(), policy);
    return {};
  };
}

ControlAct setup_delete(CLI::App& command) {
  const auto name = std::make_shared<std::string>();
  command.add_option("policy", *name, "Id or name")->required()->type_name("POLICY");
  return [name](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const std::string id, find_policy_id(client, *name));
    GANTRY_TRY(const Query query, client.with_region({}));
    GANTRY_TRY(const Json nothing, client.remove(policy_path(id), query));
    print_object(client.options(), {{"id", id}, {"status", "deleted"}});
    return {};
  };
}

}  // namespace

Result<std::string> find_policy_id(ControlClient& client, const std::string& id_or_name) {
  if (id_or_name.size() == kUuidCharacters && id_or_name[8] == '-') return id_or_name;
  GANTRY_TRY(Query query, client.with_region({}));
  query.emplace_back("name", id_or_name);
  GANTRY_TRY(const Json items, client.list(std::string(kPolicies), query));
  if (items.empty())
    return fail(Code::NotFound, fmt::format("no access policy \"{}\"", id_or_name));
  return member_text(items.front(), "id");
}

void add_policy_commands(CLI::App& app, int& status) {
  CLI::App* const family = app.add_subcommand("policy", "Access policies: scopes and realms");
  family->require_subcommand(1);
  add_control_command(*family, "create", "Make an access policy", status, setup_create);
  add_control_command(*family, "list", "List access policies", status, setup_list);
  add_control_command(*family, "get", "Show one", status, setup_get);
  add_control_command(*family, "update", "Change what is named, leave the rest", status,
                      setup_update);
  add_control_command(*family, "delete", "Delete it and revoke all its tokens", status,
                      setup_delete);
}

}  // namespace gantry::cli
