#pragma once

// People signing in: the parts of src/access that it takes, put together.

#include <memory>
#include <optional>

#include "access/audit.h"
#include "access/control.h"
#include "access/token.h"
#include "api/session.h"
#include "core/error.h"
#include "core/metrics.h"
#include "core/time.h"
#include "net/egress.h"
#include "server/config.h"
#include "state/db.h"

namespace gantry::server {

/// Thread-safe.
class People {
 public:
  /// All must outlive it.
  struct Parts {
    state::Db& db;
    const access::TokenHasher& hasher;
    access::AuditLog& audit;
    const Clock& clock;
    core::MetricRegistry& registry;
    const net::Egress& egress;  ///< To OpenID providers.
  };

  /// Errors: InvalidArgument (oidc.*).
  static Result<std::unique_ptr<People>> make(const Parts& parts, const Config& config);
  ~People();
  People(const People&) = delete;
  People& operator=(const People&) = delete;

  [[nodiscard]] const access::SessionAuthenticator& sessions() const;

  /// The routes of signing in and of managing people.
  [[nodiscard]] net::Router routes() const;

  /// How requests that manage people are let in; to be set before the routes serve. Without it,
  /// sessions only.
  void admit_with(decltype(api::PeopleServices::admit) admit);

  /// Something about people, sessions or organisations changed.
  void forget_all();

  /// Writes last-used times and removes what has run out. Called by a timer and at shutdown.
  Result<void> flush();

 private:
  struct Impl;
  explicit People(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::server
