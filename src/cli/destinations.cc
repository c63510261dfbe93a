// gantry destinations …

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cli/administration.h"
#include "cli/control_client_internal.h"
#include "cli/named_resource_internal.h"
#include <fmt/core.h>
#include <fmt/format.h>

#include "broadcast/destination.h"
#include "core/rfc3339.h"
#include "core/time.h"

namespace gantry::cli {
namespace {

constexpr std::size_t kUuidCharacters = 36;
constexpr std::chrono::milliseconds kReplayPollInterval{500};

constexpr NamedResource kDestinations{.path = "/api/v1/observability/destinations",
                                      .noun = "destination",
                                      .plural = "destinations",
                                      .id_member = "id",
                                      .is_id = [](std::string_view text) {
                                        return text.size() == kUuidCharacters && text[8] == '-';
                                      }};

std::string path_of(std::string_view id, std::string_view rest = "") {
  return path_of(kDestinations, id, rest);
}

/// Pages as long as list_all expects them.
Query whole_pages() {
  return {{"limit", std::to_string(kDestinations.page_size)}};
}

void add_destination_choice(CLI::App& command, Choice& choice) {
  add_choice(command, choice, "destination", "Id or name");
}

Result<std::string> find_destination(ControlClient& client, const Choice& choice) {
  return find_id(client, kDestinations, choice, whole_pages());
}

/// The file's text; "-": standard input. `flag`: for the refusal.
Result<std::string> read_text(std::string_view flag, const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  const std::ifstream file(path, std::ios::binary);
  if (!file) return fail(Code::InvalidArgument, fmt::format("{}: cannot read {}", flag, path));
  return std::string(std::istreambuf_iterator<char>(file.rdbuf()), {});
}

/// Without the line break at its end.
Result<std::string> read_secret(const std::string& path) {
  GANTRY_TRY(std::string text, read_text("--secret-file", path));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

struct AddFlags {
  std::string name;
  std::string type;
  std::string stack;
  std::vector<std::string> config;
  std::vector<std::string> headers;
  std::string secret_file;
  std::vector<std::string> rules;
  double sampling_rate = 1;
  bool is_private = false;
  bool is_disabled = false;
  bool is_untested = false;
};

Result<void> add_pairs(const std::string& flag, const std::vector<std::string>& pairs, Json& to) {
  for (const std::string& pair : pairs) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos)
      return fail(Code::InvalidArgument, fmt::format("{}: \"{}\" is not NAME=VALUE", flag, pair));
    to[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return {};
}

/// The fields of a destination that hold rules; what they may say is the server's to check.
constexpr std::array<std::string_view, 4> kRuleFields = {
    "filter_rules", "attribute_rules", "metric_relabel_configs", "stream_aggregation"};

std::string rule_help() {
  return fmt::format("FIELD=FILE with the JSON of {}; repeatable", fmt::join(kRuleFields, ", "));
}

Result<void> check_rule_field(std::string_view flag, std::string_view field) {
  if (std::ranges::find(kRuleFields, field) != kRuleFields.end()) return {};
  return fail(Code::InvalidArgument, fmt::format("{}: \"{}\" is not one of {}", flag, field,
                                                 fmt::join(kRuleFields, ", ")));
}

/// Each of `pairs` is FIELD=FILE.
Result<void> add_rules(std::string_view flag, const std::vector<std::string>& pairs, Json& to) {
  for (const std::string& pair : pairs) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos)
      return fail(Code::InvalidArgument, fmt::format("{}: \"{}\" is not FIELD=FILE", flag, pair));
    const std::string field = pair.substr(0, equals);
    GANTRY_CHECK(check_rule_field(flag, field));
    GANTRY_TRY(const std::string text, read_text(flag, pair.substr(equals + 1)));
    to[field] = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (to[field].is_discarded())
      return fail(Code::InvalidArgument,
                  fmt::format("{}: {} is not JSON", flag, pair.substr(equals + 1)));
  }
  return {};
}

/// "a,b"
Json split_list(std::string_view text) {
  Json list = Json::array();
  while (true) {
    const std::size_t comma = text.find(',');
    list.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return list;
    text.remove_prefix(comma + 1);
  }
}

Result<Json> add_body(const AddFlags& flags) {
  Json config = Json::object();
  GANTRY_CHECK(add_pairs("--config", flags.config, config));
  if (const std::string names = config.value("signals", ""); !names.empty())
    config["signals"] = split_list(names);
  // A number; all others are texts.
  if (config.value("version", "") == "1" || config.value("version", "") == "2")
    config["version"] = std::stoi(config["version"].get<std::string>());
  if (!flags.headers.empty()) {
    Json headers = Json::object();
    GANTRY_CHECK(add_pairs("--header", flags.headers, headers));
    config["headers"] = std::move(headers);
  }
  if (!flags.secret_file.empty()) {
    const auto type = broadcast::parse_destination_type(flags.type);
    const std::string field(type ? broadcast::config_field_names(*type).secret : "");
    if (field.empty())
      return fail(Code::InvalidArgument,
                  fmt::format("--secret-file: {} has no key or token of its own; use --header",
                              flags.type));
    GANTRY_TRY(config[field], read_secret(flags.secret_file));
  }
  Json body = {{"type", flags.type},
               {"name", flags.name},
               {"config", std::move(config)},
               {"enabled", !flags.is_disabled},
               {"privacy_mode", flags.is_private},
               {"sampling_rate", flags.sampling_rate}};
  if (!flags.stack.empty()) body["workspace_id"] = flags.stack;
  GANTRY_CHECK(add_rules("--rules", flags.rules, body));
  return body;
}

ControlAct setup_add(CLI::App& command) {
  const auto flags = std::make_shared<AddFlags>();
  command.add_option("name", flags->name, "Name for people")->required()->type_name("NAME");
  command
      .add_option("--type", flags->type,
                  "grafana, otel-collector, gantry or webhook; of metrics alone "
                  "prometheus-remote-write or influx")
      ->required();
  command.add_option("--stack", flags->stack, "Whose data, by slug or id; default the only one");
  command
      .add_option("--config", flags->config,
                  "NAME=VALUE of the type's fields, such as instanceId=123456 or "
                  "signals=traces,metrics; repeatable")
      ->allow_extra_args(false);
  command.add_option("--header", flags->headers, "NAME=VALUE, sent with every request; repeatable")
      ->allow_extra_args(false);
  command
      .add_option("--secret-file", flags->secret_file,
                  "File with the API key or token; - is standard input")
      ->type_name("FILE");
  command.add_option("--rules", flags->rules, rule_help())->allow_extra_args(false);
  command.add_option("--sampling-rate", flags->sampling_rate, "Of sessions, 0.0001 to 1")
      ->capture_default_str();
  command.add_flag("--privacy", flags->is_private, "Without prompts and completions");
  command.add_flag("--disabled", flags->is_disabled, "Send nothing yet");
  command.add_flag("--no-test", flags->is_untested, "Save it without testing the connection");
  return [flags](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json body, add_body(*flags));
    Query query;
    if (flags->is_untested) query.emplace_back("verify", "false");
    GANTRY_TRY(const Json answer, client.post(std::string(kDestinations.path), body, query));
    print_data(client.options(), answer);
    return {};
  };
}

ControlAct setup_list(CLI::App& command) {
  const auto stack = std::make_shared<std::string>();
  command.add_option("--stack", *stack, "Of this stack, by slug or id; default the only one");
  return [stack](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json items, list_all(client, kDestinations, *stack, whole_pages()));
    print_list(client.options(), items,
               {{"ID", "id"},
                {"NAME", "name"},
                {"TYPE", "type"},
                {"ENABLED", "enabled"},
                {"PRIVACY", "privacy_mode"},
                {"SAMPLING", "sampling_rate"},
                {"CONFIG", "config"}});
    return {};
  };
}

ControlAct setup_show(CLI::App& command) {
  const auto choice = std::make_shared<Choice>();
  add_destination_choice(command, *choice);
  return [choice](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const std::string id, find_destination(client, *choice));
    GANTRY_TRY(const Json answer, client.get(path_of(id)));
    GANTRY_TRY(const Json health, client.get(path_of(id, "/health")));
    Json shown = answer.value("data", Json::object());
    shown["health"] = health.value("data", Json::object());
    print_object(client.options(), shown);
    return {};
  };
}

ControlAct setup_test(CLI::App& command) {
  const auto choice = std::make_shared<Choice>();
  add_destination_choice(command, *choice);
  return [choice](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const std::string id, find_destination(client, *choice));
    GANTRY_TRY(const Json answer, client.post(path_of(id, "/test"), Json::object()));
    const Json verdict = answer.value("data", Json::object());
    if (!verdict.value("ok", false))
      return fail(Code::Unavailable,
                  verdict.value(Json::json_pointer("/error/message"), std::string("test failed")));
    print_object(client.options(), verdict);
    return {};
  };
}

ControlAct setup_switch(CLI::App& command, bool is_enabled) {
  const auto choice = std::make_shared<Choice>();
  add_destination_choice(command, *choice);
  return [choice, is_enabled](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const std::string id, find_destination(client, *choice));
    GANTRY_TRY(const Json answer, client.patch(path_of(id), {{"enabled", is_enabled}}));
    print_data(client.options(), answer);
    return {};
  };
}

ControlAct setup_rules(CLI::App& command) {
  struct Flags {
    Choice choice;
    std::vector<std::string> files;
    std::vector<std::string> cleared;
  };

  const auto flags = std::make_shared<Flags>();
  add_destination_choice(command, flags->choice);
  command.add_option("--set", flags->files, rule_help())->allow_extra_args(false);
  command.add_option("--clear", flags->cleared, "A field to have no rules; repeatable")
      ->allow_extra_args(false);
  return [flags](ControlClient& client) -> Result<void> {
    Json body = Json::object();
    GANTRY_CHECK(add_rules("--set", flags->files, body));
    for (const std::string& field : flags->cleared) {
      GANTRY_CHECK(check_rule_field("--clear", field));
      body[field] = nullptr;
    }
    if (body.empty()) return fail(Code::InvalidArgument, "give --set or --clear");
    GANTRY_TRY(const std::string id, find_destination(client, flags->choice));
    GANTRY_TRY(const Json answer, client.patch(path_of(id), body));
    print_data(client.options(), answer);
    return {};
  };
}

ControlAct setup_delete(CLI::App& command) {
  const auto choice = std::make_shared<Choice>();
  add_destination_choice(command, *choice);
  return [choice](ControlClient& client) -> Result<void> {
    return remove_chosen(client, kDestinations, *choice, whole_pages());
  };
}

struct LetterFlags {
  Choice choice;
  std::string before;
  int limit = 100;
  bool replays = false;
  bool clears = false;
};

ControlAct setup_letters(CLI::App& command) {
  const auto flags = std::make_shared<LetterFlags>();
  add_destination_choice(command, flags->choice);
  command.add_option("--limit", flags->limit, "At most so many (1000)")->capture_default_str();
  command.add_option("--before", flags->before, "Only those older than this one, by id");
  CLI::Option* const replay =
      command.add_flag("--replay", flags->replays, "Send all of them again");
  command.add_flag("--clear", flags->clears, "Delete all of them")->excludes(replay);
  return [flags](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const std::string id, find_destination(client, flags->choice));
    if (flags->replays) {
      GANTRY_TRY(const Json answer,
                 client.post(path_of(id, "/dead-letters/replay"), Json::object()));
      print_data(client.options(), answer);
      return {};
    }
    if (flags->clears) {
      GANTRY_TRY(const Json answer, client.remove(path_of(id, "/dead-letters")));
      print_data(client.options(), answer);
      return {};
    }
    Query query = {{"limit", std::to_string(flags->limit)}};
    if (!flags->before.empty()) query.emplace_back("before", flags->before);
    GANTRY_TRY(const Json answer, client.get(path_of(id, "/dead-letters"), query));
    print_list(client.options(), answer.value("data", Json::array()),
               {{"ID", "id"},
                {"REFUSED", "refused_at"},
                {"STATUS", "status"},
                {"SPANS", "spans"},
                {"SAMPLES", "samples"},
                {"BYTES", "bytes"},
                {"MESSAGE", "message"}});
    return {};
  };
}

struct ReplayFlags {
  Choice choice;
  std::string start;
  std::string end;
  bool waits = false;
  bool cancels = false;
};

/// Asks until it does not run any more. Errors: it failed, or was cancelled.
Result<Json> wait_for_replay(ControlClient& client, const std::string& path) {
  while (true) {
    GANTRY_TRY(const Json answer, client.get(path));
    Json data = answer.value("data", Json::object());
    const std::string state = member_text(data, "state");
    if (state == "finished") return data;
    if (state != "running") {
      const std::string why = member_text(data, "error");
      return fail(Code::Unavailable,
                  fmt::format("replay {}{}{}", state, why.empty() ? "" : ": ", why));
    }
    std::this_thread::sleep_for(kReplayPollInterval);
  }
}

ControlAct setup_replay(CLI::App& command) {
  const auto flags = std::make_shared<ReplayFlags>();
  add_destination_choice(command, flags->choice);
  CLI::Option* const start = command.add_option(
      "--start", flags->start, "Traces and samples from here on: Unix seconds or RFC 3339");
  command.add_option("--end", flags->end, "And before this; default now")->needs(start);
  CLI::Option* const wait =
      command.add_flag("--wait", flags->waits, "Until all of them are in the queue");
  command.add_flag("--cancel", flags->cancels, "End the one that runs")
      ->excludes(start)
      ->excludes(wait);
  return [flags](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const std::string id, find_destination(client, flags->choice));
    const std::string path = path_of(id, "/replay");
    Json answer;
    if (flags->cancels) {
      GANTRY_TRY(answer, client.remove(path));
    } else if (!flags->start.empty()) {
      const std::string end =
          flags->end.empty() ? core::format_rfc3339(SystemClock().now()) : flags->end;
      GANTRY_TRY(answer, client.post(path, {{"start", flags->start}, {"end", end}}));
    }
    if (flags->waits) {
      GANTRY_TRY(const Json data, wait_for_replay(client, path));
      print_object(client.options(), data);
      return {};
    }
    if (answer.is_null()) {
      GANTRY_TRY(answer, client.get(path));
    }
    print_data(client.options(), answer);
    return {};
  };
}

}  // namespace

void add_destination_commands(CLI::App& app, int& status) {
  CLI::App* const family =
      app.add_subcommand("destinations", "Where copies of a stack's traces and metrics are sent");
  family->require_subcommand(1);
  add_control_command(*family, "list", "List destinations", status, setup_list);
  add_control_command(*family, "add", "Test and save one", status, setup_add);
  add_control_command(*family, "test", "Test the connection", status, setup_test);
  add_control_command(*family, "show", "Show one, and how it fares", status, setup_show);
  add_control_command(*family, "rules", "Set or clear what it gets, by rules", status, setup_rules);
  add_control_command(*family, "enable", "Send what waits and what comes", status,
                      [](CLI::App& command) { return setup_switch(command, true); });
  add_control_command(*family, "disable", "Send nothing; what waits is kept for a while", status,
                      [](CLI::App& command) { return setup_switch(command, false); });
  add_control_command(*family, "delete", "Delete it with all that waits for it", status,
                      setup_delete);
  add_control_command(*family, "replay",
                      "Send past traces and metrics, or show how far that has come", status,
                      setup_replay);
  add_control_command(*family, "dead-letters", "List, send again or delete what was refused",
                      status, setup_letters);
}

}  // namespace gantry::cli
