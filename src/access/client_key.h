#pragma once

// The private key with which Gantry proves to an OpenID provider which client it is: the method
// private_key_jwt of OpenID Connect Core 1.0, section 9, and RFC 7523.

#include <memory>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/time.h"

namespace gantry::access {

/// Immutable, thread-safe.
class ClientKey {
 public:
  /// A PEM file's text: RSA of 2048 bits or more (signs RS256) or EC P-256 (ES256), without a
  /// passphrase. `key_id`: `kid`; "" for none. Errors (InvalidArgument): anything else.
  static Result<std::shared_ptr<const ClientKey>> parse(std::string_view pem, std::string key_id);

  ~ClientKey();
  ClientKey(const ClientKey&) = delete;
  ClientKey& operator=(const ClientKey&) = delete;

  /// A signed statement that its bearer is `client_id`, for `audience` (the token endpoint), good
  /// once and for a minute. Errors: Internal.
  [[nodiscard]] Result<std::string> assert_client(std::string_view client_id,
                                                  std::string_view audience, TimestampMs now) const;

 private:
  struct Impl;
  explicit ClientKey(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::access
