// gantry pipeline …

#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "cli/administration.h"
#include "cli/control_client_internal.h"
#include <fmt/core.h>

namespace gantry::cli {
namespace {

constexpr std::string_view kPipeline = "/api/v1/observability/pipeline";

Query query_of(const std::string& stack) {
  Query query;
  if (!stack.empty()) query.emplace_back("workspace_id", stack);
  return query;
}

void add_stack_flag(CLI::App& command, std::string& stack) {
  command.add_option("--stack", stack, "Of this stack, by slug or id; default the only one");
}

/// "-": standard input. Errors: InvalidArgument.
Result<Json> read_json(const std::string& path) {
  std::string text;
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(Code::InvalidArgument, fmt::format("cannot read {}", path));
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object())
    return fail(Code::InvalidArgument, fmt::format("{} is not a JSON object", path));
  return json;
}

/// JSON whatever --json says: rules are edited in a file and set again.
void print_data(const Json& answer) {
  std::cout << answer.value("data", Json::object()).dump(2) << '\n';
}

ControlAct setup_show(CLI::App& command) {
  const auto stack = std::make_shared<std::string>();
  add_stack_flag(command, *stack);
  return [stack](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json answer, client.get(std::string(kPipeline), query_of(*stack)));
    print_data(answer);
    return {};
  };
}

struct FileFlags {
  std::string file;
  std::string stack;
};

ControlAct setup_set(CLI::App& command) {
  const auto flags = std::make_shared<FileFlags>();
  command.add_option("file", flags->file, "JSON as `show` prints it; - is standard input")
      ->required()
      ->type_name("FILE");
  add_stack_flag(command, flags->stack);
  return [flags](ControlClient& client) -> Result<void> {
    GANTRY_TRY(Json rules, read_json(flags->file));
    if (!flags->stack.empty()) rules["workspace_id"] = flags->stack;
    GANTRY_TRY(const Json answer, client.put(std::string(kPipeline), rules));
    print_data(answer);
    return {};
  };
}

ControlAct setup_clear(CLI::App& command) {
  const auto stack = std::make_shared<std::string>();
  add_stack_flag(command, *stack);
  return [stack](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json answer, client.remove(std::string(kPipeline), query_of(*stack)));
    print_data(answer);
    return {};
  };
}

ControlAct setup_test(CLI::App& command) {
  const auto flags = std::make_shared<FileFlags>();
  command
      .add_option("file", flags->file,
                  "JSON with spans (OTLP) or samples, and rules to try; - is standard input")
      ->required()
      ->type_name("FILE");
  add_stack_flag(command, flags->stack);
  return [flags](ControlClient& client) -> Result<void> {
    GANTRY_TRY(const Json body, read_json(flags->file));
    GANTRY_TRY(const Json answer,
               client.post(fmt::format("{}/test", kPipeline), body, query_of(flags->stack)));
    print_data(answer);
    return {};
  };
}

}  // namespace

void add_pipeline_commands(CLI::App& app, int& status) {
  CLI::App* const family =
      app.add_subcommand("pipeline", "Rules for what a stack receives: before it is stored");
  family->require_subcommand(1);
  add_control_command(*family, "show", "Print the rules", status, setup_show);
  add_control_command(*family, "set", "Replace the rules by those of a file", status, setup_set);
  add_control_command(*family, "clear", "Take everything as it comes", status, setup_clear);
  add_control_command(*family, "test", "Show what rules make of spans and samples", status,
                      setup_test);
}

}  // namespace gantry::cli
