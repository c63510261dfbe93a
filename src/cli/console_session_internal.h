#pragma once

// Commands that a token cannot do, for which a person signs in as in the console.

#include <string>

#include "core/error.h"
#include "net/client.h"

namespace gantry::cli {

struct SignInOptions {
  std::string url;            ///< Of the server, without a slash at its end.
  std::string user;           ///< Login.
  std::string password_file;  ///< "-": standard input; "": the environment's GANTRY_PASSWORD.
  std::string ca_file;
};

/// A session of its own, ended with the object. One thread.
class ConsoleSession {
 public:
  /// Errors: InvalidArgument (no password), PermissionDenied (not let in), those of net::send.
  [[nodiscard]] static Result<ConsoleSession> begin(const SignInOptions& options);

  ~ConsoleSession();
  ConsoleSession(ConsoleSession&& other) noexcept;
  ConsoleSession& operator=(ConsoleSession&&) = delete;
  ConsoleSession(const ConsoleSession&) = delete;
  ConsoleSession& operator=(const ConsoleSession&) = delete;

  /// Adds what makes a request one of this session.
  void sign(net::ClientRequest& request) const;

 private:
  ConsoleSession(SignInOptions options, std::string cookie, std::string csrf_token);

  SignInOptions options_;
  std::string cookie_;  ///< "name=value"; "" once moved from.
  std::string csrf_token_;
};

}  // namespace gantry::cli
