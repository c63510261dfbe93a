// Commands and flags of the program. The work is in the files named after the commands.

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "cli/administration.h"
#include "cli/backup.h"
#include "cli/check_config.h"
#include "cli/config_flags.h"
#include "cli/copy_state.h"
#include "cli/gateway_secrets.h"
#include "cli/keyring.h"
#include "cli/prices.h"
#include "cli/query.h"
#include "cli/serve.h"
#include "cli/traces.h"
#include "cli/version.h"
#include <CLI/CLI.hpp>

namespace gantry::cli {
namespace {

constexpr int kUsageError = 2;

/// A flag that stands for one setting.
void add_shortcut(CLI::App& command, ConfigFlags& flags, const std::string& flag,
                  const std::string& key, const std::string& help) {
  command
      .add_option_function<std::string>(
          flag,
          [&flags, flag, key](const std::string& value) {
            flags.shortcuts.push_back({.flag = flag, .key = key, .value = value});
          },
          help + " (setting " + key + ")")
      ->type_name("TEXT");
}

/// Where the data is.
void add_data_flags(CLI::App& command, ConfigFlags& flags) {
  add_shortcut(command, flags, "--data", "data", "Data directory");
  command.add_option("--config", flags.config, "YAML file with settings: docs/configuration.md")
      ->type_name("FILE");
}

void add_config_flags(CLI::App& command, ConfigFlags& flags) {
  add_data_flags(command, flags);
  add_shortcut(command, flags, "--listen", "server.listen", "ADDR:PORT of the HTTP APIs");
  add_shortcut(command, flags, "--otlp-http", "otlp.http_listen", "ADDR:PORT for OTLP over HTTP");
  add_shortcut(command, flags, "--otlp-grpc", "otlp.grpc_listen", "ADDR:PORT for OTLP over gRPC");
  command.add_option("--set", flags.assignments, "Any other setting; may be given several times")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

void add_query_flags(CLI::App& command, QueryOptions& options) {
  command.add_option("expression", options.expression, "PromQL")->required()->type_name("EXPR");
  command.add_option("--url", options.url, "Base URL of the API")
      ->envname("GANTRY_URL")
      ->capture_default_str();
  command.add_option("--user", options.user, "Instance id, for Basic credentials");
  command.add_option("--token", options.token, "Token with metrics:read")->envname("GANTRY_TOKEN");
  command.add_option("--time", options.time, "Instant: Unix seconds or RFC 3339; default now");
  command.add_option("--start", options.start, "Begin of a range: Unix seconds or RFC 3339");
  command.add_option("--end", options.end, "End of a range; default now");
  command.add_option("--since", options.since, "Length of a range that ends at --end, such as 1h");
  command.add_option("--step", options.step,
                     "Step of a range, such as 15s; default a hundredth of it");
  command.add_option("--ca-file", options.ca_file, "PEM file with the authorities to trust");
  static const std::map<std::string, QueryOutput> kOutputs = {{"table", QueryOutput::Table},
                                                              {"json", QueryOutput::Json}};
  command.add_option("--output", options.output, "table or json")
      ->transform(CLI::CheckedTransformer(kOutputs, CLI::ignore_case))
      ->type_name("FORMAT");
}

void add_trace_connection_flags(CLI::App& command, TraceConnection& connection) {
  command.add_option("--url", connection.url, "Base URL of the API")
      ->envname("GANTRY_URL")
      ->capture_default_str();
  command.add_option("--user", connection.user, "Instance id, for Basic credentials");
  command.add_option("--token", connection.token, "Token with traces:read")
      ->envname("GANTRY_TOKEN");
  command.add_option("--ca-file", connection.ca_file, "PEM file with the authorities to trust");
  command.add_flag("--json", connection.json, "Print the server's answer as it is");
}

void add_search_flags(CLI::App& command, SearchOptions& options) {
  command.add_option("query", options.query, "TraceQL")->required()->type_name("QUERY");
  add_trace_connection_flags(command, options.connection);
  command.add_option("--start", options.start, "Begin: Unix seconds or RFC 3339");
  command.add_option("--end", options.end, "End; default now");
  command.add_option("--since", options.since, "Length of a range that ends at --end, such as 1h");
  command.add_option("--limit", options.limit, "Traces at most")->capture_default_str();
}

/// `gantry gateway-secrets …` and `gantry prices …`, which run while the command line is parsed.
void add_gateway_commands(CLI::App& app, ConfigFlags& flags, int& status) {
  CLI::App* const secrets = app.add_subcommand(
      "gateway-secrets", "Keys of model providers, sealed in the state database");
  secrets->require_subcommand(1);
  const auto name = std::make_shared<std::string>();
  const auto add = [&](const std::string& command_name, const std::string& help) {
    CLI::App* const command = secrets->add_subcommand(command_name, help);
    add_data_flags(*command, flags);
    return command;
  };
  const auto add_named = [&](const std::string& command_name, const std::string& help,
                             int (*act)(const ConfigFlags&, const std::string&)) {
    CLI::App* const command = add(command_name, help);
    command->add_option("name", *name, "Behind \"sealed:\" in the configuration")
        ->required()
        ->type_name("NAME");
    command->callback([&flags, &status, name, act] { status = act(flags, *name); });
  };
  add_named("set", "Seal what standard input says", set_gateway_secret);
  add("list", "Names, and how the secrets end")->callback([&flags, &status] {
    status = list_gateway_secrets(flags);
  });
  add_named("delete", "Forget one", delete_gateway_secret);

  CLI::App* const prices = app.add_subcommand("prices", "What models cost");
  prices->require_subcommand(1);
  CLI::App* const check = prices->add_subcommand("check", "Show how old the prices are");
  add_data_flags(*check, flags);
  const auto age_max = std::make_shared<std::string>("90d");
  check->add_option("--max-age", *age_max, "Fail when they are older")->capture_default_str();
  check->callback([&flags, &status, age_max] { status = check_prices(flags, *age_max); });
}

int run(int argc, char** argv) {
  CLI::App app("Gantry: a self-hosted hub for metrics, traces and logs", "gantry");
  app.require_subcommand(1);

  ConfigFlags flags;
  bool only_checks = false;
  CLI::App* const serve_command = app.add_subcommand("serve", "Run the server");
  add_config_flags(*serve_command, flags);
  serve_command->add_flag("--config.check", only_checks,
                          "Check and print the configuration, then exit");
  CLI::App* const check_command =
      app.add_subcommand("check-config", "Check the configuration and print the effective one");
  add_config_flags(*check_command, flags);
  const CLI::App* const version_command = app.add_subcommand("version", "Print the version");
  SearchOptions search_options;
  CLI::App* const search_command = app.add_subcommand("search", "Search a server's traces");
  add_search_flags(*search_command, search_options);
  TraceOptions trace_options;
  CLI::App* const trace_command = app.add_subcommand("trace", "Print a trace as a tree of spans");
  trace_command->add_option("id", trace_options.id, "Trace id, hexadecimal")
      ->required()
      ->type_name("ID");
  add_trace_connection_flags(*trace_command, trace_options.connection);
  QueryOptions query_options;
  CLI::App* const query_command =
      app.add_subcommand("query", "Run a PromQL query against a server");
  add_query_flags(*query_command, query_options);
  std::string backup_output;
  CLI::App* const backup_command = app.add_subcommand(
      "backup", "Copy organisations, tokens and users, beside the running server");
  add_data_flags(*backup_command, flags);
  backup_command->add_option("--output", backup_output, "A new file, or a directory")
      ->required()
      ->type_name("PATH");
  std::string copy_target;
  CLI::App* const state_command =
      app.add_subcommand("state", "Where organisations, tokens and users are kept");
  state_command->require_subcommand(1);
  CLI::App* const copy_command = state_command->add_subcommand(
      "copy", "Copy them from SQLite to an empty PostgreSQL database; the server must be stopped");
  add_data_flags(*copy_command, flags);
  copy_command
      ->add_option("--to", copy_target,
                   "postgres://…; default the setting state.url, which no process list shows")
      ->type_name("URL");
  CLI::App* const keyring_command =
      app.add_subcommand("keyring", "The keys that seal secrets in the database");
  keyring_command->require_subcommand(1);
  const auto add_keyring_command = [&](const std::string& name, const std::string& help) {
    CLI::App* const command = keyring_command->add_subcommand(name, help);
    add_data_flags(*command, flags);
    return static_cast<const CLI::App*>(command);
  };
  const CLI::App* const init_command =
      add_keyring_command("init", "Make DIR/keyring.json, which replicas share");
  const CLI::App* const rotate_command =
      add_keyring_command("rotate", "Add a fresh active key to DIR/keyring.json");
  const CLI::App* const rewrap_command = add_keyring_command(
      "rewrap", "Seal everything with the active key again; interrupted, it goes on when repeated");
  int status = EXIT_SUCCESS;
  add_org_commands(app, status);
  add_stack_commands(app, status);
  add_policy_commands(app, status);
  add_token_commands(app, status);
  add_gateway_key_commands(app, status);
  add_gateway_commands(app, flags, status);
  add_user_commands(app, status);
  add_destination_commands(app, status);
  add_pipeline_commands(app, status);
  add_audit_command(app, status);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : kUsageError;
  }
  if (*version_command) return print_version();
  if (*backup_command) return backup(flags, backup_output);
  if (*copy_command) return copy_state(flags, copy_target);
  if (*init_command) return init_keyring(flags);
  if (*rotate_command) return rotate_keyring(flags);
  if (*rewrap_command) return rewrap_secrets(flags);
  if (*query_command) return query(query_options);
  if (*search_command) return search(search_options);
  if (*trace_command) return trace(trace_options);
  if (*check_command || only_checks) return check_config(flags);
  if (*serve_command) return serve(flags);
  return status;
}

}  // namespace
}  // namespace gantry::cli

int main(int argc, char** argv) {
  return gantry::cli::run(argc, argv);
}
