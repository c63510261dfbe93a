#pragma once

// The control API, compatible with Grafana Cloud's: organisations, stacks, access policies, tokens,
// API keys, audit log. All below /api. Errors are {"code","message","requestId","statusCode"}, with
// "fields" for wrong parameters; see docs/access.md.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "access/control_plane.h"
#include "access/gate.h"
#include "access/sealed_box.h"
#include "access/stacks.h"
#include "core/error.h"
#include "net/router.h"

namespace gantry::api {

/// What opens and closes stacks while the server runs. Thread-safe.
class StackHost {
 public:
  StackHost() = default;
  StackHost(const StackHost&) = delete;
  StackHost& operator=(const StackHost&) = delete;
  virtual ~StackHost() = default;

  /// Opens the stores of a stack that has just been made; requests find them when it returns.
  virtual Result<void> open(const access::Stack& stack) = 0;

  /// Applies changed settings.
  virtual void reconfigure(const access::Stack& stack) = 0;

  /// Stops serving at once, closes the stores and moves the data aside.
  virtual void retire(StackId stack) = 0;
};

class RequestRate;

/// All referenced parts outlive the routes. Thread-safe to use.
struct CloudServices {
  const access::Gate& gate;
  const access::ControlPlane& control;
  const access::SealedBox& box;  ///< Seals answers kept for repeated requests.
  StackHost& stacks;
  RequestRate& rate;
  std::function<std::string()> url;  ///< What clients are told to use; "" until known.
};

/// Requests of one asker per minute. Thread-safe.
class RequestRate {
 public:
  /// `per_minute` 0: no limit.
  RequestRate(const Clock& clock, std::uint32_t per_minute);
  ~RequestRate();
  RequestRate(const RequestRate&) = delete;
  RequestRate& operator=(const RequestRate&) = delete;

  /// Counts a request. 0: it may pass; else the seconds until the next may.
  [[nodiscard]] std::int64_t take(const std::string& asker);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

void add_cloud_policy_routes(net::Router& router, const CloudServices& services);
void add_cloud_token_routes(net::Router& router, const CloudServices& services);
void add_cloud_personal_token_routes(net::Router& router, const CloudServices& services);
void add_cloud_stack_routes(net::Router& router, const CloudServices& services);
void add_cloud_organisation_routes(net::Router& router, const CloudServices& services);
void add_cloud_legacy_key_routes(net::Router& router, const CloudServices& services);
void add_audit_routes(net::Router& router, const CloudServices& services);

/// All of the above.
void add_cloud_routes(net::Router& router, const CloudServices& services);

}  // namespace gantry::api
