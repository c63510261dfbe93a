#pragma once

// Things of a stack that the API lists in pages, and that people name by id or by name.

#include <string>
#include <string_view>

#include "cli/control_client_internal.h"

namespace gantry::cli {

struct NamedResource {
  std::string_view path;  ///< "/api/v1/keys"
  /// A shorter page is the last.
  std::size_t page_size = 100;
  std::string_view noun;       ///< "gateway key"
  std::string_view plural;     ///< "keys"
  std::string_view id_member;  ///< "hash"
  bool (*is_id)(std::string_view text);
};

/// What names one.
struct Choice {
  std::string id_or_name;
  std::string stack;  ///< Slug or id, for a name; "": the only one.
};

/// The positional argument `name` ("key", "Hash or name") and --stack.
void add_choice(CLI::App& command, Choice& choice, const std::string& name,
                const std::string& help);

/// "/api/v1/keys/<id><rest>"
[[nodiscard]] std::string path_of(const NamedResource& resource, std::string_view id,
                                  std::string_view rest = "");

/// All of a stack, of the only one when `stack` is "". `query`: what else is asked for each page.
Result<Json> list_all(ControlClient& client, const NamedResource& resource,
                      const std::string& stack, const Query& query = {});

/// Errors: NotFound; InvalidArgument: several have that name. `query` as of list_all.
Result<std::string> find_id(ControlClient& client, const NamedResource& resource,
                            const Choice& choice, const Query& query = {});

/// The member `data` of an answer.
void print_data(const ControlOptions& options, const Json& answer);

/// DELETE of the chosen one, and says so.
Result<void> remove_chosen(ControlClient& client, const NamedResource& resource,
                           const Choice& choice, const Query& query = {});

}  // namespace gantry::cli
