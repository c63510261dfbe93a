// gantry audit

#include <memory>

#include "cli/administration.h"
#include "cli/control_client_internal.h"

namespace gantry::cli {

void add_audit_command(CLI::App& app, int& status) {
  add_control_command(
      app, "audit", "Who did what, newest first", status, [](CLI::App& command) -> ControlAct {
        const auto query = std::make_shared<Query>();
        const auto add = [&](const std::string& flag, const std::string& name,
                             const std::string& help) {
          command
              .add_option_function<std::string>(
                  flag,
                  [query, name](const std::string& value) { query->emplace_back(name, value); },
                  help)
              ->type_name("TEXT");
        };
        add("--event", "event", "token.created, or token. for all that begin so");
        add("--actor", "actor", "Id or name of who did it");
        add("--target", "target", "Id or name of what it was done to");
        add("--from", "from", "2030-01-02T15:04:05Z, inclusive");
        add("--to", "to", "2030-01-02T15:04:05Z, exclusive");
        add("--limit", "pageSize", "At most so many (1000); default 100");
        return [query](ControlClient& client) -> Result<void> {
          GANTRY_TRY(const Json answer, client.get("/api/audit", *query));
          Json items = answer.value("items", Json::array());
          if (!client.options().json)
            for (Json& item : items)
              for (const char* const key : {"actor", "target"})
                item[key] = member_text(item[key], "name");
          print_list(client.options(), items,
                     {{"TIME", "time"},
                      {"EVENT", "event"},
                      {"OUTCOME", "outcome"},
                      {"ACTOR", "actor"},
                      {"TARGET", "target"},
                      {"FROM", "ip"},
                      {"REASON", "reason"}});
          return {};
        };
      });
}

}  // namespace gantry::cli
