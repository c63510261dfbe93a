// gantry gateway-keys …

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/administration.h"
#include "cli/control_client_internal.h"
#include "cli/named_resource_internal.h"
#include <fmt/core.h>

namespace gantry::cli {
namespace {

constexpr std::string_view kNone = "none";
constexpr std::size_t kHashCharacters = 64;

constexpr NamedResource kKeys{.path = "/api/v1/keys",
                              .noun = "gateway key",
                              .plural = "keys",
                              .id_member = "hash",
                              .is_id = [](std::string_view text) {
                                return text.size() == kHashCharacters &&
                                       text.find_first_not_of("0123456789abcdef") ==
                                           std::string_view::npos;
                              }};

Query with_disabled() {
  return {{"include_disabled", "true"}};
}

void add_key_choice(CLI::App& command, Choice& choice) {
  add_choice(command, choice, "key", "Hash or name");
}

Result<std::string> find_hash(ControlClient& client, const Choice& choice) {
  return find_id(client, kKeys, choice, with_disabled());
}

/// What a key may do. "": not given.
struct LimitFlags {
  std::string limit;
  std::string limit_reset;
  std::string rpm;
  std::string tpm;
  std::string max_concurrent;
  std::string expires;
  std::vector<std::string> models;
};

void add_limit_flags(CLI::App& command, LimitFlags& flags) {
  command.add_option("--limit", flags.limit, "USD that it may spend, or none");
  command.add_option("--limit-reset", flags.limit_reset,
                     "When that begins anew: daily, weekly, monthly or none");
  command.add_option("--rpm", flags.rpm, "Requests per minute, or none");
  command.add_option("--tpm", flags.tpm, "Tokens per minute, or none");
  command.add_option("--max-concurrent", flags.max_concurrent, "Calls at once, or none");
  command.add_option("--expires", flags.expires, "90d, 2030-01-02T15:04:05Z, or none");
  command
      .add_option("--model", flags.models, "Only this model, by id; repeatable; none: every model")
      ->allow_extra_args(false);
}

Result<void> add_number(Json& body, std::string_view flag, std::string_view member,
                        const std::string& text) {
  if (text.empty()) return {};
  const Json value = text == kNone ? Json() : Json::parse(text, nullptr, false);
  if (!value.is_null() && !value.is_number())
    return fail(Code::InvalidArgument, fmt::format("{}: \"{}\" is not a number", flag, text));
  body[std::string(member)] = value;
  return {};
}

Result<void> add_limits(const LimitFlags& flags, Json& body) {
  GANTRY_CHECK(add_number(body, "--limit", "limit", flags.limit));
  GANTRY_CHECK(add_number(body, "--rpm", "rpm", flags.rpm));
  GANTRY_CHECK(add_number(body, "--tpm", "tpm", flags.tpm));
  GANTRY_CHECK(add_number(body, "--max-concurrent", "max_concurrent", flags.max_concurrent));
  if (!flags.limit_reset.empty())
    body["limit_reset"] = flags.limit_reset == kNone ? Json() : Json(flags.limit_reset);
  if (flags.expires == kNone) {
    body["expires_at"] = nullptr;
  } else if (!flags.expires.empty()) {
    GANTRY_TRY(body["expires_at"], parse_expiry(flags.expires, SystemClock().now()));
  }
  if (flags.models.size() == 1 && flags.models.front() == kNone)
    body["allowed_models"] = Json::array();
  else if (!flags.models.empty())
    body["allowed_models"] = flags.models;
  return {};
}

ControlAct setup_create(CLI::App& command) {
  struct Flags {
    std::string name;
    std::string stack;
    LimitFlags limits;
  };

  const auto flags = std::make_shared<Flags>();
  command.add_option("name", flags->name, "Name for people: say who will use it")
      ->required()
      ->type_name("NAME");
  command.add_option("--stack", flags->stack,
                     "Whose calls they are, by slug or id; default the only one");
  add_limit_flags(command, flags->limits);
  return [flags](ControlClient& client) -> Result<void> {
    Json body = {{"name", flags->name}};
    if (!flags->stack.empty()) body["workspace_id"] = flags->stack;
    GANTRY_CHECK(add_limits(flags->limits, body));
    GANTRY_TRY(const Json answer, client.post(std::string(kKeys.path), body));
    Json shown = answer.value("data", Json::object());
    shown["key"] = member_text(answer, "key");
    print_object(client.options(), shown);
    if (!client.options().json)
      fmt::print("\nThe key is shown this once; it cannot be read again.\n");
    return {};
  };
}

ControlAct setup_list(CLI::App& command) {
  struct Flags {
    std::string stack;
    bool includes_disabled = false;
  };

  const auto flags = std::make_shared<Flags>();
  command.add_option("--stack", flags->stack, "Of this stack, by slug or id; default the only one");
  command.add_flag("--disabled", flags->includes_disabled, "Disabled ones too");
  return [flags](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json items, list_all(client, kKeys, flags->stack,
                                          flags->includes_disabled ? with_disabled() : Query{}));
    print_list(client.options(), items,
               {{"KEY", "label"},
                {"NAME", "name"},
                {"LIMIT", "limit"},
                {"RESET", "limit_reset"},
                {"REMAINING", "limit_remaining"},
                {"USAGE", "usage"},
                {"DISABLED", "disabled"},
                {"EXPIRES", "expires_at"},
                {"HASH", "hash"}});
    return {};
  };
}

ControlAct setup_get(CLI::App& command) {
  const auto choice = std::make_shared<Choice>();
  add_key_choice(command, *choice);
  return [choice](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const std::string hash, find_hash(client, *choice));
    GANTRY_TRY(const Json answer, client.get(path_of(kKeys, hash)));
    print_data(client.options(), answer);
    return {};
  };
}

ControlAct setup_update(CLI::App& command) {
  struct Flags {
    Choice choice;
    std::string name;
    bool enables = false;
    bool disables = false;
    LimitFlags limits;
  };

  const auto flags = std::make_shared<Flags>();
  add_key_choice(command, flags->choice);
  command.add_option("--name", flags->name, "New name");
  CLI::Option* const enable = command.add_flag("--enable", flags->enables, "Let it in again");
  command.add_flag("--disable", flags->disables, "Refuse its calls from now on")->excludes(enable);
  add_limit_flags(command, flags->limits);
  return [flags](ControlClient& client) -> Result<void> {
    Json body = Json::object();
    if (!flags->name.empty()) body["name"] = flags->name;
    if (flags->enables || flags->disables) body["disabled"] = flags->disables;
    GANTRY_CHECK(add_limits(flags->limits, body));
    if (body.empty()) return fail(Code::InvalidArgument, "say what is to change: see --help");
    GANTRY_TRY(const std::string hash, find_hash(client, flags->choice));
    GANTRY_TRY(const Json answer, client.patch(path_of(kKeys, hash), body));
    print_data(client.options(), answer);
    return {};
  };
}

ControlAct setup_delete(CLI::App& command) {
  const auto choice = std::make_shared<Choice>();
  add_key_choice(command, *choice);
  return [choice](ControlClient& client) -> Result<void> {
    return remove_chosen(client, kKeys, *choice, with_disabled());
  };
}

}  // namespace

void add_gateway_key_commands(CLI::App& app, int& status) {
  CLI::App* const family =
      app.add_subcommand("gateway-keys", "Keys with which programs call models");
  family->require_subcommand(1);
  add_control_command(*family, "list", "List keys, and what they have spent", status, setup_list);
  add_control_command(*family, "create", "Make a key and print it, this once", status,
                      setup_create);
  add_control_command(*family, "get", "Show one", status, setup_get);
  add_control_command(*family, "update", "Change its limits, its name, or whether it works", status,
                      setup_update);
  add_control_command(*family, "delete", "End it for good, with what was counted for it", status,
                      setup_delete);
}

}  // namespace gantry::cli
