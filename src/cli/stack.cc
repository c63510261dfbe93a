// gantry stack …

#include <memory>

#include "cli/administration.h"
#include "cli/control_client_internal.h"
#include <fmt/core.h>

namespace gantry::cli {
namespace {

constexpr std::string_view kStacks = "/api/v1/stacks";

std::string stack_path(std::string_view slug_or_id, std::string_view rest = "") {
  return fmt::format("{}/{}{}", kStacks, encode_component(slug_or_id), rest);
}

struct StackFlags {
  std::string slug;
  std::string name;
  std::string zone;
  std::string description;
  std::vector<std::string> labels;
  std::string settings;
  std::string retention;
  std::string protection;
  std::string metrics_id;
  std::string logs_id;
  std::string traces_id;
};

void add_stack_flags(CLI::App& command, StackFlags& flags) {
  command.add_option("--name", flags.name, "Name for people");
  command.add_option("--description", flags.description, "What it is for");
  command.add_option("--label", flags.labels, "NAME=VALUE; repeatable; replaces all labels")
      ->allow_extra_args(false);
  command.add_option("--retention", flags.retention, "How long samples are kept, such as 30d");
  command
      .add_option("--settings", flags.settings,
                  R"(What differs from the server, as JSON: {"limits":{"activeSeriesMax":100000}})")
      ->type_name("JSON");
  command.add_option("--delete-protection", flags.protection, "on or off")
      ->check(CLI::IsMember({"on", "off"}));
  const auto add_alias = [&](const std::string& flag, std::string& id, const std::string& signal) {
    command.add_option(flag, id, "Another user name for " + signal + ", or none")
        ->type_name("NUMBER");
  };
  add_alias("--metrics-id", flags.metrics_id, "metrics");
  add_alias("--logs-id", flags.logs_id, "logs");
  add_alias("--traces-id", flags.traces_id, "traces");
}

Result<void> fill_body(const StackFlags& flags, Json& body) {
  if (!flags.name.empty()) body["name"] = flags.name;
  if (!flags.description.empty()) body["description"] = flags.description;
  for (const std::string& label : flags.labels) {
    const std::size_t equals = label.find('=');
    if (equals == std::string::npos)
      return fail(Code::InvalidArgument, fmt::format("--label: \"{}\" is not NAME=VALUE", label));
    body["labels"][label.substr(0, equals)] = label.substr(equals + 1);
  }
  if (!flags.settings.empty()) {
    Json settings = Json::parse(flags.settings, nullptr, false);
    if (!settings.is_object())
      return fail(Code::InvalidArgument, "--settings: is not a JSON object");
    body["settings"] = std::move(settings);
  }
  if (!flags.retention.empty()) body["settings"]["retention"] = flags.retention;
  if (!flags.protection.empty()) body["deleteProtection"] = flags.protection == "on";
  const auto fill_alias = [&](const char* key, const std::string& id) {
    if (!id.empty()) body[key] = id == "none" ? Json() : Json(id);
  };
  fill_alias("metricsId", flags.metrics_id);
  fill_alias("logsId", flags.logs_id);
  fill_alias("tracesId", flags.traces_id);
  return {};
}

ControlAct setup_list(CLI::App&) {
  return [](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json answer, client.get(std::string(kStacks), {{"pageSize", "500"}}));
    const Json items = answer.value("items", Json::array());
    print_list(client.options(), items,
               {{"ID", "id"},
                {"SLUG", "slug"},
                {"NAME", "name"},
                {"REGION", "region"},
                {"PROTECTED", "deleteProtection"},
                {"SETTINGS", "settings"}});
    return {};
  };
}

ControlAct setup_get(CLI::App& command, std::string_view rest) {
  const auto stack = std::make_shared<std::string>();
  command.add_option("stack", *stack, "Slug or id")->required()->type_name("STACK");
  return [stack, rest = std::string(rest)](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json answer, client.get(stack_path(*stack, rest)));
    print_object(client.options(), answer);
    return {};
  };
}

ControlAct setup_create(CLI::App& command) {
  const auto flags = std::make_shared<StackFlags>();
  command.add_option("slug", flags->slug, "Slug: a-z, 0-9 and -")->required()->type_name("SLUG");
  command.add_option("--zone", flags->zone, "Zone (region); default the server's");
  add_stack_flags(command, *flags);
  return [flags](ControlClient& client) -> Result<void> {
    Json body = {{"slug", flags->slug}, {"name", flags->slug}};
    if (!flags->zone.empty()) body["region"] = flags->zone;
    GANTRY_CHECK(fill_body(*flags, body));
    GANTRY_TRY(const Json answer, client.post(std::string(kStacks), body));
    print_object(client.options(), answer);
    return {};
  };
}

ControlAct setup_update(CLI::App& command) {
  const auto flags = std::make_shared<StackFlags>();
  command.add_option("stack", flags->slug, "Slug or id")->required()->type_name("STACK");
  add_stack_flags(command, *flags);
  return [flags](ControlClient& client) -> Result<void> {
    Json body = Json::object();
    GANTRY_CHECK(fill_body(*flags, body));
    if (body.empty()) return fail(Code::InvalidArgument, "nothing to change: see --help");
    GANTRY_TRY(const Json answer, client.post(stack_path(flags->slug), body));
    print_object(client.options(), answer);
    return {};
  };
}

ControlAct setup_delete(CLI::App& command) {
  const auto stack = std::make_shared<std::string>();
  command.add_option("stack", *stack, "Slug or id")->required()->type_name("STACK");
  return [stack](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json before, client.get(stack_path(*stack)));
    GANTRY_TRY(const Json nothing, client.remove(stack_path(*stack)));
    print_object(client.options(), {{"id", member_text(before, "id")}, {"status", "deleted"}});
    return {};
  };
}

}  // namespace

void add_stack_commands(CLI::App& app, int& status) {
  CLI::App* const family = app.add_subcommand("stack", "Stacks: one tenant each");
  family->require_subcommand(1);
  add_control_command(*family, "list", "List stacks", status, setup_list);
  add_control_command(*family, "get", "Show one", status,
                      [](CLI::App& command) { return setup_get(command, ""); });
  add_control_command(*family, "connections", "Show where to send and to query", status,
                      [](CLI::App& command) { return setup_get(command, "/connections"); });
  add_control_command(*family, "create", "Make one; it takes data at once", status, setup_create);
  add_control_command(*family, "update", "Change what is named, leave the rest", status,
                      setup_update);
  add_control_command(*family, "delete", "Stop serving it and move its data aside", status,
                      setup_delete);
}

}  // namespace gantry::cli
