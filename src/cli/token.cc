// gantry token …

#include <memory>

#include "cli/administration.h"
#include "cli/control_client_internal.h"
#include "cli/policy_lookup_internal.h"
#include <fmt/core.h>

namespace gantry::cli {
namespace {

constexpr std::string_view kTokens = "/api/v1/tokens";

std::string token_path(std::string_view id, std::string_view act = "") {
  return fmt::format("{}/{}{}", kTokens, encode_component(id), act);
}

/// The object; the token itself is easy to miss among its properties.
void print_issued(const ControlOptions& options, const Json& token) {
  print_object(options, token);
  if (!options.json) fmt::print("\nThe token is shown this once; it cannot be read again.\n");
}

struct CreateFlags {
  bool is_bearer = false;
  std::string stack;
  std::string policy;
  std::string name;
  std::string display_name;
  std::string expires;
  bool reads_traces = false;
  std::vector<std::string> subnets;
  std::vector<std::string> label_policies;
};

Result<Json> create_body(ControlClient& client, const CreateFlags& flags) {
  Json body = {{"name", flags.name}};
  if (!flags.display_name.empty()) body["displayName"] = flags.display_name;
  if (!flags.expires.empty()) {
    GANTRY_TRY(body["expiresAt"], parse_expiry(flags.expires, SystemClock().now()));
  }
  if (flags.is_bearer) {
    if (flags.stack.empty() || !flags.policy.empty())
      return fail(Code::InvalidArgument, "--bearer needs --stack, and takes no --policy");
    body["kind"] = "cqm";
    body["stack"] = flags.stack;
    if (flags.reads_traces) body["traces"] = true;
    if (!flags.subnets.empty()) body["allowedSubnets"] = flags.subnets;
    if (!flags.label_policies.empty()) body["labelPolicies"] = flags.label_policies;
    return body;
  }
  const bool has_bearer_flags = !flags.stack.empty() || flags.reads_traces ||
                                !flags.subnets.empty() || !flags.label_policies.empty();
  if (flags.policy.empty() || has_bearer_flags)
    return fail(Code::InvalidArgument,
                "give --policy, or --bearer with --stack (--traces, --subnet and --label-policy "
                "are for --bearer: elsewhere the policy says it)");
  GANTRY_TRY(body["accessPolicyId"], find_policy_id(client, flags.policy));
  return body;
}

ControlAct setup_create(CLI::App& command) {
  const auto flags = std::make_shared<CreateFlags>();
  command.add_flag("--bearer", flags->is_bearer,
                   "A cqm_ token that reads one stack through /metrics-api-bearer/ and, with "
                   "--traces, /traces-api-bearer/");
  command.add_option("--stack", flags->stack, "With --bearer: the stack, by id or slug");
  command.add_option("--policy", flags->policy, "Access policy, by id or name");
  command.add_option("--name", flags->name, "Name: a-z, 0-9 and -; say who will use it")
      ->required();
  command.add_option("--display-name", flags->display_name, "Name for people");
  command.add_option("--expires", flags->expires, "90d, or 2030-01-02T15:04:05Z; default never");
  command.add_flag("--traces", flags->reads_traces, "With --bearer: traces too");
  command
      .add_option("--subnet", flags->subnets, "With --bearer: only from here (CIDR); repeatable")
      ->allow_extra_args(false);
  command
      .add_option(
          "--label-policy", flags->label_policies,
          "With --bearer: only series and spans of this selector; repeatable, any one suffices")
      ->allow_extra_args(false);
  return [flags](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json body, create_body(client, *flags));
    GANTRY_TRY(const Query query, client.with_region({}));
    GANTRY_TRY(const Json token, client.post(std::string(kTokens), body, query));
    print_issued(client.options(), token);
    return {};
  };
}

struct ListFlags {
  std::string policy;
  std::string name;
  bool includes_expired = false;
  bool includes_revoked = false;
};

ControlAct setup_list(CLI::App& command) {
  const auto flags = std::make_shared<ListFlags>();
  command.add_option("--policy", flags->policy, "Only of this access policy, by id or name");
  command.add_option("--name", flags->name, "Only the one with this name");
  command.add_flag("--expired", flags->includes_expired, "Expired ones too");
  command.add_flag("--revoked", flags->includes_revoked, "Revoked ones too");
  return [flags](ControlClient& client) -> Result<void> {
    GANTRY_TRY(Query query, client.with_region({}));
    if (!flags->policy.empty()) {
      GANTRY_TRY(std::string id, find_policy_id(client, flags->policy));
      query.emplace_back("accessPolicyId", std::move(id));
    }
    if (!flags->name.empty()) query.emplace_back("name", flags->name);
    if (flags->includes_expired) query.emplace_back("includeExpired", "true");
    if (flags->includes_revoked) query.emplace_back("includeRevoked", "true");
    GANTRY_TRY(const Json items, client.list(std::string(kTokens), query));
    print_list(client.options(), items,
               {{"ID", "id"},
                {"NAME", "name"},
                {"KIND", "kind"},
                {"TOKEN", "hint"},
                {"STATUS", "status"},
                {"EXPIRES", "expiresAt"},
                {"LAST USED", "lastUsedAt"},
                {"FROM", "lastUsedFrom"}});
    return {};
  };
}

/// Commands that take an id and print the token.
ControlAct setup_by_id(CLI::App& command,
                       std::function<Result<Json>(ControlClient&, const std::string&)> act) {
  const auto id = std::make_shared<std::string>();
  command.add_option("id", *id, "Id of the token")->required()->type_name("ID");
  return [id, act = std::move(act)](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json token, act(client, *id));
    print_object(client.options(), token);
    return {};
  };
}

Result<Json> set_expiry(ControlClient& client, const std::string& id, const Json& expires_at) {
  GANTRY_TRY(const Query query, client.with_region({}));
  return client.post(token_path(id), {{"expiresAt", expires_at}}, query);
}

ControlAct setup_rotate(CLI::App& command) {
  struct Flags {
    std::string id;
    std::string overlap;
    std::string expires;
  };

  const auto flags = std::make_shared<Flags>();
  command.add_option("id", flags->id, "Id of the token")->required()->type_name("ID");
  command.add_option("--overlap", flags->overlap, "How long the old one works on; default 24h");
  command.add_option("--expires", flags->expires, "Of the new one; default as long as the old");
  return [flags](ControlClient& client) -> Result<void> {
    Json body = Json::object();
    if (!flags->overlap.empty()) body["overlap"] = flags->overlap;
    if (!flags->expires.empty()) {
      GANTRY_TRY(body["expiresAt"], parse_expiry(flags->expires, SystemClock().now()));
    }
    GANTRY_TRY(const Query query, client.with_region({}));
    GANTRY_TRY(const Json token, client.post(token_path(flags->id, "/rotate"), body, query));
    print_issued(client.options(), token);
    return {};
  };
}

/// The organisation's slug or id for a path.
Result<std::string> own_organisation(ControlClient& client) {
  if (!client.options().org.empty()) return client.options().org;
  GANTRY_TRY(const Json organisations, client.list("/api/orgs"));
  return member_text(organisations.empty() ? Json() : organisations.front(), "id");
}

ControlAct setup_import(CLI::App& command) {
  struct Flags {
    std::string name;
    std::string role;
    std::string sha256;
  };

  const auto flags = std::make_shared<Flags>();
  command.add_option("--name", flags->name, "Name: a-z, 0-9 and -")->required();
  command
      .add_option("--role", flags->role,
                  "Viewer, Editor, Admin, MetricsPublisher or "
                  "PluginPublisher")
      ->required();
  command
      .add_option("--sha256", flags->sha256,
                  "What `printf %s \"$KEY\" | sha256sum` prints: the key stays where it is")
      ->required()
      ->type_name("HEX");
  return [flags](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const std::string org, own_organisation(client));
    const Json body = {{"name", flags->name}, {"role", flags->role}, {"sha256", flags->sha256}};
    GANTRY_TRY(const Json key,
               client.post(fmt::format("/api/orgs/{}/api-keys", encode_component(org)), body));
    print_object(client.options(), key);
    return {};
  };
}

Result<Json> revoke(ControlClient& client, const std::string& id) {
  GANTRY_TRY(const Query query, client.with_region({}));
  GANTRY_TRY(const Json answer, client.remove(token_path(id), query));
  return Json{{"id", id}, {"status", "revoked"}};
}

}  // namespace

void add_token_commands(CLI::App& app, int& status) {
  CLI::App* const family = app.add_subcommand("token", "Tokens of access policies");
  family->require_subcommand(1);
  add_control_command(*family, "create", "Make a token and print it, this once", status,
                      setup_create);
  add_control_command(*family, "list", "List tokens", status, setup_list);
  add_control_command(*family, "get", "Show one", status, [](CLI::App& command) {
    return setup_by_id(command, [](ControlClient& client, const std::string& id) -> Result<Json> {
      GANTRY_TRY(Query query, client.with_region({}));
      query.emplace_back("includeRevoked", "true");
      return client.get(token_path(id), query);
    });
  });
  add_control_command(*family, "import-key", "Let an API key of another system in, by its SHA-256",
                      status, setup_import);
  add_control_command(*family, "rotate", "Make its successor; both work for a while", status,
                      setup_rotate);
  add_control_command(
      *family, "disable", "Switch it off; can be undone for 7 days", status, [](CLI::App& command) {
        return setup_by_id(
            command, [](ControlClient& client, const std::string& id) -> Result<Json> {
              // The server's clock may be a little behind this one's.
              GANTRY_TRY(const std::string at,
                         parse_expiry("0", SystemClock().now() - DurationMs{60'000}));
              return set_expiry(client, id, at);
            });
      });
  add_control_command(
      *family, "enable", "Switch it on again, without expiry", status, [](CLI::App& command) {
        return setup_by_id(command, [](ControlClient& client, const std::string& id) {
          return set_expiry(client, id, nullptr);
        });
      });
  add_control_command(*family, "revoke", "End it for good", status,
                      [](CLI::App& command) { return setup_by_id(command, revoke); });
  add_control_command(*family, "self", "Show what the token of this command is", status,
                      [](CLI::App&) -> ControlAct {
                        return [](ControlClient& client) -> Result<void> {
                          GANTRY_TRY(const Json self, client.get(token_path("self")));
                          print_object(client.options(), self);
                          return {};
                        };
                      });
}

}  // namespace gantry::cli
