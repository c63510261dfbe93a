#include "cli/named_resource_internal.h"

#include <algorithm>
#include <cctype>

#include <fmt/core.h>

namespace gantry::cli {
namespace {

constexpr std::size_t kPagesMax = 1000;

}  // namespace

void add_choice(CLI::App& command, Choice& choice, const std::string& name,
                const std::string& help) {
  std::string type = name;
  std::ranges::transform(type, type.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  command.add_option(name, choice.id_or_name, help)->required()->type_name(type);
  command.add_option("--stack", choice.stack,
                     "For a name: of this stack, by slug or id; default the only one");
}

std::string path_of(const NamedResource& resource, std::string_view id, std::string_view rest) {
  return fmt::format("{}/{}{}", resource.path, encode_component(id), rest);
}

Result<Json> list_all(ControlClient& client, const NamedResource& resource,
                      const std::string& stack, const Query& query) {
  Json all = Json::array();
  for (std::size_t page = 0; page < kPagesMax; ++page) {
    Query asked = query;
    asked.emplace_back("offset", std::to_string(page * resource.page_size));
    if (!stack.empty()) asked.emplace_back("workspace_id", stack);
    GANTRY_TRY(const Json answer, client.get(std::string(resource.path), asked));
    const Json items = answer.value("data", Json::array());
    for (const Json& item : items) all.push_back(item);
    if (items.size() < resource.page_size) break;
  }
  return all;
}

Result<std::string> find_id(ControlClient& client, const NamedResource& resource,
                            const Choice& choice, const Query& query) {
  const std::string& wanted = choice.id_or_name;
  if (resource.is_id(wanted)) return wanted;
  GANTRY_TRY(const Json all, list_all(client, resource, choice.stack, query));
  std::string id;
  for (const Json& item : all) {
    if (member_text(item, "name") != wanted) continue;
    if (!id.empty())
      return fail(Code::InvalidArgument, fmt::format("several {} are called \"{}\": give the {}",
                                                     resource.plural, wanted, resource.id_member));
    id = member_text(item, std::string(resource.id_member));
  }
  if (id.empty()) return fail(Code::NotFound, fmt::format("no {} \"{}\"", resource.noun, wanted));
  return id;
}

void print_data(const ControlOptions& options, const Json& answer) {
  print_object(options, answer.value("data", Json::object()));
}

Result<void> remove_chosen(ControlClient& client, const NamedResource& resource,
                           const Choice& choice, const Query& query) {
  GANTRY_TRY(const std::string id, find_id(client, resource, choice, query));
  GANTRY_TRY(const Json nothing, client.remove(path_of(resource, id)));
  print_object(client.options(), {{std::string(resource.id_member), id}, {"status", "deleted"}});
  return {};
}

}  // namespace gantry::cli
