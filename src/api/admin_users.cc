#include "api/admin_users.h"

#include <charconv>
#include <utility>

#include <fmt/core.h>

#include "api/console_support_internal.h"
#include "api/people_json_internal.h"
#include "core/rfc3339.h"

namespace gantry::api {
namespace {

using access::ControlPrincipal;
using net::Method;

/// What a handler answers: JSON for 200, or the error.
using Answer = Result<nlohmann::json>;
using UserHandler = Answer (*)(const PeopleServices&, const net::Request&, const ControlPrincipal&);
using MemberHandler = Answer (*)(const PeopleServices&, const net::Request&,
                                 const ControlPrincipal&, access::OrgId);

nlohmann::json message(std::string_view text) {
  return {{"message", text}};
}

nlohmann::json account_json(const access::Account& account) {
  nlohmann::json json = user_json(account.user);
  json["orgs"] = nlohmann::json::array();
  for (const access::Membership& membership : account.memberships)
    json["orgs"].push_back(membership_json(membership));
  return json;
}

std::string_view user_id(const net::Request& request) {
  return request.path_parameter("user");
}

Result<std::size_t> read_count(const net::Parameters& parameters, std::string_view name,
                               std::size_t otherwise) {
  const auto text = parameters.find(name);
  if (!text) return otherwise;
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value == 0 || value > 1000)
    return fail(Code::InvalidArgument, fmt::format("{}: not a number from 1 to 1000", name));
  return value;
}

Answer list_users(const PeopleServices& services, const net::Request& request,
                  const ControlPrincipal& who) {
  GANTRY_TRY(const net::Parameters parameters, net::Parameters::parse(request.raw_query));
  access::UserQuery query{.text = std::string(parameters.find("query").value_or("")),
                          .after_login = std::string(parameters.find("after").value_or(""))};
  GANTRY_TRY(query.limit, read_count(parameters, "perpage", 1000));
  GANTRY_TRY(const std::vector<access::User> users, services.people.list(who, query));
  nlohmann::json list = nlohmann::json::array();
  for (const access::User& user : users) list.push_back(user_json(user));
  return list;
}

Answer find_user(const PeopleServices& services, const net::Request& request,
                 const ControlPrincipal& who) {
  GANTRY_TRY(const access::Account account, services.people.find(who, user_id(request)));
  return account_json(account);
}

Answer look_up_user(const PeopleServices& services, const net::Request& request,
                    const ControlPrincipal& who) {
  GANTRY_TRY(const net::Parameters parameters, net::Parameters::parse(request.raw_query));
  const auto login = parameters.find("loginOrEmail");
  if (!login) return fail(Code::InvalidArgument, "loginOrEmail: missing");
  GANTRY_TRY(const access::Account account, services.people.find_by_login(who, *login));
  return account_json(account);
}

Answer list_user_organisations(const PeopleServices& services, const net::Request& request,
                               const ControlPrincipal& who) {
  GANTRY_TRY(const access::Account account, services.people.find(who, user_id(request)));
  return account_json(account)["orgs"];
}

/// A link that the person opens to choose a password. The secret is after '#', which browsers do
/// not send: it reaches no access log.
nlohmann::json link_json(const PeopleServices& services, const net::Request& request,
                         const access::PasswordLink& link) {
  return {{"url", fmt::format("{}/login/password#{}", services.sessions.console().url(request),
                              link.secret)},
          {"expiresAt", core::format_rfc3339(link.expires_at)}};
}

Result<std::optional<access::OrgId>> read_organisation(const PeopleServices& services,
                                                       const nlohmann::json& body,
                                                       const ControlPrincipal& who) {
  const auto member = body.find("OrgId") != body.end() ? body.find("OrgId") : body.find("orgId");
  if (member == body.end() || member->is_null()) {
    // Without one, a super-admin adds somebody who is nowhere yet.
    if (who.is_super_admin) return std::nullopt;
    return who.org;
  }
  if (!member->is_number_integer() && !member->is_string())
    return fail(Code::InvalidArgument, "orgId: not an organisation's id or slug");
  const std::string text = member->is_string() ? member->get<std::string>() : member->dump();
  GANTRY_TRY(const access::OrgId org, services.people.find_organisation(text));
  return org;
}

Answer add_user(const PeopleServices& services, const net::Request& request,
                const ControlPrincipal& who) {
  GANTRY_TRY(const nlohmann::json body, read_object(request));
  if (body.contains("password"))
    return fail(Code::InvalidArgument,
                "password: people choose their own; the answer has a link for them");
  access::NewAccount account;
  GANTRY_TRY(account.login, text_member(body, "login"));
  GANTRY_TRY(const auto name, optional_text(body, "name"));
  GANTRY_TRY(const auto email, optional_text(body, "email"));
  GANTRY_TRY(const auto role, optional_text(body, "role"));
  GANTRY_TRY(const auto is_super_admin, optional_bool(body, "isGrafanaAdmin"));
  account.name = name.value_or("");
  account.email = email.value_or("");
  account.is_super_admin = is_super_admin.value_or(false);
  GANTRY_TRY(account.role, parse_role_word(role.value_or("Viewer")));
  GANTRY_TRY(account.org, read_organisation(services, body, who));
  GANTRY_TRY(const access::Account added, services.people.add(who, account));
  GANTRY_TRY(const access::PasswordLink link,
             services.people.make_password_link(who, added.user.id));
  nlohmann::json answer = account_json(added);
  answer["message"] = "User created";
  answer["passwordLink"] = link_json(services, request, link);
  return answer;
}

Answer change(const PeopleServices& services, const net::Request& request,
              const ControlPrincipal& who, const access::AccountChange& wanted,
              std::string_view done) {
  GANTRY_TRY(const access::Account changed, services.people.change(who, user_id(request), wanted));
  nlohmann::json answer = account_json(changed);
  answer["message"] = done;
  return answer;
}

Answer update_user(const PeopleServices& services, const net::Request& request,
                   const ControlPrincipal& who) {
  GANTRY_TRY(const nlohmann::json body, read_object(request));
  access::AccountChange wanted;
  GANTRY_TRY(wanted.login, optional_text(body, "login"));
  GANTRY_TRY(wanted.name, optional_text(body, "name"));
  GANTRY_TRY(wanted.email, optional_text(body, "email"));
  return change(services, request, who, wanted, "User updated");
}

Answer disable_user(const PeopleServices& services, const net::Request& request,
                    const ControlPrincipal& who) {
  return change(services, request, who, {.is_disabled = true}, "User disabled");
}

Answer enable_user(const PeopleServices& services, const net::Request& request,
                   const ControlPrincipal& who) {
  return change(services, request, who, {.is_disabled = false}, "User enabled");
}

Answer set_permissions(const PeopleServices& services, const net::Request& request,
                       const ControlPrincipal& who) {
  GANTRY_TRY(const nlohmann::json body, read_object(request));
  GANTRY_TRY(const auto is_super_admin, optional_bool(body, "isGrafanaAdmin"));
  if (!is_super_admin) return fail(Code::InvalidArgument, "isGrafanaAdmin: missing");
  return change(services, request, who, {.is_super_admin = is_super_admin},
                "User permissions updated");
}

Answer remove_user(const PeopleServices& services, const net::Request& request,
                   const ControlPrincipal& who) {
  GANTRY_CHECK(services.people.remove(who, user_id(request)));
  return message("User deleted");
}

Answer make_password_link(const PeopleServices& services, const net::Request& request,
                          const ControlPrincipal& who) {
  GANTRY_TRY(const access::PasswordLink link,
             services.people.make_password_link(who, user_id(request)));
  return link_json(services, request, link);
}

Answer list_sessions(const PeopleServices& services, const net::Request& request,
                     const ControlPrincipal& who) {
  GANTRY_TRY(const std::vector<access::SessionRow> sessions,
             services.people.list_sessions(who, user_id(request)));
  return sessions_json(sessions, {});
}

Answer end_session(const PeopleServices& services, const net::Request& request,
                   const ControlPrincipal& who) {
  GANTRY_TRY(const nlohmann::json body, read_object(request));
  GANTRY_TRY(const std::string id, text_member(body, "authTokenId"));
  if (id.empty()) return fail(Code::InvalidArgument, "authTokenId: empty");
  GANTRY_CHECK(services.people.end_sessions(who, user_id(request), id));
  return message("User auth token revoked");
}

Answer end_sessions(const PeopleServices& services, const net::Request& request,
                    const ControlPrincipal& who) {
  GANTRY_CHECK(services.people.end_sessions(who, user_id(request), {}));
  return message("User logged out");
}

Answer list_members(const PeopleServices& services, const net::Request&,
                    const ControlPrincipal& who, access::OrgId org) {
  GANTRY_TRY(const std::vector<access::Member> members, services.people.list_members(who, org));
  nlohmann::json list = nlohmann::json::array();
  for (const access::Member& member : members) list.push_back(member_json(member));
  return list;
}

Result<std::optional<std::vector<std::string>>> read_label_policies(const nlohmann::json& body) {
  const auto member = body.find("labelPolicies");
  if (member == body.end() || member->is_null()) return std::nullopt;
  if (!member->is_array()) return fail(Code::InvalidArgument, "labelPolicies: not an array");
  std::vector<std::string> selectors;
  for (const auto& item : *member) {
    if (!item.is_string()) return fail(Code::InvalidArgument, "labelPolicies: not text");
    selectors.push_back(item.get<std::string>());
  }
  return selectors;
}

Result<access::Membership> read_membership(const net::Request& request, access::OrgId org,
                                           nlohmann::json& body) {
  GANTRY_TRY(body, read_object(request));
  access::Membership membership{.org = org};
  GANTRY_TRY(const std::string role, text_member(body, "role"));
  GANTRY_TRY(membership.role, parse_role_word(role));
  GANTRY_TRY(membership.label_policies, read_label_policies(body));
  return membership;
}

Answer add_member(const PeopleServices& services, const net::Request& request,
                  const ControlPrincipal& who, access::OrgId org) {
  nlohmann::json body;
  GANTRY_TRY(const access::Membership membership, read_membership(request, org, body));
  GANTRY_TRY(const std::string login, text_member(body, "loginOrEmail"));
  GANTRY_CHECK(services.people.set_member_by_login(who, login, membership));
  return message("User added to organization");
}

Answer change_member(const PeopleServices& services, const net::Request& request,
                     const ControlPrincipal& who, access::OrgId org) {
  nlohmann::json body;
  GANTRY_TRY(const access::Membership membership, read_membership(request, org, body));
  GANTRY_CHECK(services.people.set_member(who, user_id(request), membership));
  return message("Organization user updated");
}

Answer remove_member(const PeopleServices& services, const net::Request& request,
                     const ControlPrincipal& who, access::OrgId org) {
  GANTRY_CHECK(services.people.remove_member(who, user_id(request), org));
  return message("User removed from organization");
}

net::Response render(const PeopleServices& services, const net::Request& request,
                     const ControlPrincipal& who, const Answer& answer) {
  if (answer) return console_answer(*answer);
  const Error& error = answer.error();
  if (error.code == Code::PermissionDenied)
    services.audit.note_sampled(fmt::format("authz.denied {} {}", who.actor.id, error.message),
                                {.event = "authz.denied",
                                 .outcome = access::Outcome::Denied,
                                 .actor = who.actor,
                                 .org = who.org,
                                 .target = {.type = "endpoint", .id = request.path, .name = {}},
                                 .client = who.client,
                                 .session_hash = who.session_hash,
                                 .reason = error.message});
  return console_error(request, error);
}

}  // namespace

void add_admin_user_routes(net::Router& router, const PeopleServices& services) {
  const auto add = [&](Method method, std::string_view path, UserHandler handler) {
    router.add(method, path, console_route("admin_users"),
               [&services, handler](net::Request& request) {
                 const auto who = services.admit(request, std::nullopt);
                 if (!who) return console_error(request, who.error());
                 return render(services, request, *who, handler(services, request, *who));
               });
  };
  const auto add_members = [&](Method method, std::string_view path, MemberHandler handler) {
    router.add(method, path, console_route("org_users"),
               [&services, handler](net::Request& request) {
                 const auto org = services.people.find_organisation(request.path_parameter("org"));
                 if (!org && org.error().code != Code::NotFound)
                   return console_error(request, org.error());
                 const auto who = services.admit(request, org ? std::optional(*org) : std::nullopt);
                 // An organisation that is not one's own is as one that does not exist.
                 if (!who && who.error().reason == "no_member")
                   return console_error(request, 404, "no such organisation");
                 if (!who) return console_error(request, who.error());
                 if (!org) return console_error(request, org.error());
                 return render(services, request, *who, handler(services, request, *who, *org));
               });
  };
  add(Method::Get, "/api/users", list_users);
  add(Method::Get, "/api/users/lookup", look_up_user);
  add(Method::Get, "/api/users/{user}", find_user);
  add(Method::Put, "/api/users/{user}", update_user);
  add(Method::Get, "/api/users/{user}/orgs", list_user_organisations);
  add(Method::Get, "/api/admin/users", list_users);
  add(Method::Post, "/api/admin/users", add_user);
  add(Method::Get, "/api/admin/users/{user}", find_user);
  add(Method::Delete, "/api/admin/users/{user}", remove_user);
  add(Method::Post, "/api/admin/users/{user}/disable", disable_user);
  add(Method::Post, "/api/admin/users/{user}/enable", enable_user);
  add(Method::Put, "/api/admin/users/{user}/permissions", set_permissions);
  add(Method::Post, "/api/admin/users/{user}/password-link", make_password_link);
  add(Method::Get, "/api/admin/users/{user}/auth-tokens", list_sessions);
  add(Method::Post, "/api/admin/users/{user}/revoke-auth-token", end_session);
  add(Method::Post, "/api/admin/users/{user}/logout", end_sessions);
  add_members(Method::Get, "/api/orgs/{org}/users", list_members);
  add_members(Method::Post, "/api/orgs/{org}/users", add_member);
  add_members(Method::Patch, "/api/orgs/{org}/users/{user}", change_member);
  add_members(Method::Delete, "/api/orgs/{org}/users/{user}", remove_member);
}

}  // namespace gantry::api
