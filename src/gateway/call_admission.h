#pragma once

// From a client's request to a call that may begin, or to the error that refuses it. Everything
// here blocks on the database at times, and belongs on a worker unless `is_quick_call` says so.

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "gateway/call_parts.h"
#include "gateway/error_answer.h"
#include "gateway/generation.h"
#include "gateway/served_catalogue.h"
#include "gateway/stopwatch.h"
#include "gateway/upstream_request.h"
#include "net/http.h"

namespace gantry::gateway {

/// Whether `admit_call` will find the key and its budget in memory, as things are, and has little
/// to parse. Never blocks.
[[nodiscard]] bool is_quick_call(const CallParts& parts, Api api, const net::Request& request);

/// Whose request it is. `api` decides where the key may stand: Messages also takes x-api-key.
/// Errors: authentication; server, if the database failed (logged here).
[[nodiscard]] std::expected<std::shared_ptr<const GatewayKey>, TypedError> authenticate(
    GatewayKeyFinder& keys, const net::Request& request, Api api);

[[nodiscard]] AllowedModels allowed_models(const GatewayKey& key);

/// A call that has its key, its candidates and its budget.
struct AdmittedCall {
  std::shared_ptr<const GatewayKey> key;
  std::shared_ptr<const InferenceRequest> request;
  std::shared_ptr<const ServedCatalogue> catalogue;
  Route route;
  Reservation reservation;
  std::string session;  ///< For StickySessions; "": none.
  Stopwatch stopwatch;
  Generation generation;  ///< What is known before the first attempt.
};

struct RefusedCall {
  TypedError error;
  net::Headers headers;                   ///< Of the answer: X-RateLimit-…
  Generation generation;                  ///< For metrics; without attempts.
  std::shared_ptr<const GatewayKey> key;  ///< Null: refused before it was known.
};

/// Takes the request's body and header fields.
[[nodiscard]] std::expected<AdmittedCall, RefusedCall> admit_call(
    CallParts& parts, const std::shared_ptr<const ServedCatalogue>& catalogue, Api api,
    net::Request& request);

}  // namespace gantry::gateway
