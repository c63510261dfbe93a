// gantry user …

#include <memory>

#include "cli/administration.h"
#include "cli/control_client_internal.h"
#include <fmt/core.h>

namespace gantry::cli {
namespace {

constexpr std::string_view kUsers = "/api/admin/users";
constexpr std::size_t kUuidCharacters = 36;

std::string user_path(std::string_view id, std::string_view act = "") {
  return fmt::format("{}/{}{}", kUsers, encode_component(id), act);
}

/// The id of the person with this id or login. Errors: NotFound.
Result<std::string> find_user_id(ControlClient& client, const std::string& id_or_login) {
  if (id_or_login.size() == kUuidCharacters && id_or_login[8] == '-') return id_or_login;
  GANTRY_TRY(const Json user, client.get("/api/users/lookup", {{"loginOrEmail", id_or_login}}));
  return member_text(user, "id");
}

ControlAct setup_list(CLI::App& command) {
  const auto text = std::make_shared<std::string>();
  command.add_option("--query", *text, "Only those with this text in login, name or e-mail");
  return [text](ControlClient& client) -> Result<void> {
    Query query;
    if (!text->empty()) query.emplace_back("query", *text);
    GANTRY_TRY(const Json users, client.get(std::string(kUsers), query));
    print_list(client.options(), users,
               {{"ID", "id"},
                {"LOGIN", "login"},
                {"NAME", "name"},
                {"SUPER-ADMIN", "isGrafanaAdmin"},
                {"DISABLED", "isDisabled"},
                {"LAST SEEN", "lastSeenAt"}});
    return {};
  };
}

/// Commands that take a person.
ControlAct setup_for_user(CLI::App& command,
                          std::function<Result<Json>(ControlClient&, const std::string&)> act) {
  const auto user = std::make_shared<std::string>();
  command.add_option("user", *user, "Id or login")->required()->type_name("USER");
  return [user, act = std::move(act)](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const std::string id, find_user_id(client, *user));
    GANTRY_TRY(const Json answer, act(client, id));
    print_object(client.options(), answer);
    return {};
  };
}

ControlAct setup_act(CLI::App& command, std::string_view act) {
  return setup_for_user(command,
                        [act = std::string(act)](ControlClient& client, const std::string& id) {
                          return client.post(user_path(id, act), Json::object());
                        });
}

ControlAct setup_create(CLI::App& command) {
  struct Flags {
    std::string login;
    std::string name;
    std::string email;
    std::string role = "Viewer";
    std::string org;
    bool is_super_admin = false;
  };

  const auto flags = std::make_shared<Flags>();
  command.add_option("login", flags->login, "What the person signs in with")
      ->required()
      ->type_name("LOGIN");
  command.add_option("--name", flags->name, "Name");
  command.add_option("--email", flags->email, "E-mail address");
  command.add_option("--role", flags->role, "Viewer, Editor or Admin")
      ->check(CLI::IsMember({"Viewer", "Editor", "Admin"}, CLI::ignore_case))
      ->capture_default_str();
  command.add_option("--member-of", flags->org, "Organisation, by id or slug; default the token's");
  command.add_flag("--super-admin", flags->is_super_admin, "May administer the installation");
  return [flags](ControlClient& client) -> Result<void> {
    Json body = {{"login", flags->login}, {"role", flags->role}};
    if (!flags->name.empty()) body["name"] = flags->name;
    if (!flags->email.empty()) body["email"] = flags->email;
    if (!flags->org.empty()) body["orgId"] = flags->org;
    if (flags->is_super_admin) body["isGrafanaAdmin"] = true;
    GANTRY_TRY(const Json user, client.post(std::string(kUsers), body));
    print_object(client.options(), user);
    if (!client.options().json)
      fmt::print("\nHand the link over: the person chooses a password there.\n");
    return {};
  };
}

Result<Json> remove(ControlClient& client, const std::string& id) {
  GANTRY_TRY(const Json answer, client.remove(user_path(id)));
  return Json{{"id", id}, {"status", "deleted"}};
}

}  // namespace

void add_user_commands(CLI::App& app, int& status) {
  CLI::App* const family = app.add_subcommand("user", "People who sign in");
  family->require_subcommand(1);
  add_control_command(*family, "list", "List people", status, setup_list);
  add_control_command(*family, "create", "Add a person; prints a link to choose a password", status,
                      setup_create);
  add_control_command(
      *family, "get", "Show one, with organisations and roles", status, [](CLI::App& command) {
        return setup_for_user(command, [](ControlClient& client, const std::string& id) {
          return client.get(user_path(id));
        });
      });
  add_control_command(*family, "disable", "Refuse sign-in and end sessions", status,
                      [](CLI::App& command) { return setup_act(command, "/disable"); });
  add_control_command(*family, "enable", "Allow sign-in again", status,
                      [](CLI::App& command) { return setup_act(command, "/enable"); });
  add_control_command(*family, "password-link", "Make a link to choose a new password", status,
                      [](CLI::App& command) { return setup_act(command, "/password-link"); });
  add_control_command(*family, "logout", "End all sessions", status,
                      [](CLI::App& command) { return setup_act(command, "/logout"); });
  add_control_command(*family, "delete", "Remove the person", status,
                      [](CLI::App& command) { return setup_for_user(command, remove); });
}

}  // namespace gantry::cli
