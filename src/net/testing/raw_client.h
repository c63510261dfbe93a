#pragma once

// A client that sends exactly the bytes it is told to, for tests of the server.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gantry::net::testing {

/// An HTTP answer, taken apart without trusting the server's code.
struct RawResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> fields;  ///< Names in lower case.
  std::string body;                                         ///< Dechunked.
  bool is_complete = false;                                 ///< The body ended as its framing says.

  /// "" when absent.
  [[nodiscard]] std::string field(std::string_view lower_name) const;
};

/// One TCP connection to 127.0.0.1, plain or TLS (without verification). Every wait ends after ten
/// seconds.
class RawClient {
 public:
  enum class Security : std::uint8_t { Plain, Tls };

  explicit RawClient(std::uint16_t port, Security security = Security::Plain);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  [[nodiscard]] bool is_connected() const;

  /// False when the peer has closed.
  bool send(std::string_view bytes);

  /// "" when the connection is at its end (or the ten seconds are over).
  [[nodiscard]] std::string receive_some();

  /// The next answer; `has_body` is false after HEAD.
  [[nodiscard]] RawResponse receive(bool has_body = true);

  /// True when the peer closes without sending anything more.
  [[nodiscard]] bool is_at_end();

  /// Sends FIN (and close_notify) but keeps reading.
  void finish_sending();

  /// Closes at once with a reset.
  void reset();

  /// Keeps the kernel from buffering much, so that a slow reader is slow for the server too. To be
  /// called before anything is received.
  void set_receive_buffer(int bytes);

  /// Of the peer's certificate (TLS).
  [[nodiscard]] std::string peer_common_name() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A self-signed certificate for 127.0.0.1 and localhost with this common name, as two PEM files in
/// `directory`.
struct CertificateFiles {
  std::string certificate_file;
  std::string private_key_file;
};

CertificateFiles write_certificate(const std::string& directory, const std::string& common_name);

}  // namespace gantry::net::testing
