#pragma once

// People and members, for super-admins, admins of an organisation and tokens with orgs:write, in
// the shapes of Grafana's HTTP API where it has them:
//
//   GET /api/users, /api/users/lookup, /api/users/{id}, /api/users/{id}/orgs; PUT /api/users/{id}
//   GET, POST /api/admin/users; GET, DELETE /api/admin/users/{id}
//   POST /api/admin/users/{id}/{disable,enable,logout,password-link,revoke-auth-token}
//   PUT /api/admin/users/{id}/permissions; GET /api/admin/users/{id}/auth-tokens
//   GET, POST /api/orgs/{org}/users; PATCH, DELETE /api/orgs/{org}/users/{id}

#include "api/session.h"
#include "net/router.h"

namespace gantry::api {

void add_admin_user_routes(net::Router& router, const PeopleServices& services);

}  // namespace gantry::api
