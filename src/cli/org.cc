// gantry org …

#include <memory>

#include "cli/administration.h"
#include "cli/control_client_internal.h"
#include <fmt/core.h>

namespace gantry::cli {
namespace {

std::string org_path(std::string_view slug_or_id) {
  return fmt::format("/api/orgs/{}", encode_component(slug_or_id));
}

ControlAct setup_list(CLI::App&) {
  return [](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json items, client.list("/api/orgs"));
    print_list(client.options(), items,
               {{"ID", "id"}, {"SLUG", "slug"}, {"NAME", "name"}, {"CREATED", "createdAt"}});
    return {};
  };
}

ControlAct setup_get(CLI::App& command) {
  const auto org = std::make_shared<std::string>();
  command.add_option("org", *org, "Slug or id")->required()->type_name("ORG");
  return [org](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json answer, client.get(org_path(*org)));
    print_object(client.options(), answer);
    return {};
  };
}

struct NameFlags {
  std::string org;
  std::string name;
};

ControlAct setup_create(CLI::App& command) {
  const auto flags = std::make_shared<NameFlags>();
  command.add_option("slug", flags->org, "Slug: a-z, 0-9 and -")->required()->type_name("SLUG");
  command.add_option("--name", flags->name, "Name for people; default the slug");
  return [flags](ControlClient& client) -> Result<void> {
    Json body = {{"slug", flags->org}};
    if (!flags->name.empty()) body["name"] = flags->name;
    GANTRY_TRY(const Json answer, client.post("/api/orgs", body));
    print_object(client.options(), answer);
    return {};
  };
}

ControlAct setup_rename(CLI::App& command) {
  const auto flags = std::make_shared<NameFlags>();
  command.add_option("org", flags->org, "Slug or id")->required()->type_name("ORG");
  command.add_option("name", flags->name, "Name for people")->required()->type_name("NAME");
  return [flags](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json answer, client.post(org_path(flags->org), {{"name", flags->name}}));
    print_object(client.options(), answer);
    return {};
  };
}

ControlAct setup_delete(CLI::App& command) {
  const auto org = std::make_shared<std::string>();
  command.add_option("org", *org, "Slug or id")->required()->type_name("ORG");
  return [org](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json before, client.get(org_path(*org)));
    GANTRY_TRY(const Json nothing, client.remove(org_path(*org)));
    print_object(client.options(), {{"id", member_text(before, "id")}, {"status", "deleted"}});
    return {};
  };
}

}  // namespace

void add_org_commands(CLI::App& app, int& status) {
  CLI::App* const family = app.add_subcommand("org", "Organisations");
  family->require_subcommand(1);
  add_control_command(*family, "list", "List organisations", status, setup_list);
  add_control_command(*family, "get", "Show one", status, setup_get);
  add_control_command(*family, "create", "Make one (super-admins)", status, setup_create);
  add_control_command(*family, "rename", "Change its name", status, setup_rename);
  add_control_command(*family, "delete", "Delete one that has no stacks (super-admins)", status,
                      setup_delete);
}

}  // namespace gantry::cli
