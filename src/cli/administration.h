#pragma once

// The commands that administer a running server: `gantry org|stack|policy|token|user|
// destinations|pipeline|gateway-keys|audit …`.

namespace CLI {
class App;
}

namespace gantry::cli {

/// Each adds its command with its subcommands to `app`. They run while the command line is parsed
/// and leave their exit status in `status`, which must outlive the parsing.
void add_org_commands(CLI::App& app, int& status);
void add_stack_commands(CLI::App& app, int& status);
void add_policy_commands(CLI::App& app, int& status);
void add_token_commands(CLI::App& app, int& status);
void add_gateway_key_commands(CLI::App& app, int& status);
void add_user_commands(CLI::App& app, int& status);
void add_destination_commands(CLI::App& app, int& status);
void add_pipeline_commands(CLI::App& app, int& status);
void add_audit_command(CLI::App& app, int& status);

}  // namespace gantry::cli
