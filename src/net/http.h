#pragma once

// What a handler sees of HTTP, whatever library speaks it on the wire.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"

namespace gantry::net {

enum class Method : std::uint8_t { Get, Head, Post, Put, Delete, Options, Patch, Other };

[[nodiscard]] std::string_view method_text(Method method);

/// Header fields in order of arrival; names compare without case.
class Headers {
 public:
  void add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
  }

  /// Replaces all fields of that name.
  void set(std::string_view name, std::string value);

  /// The first field's value, "" when absent.
  [[nodiscard]] std::string_view find(std::string_view name) const;

  [[nodiscard]] bool contains(std::string_view name) const;

  [[nodiscard]] std::size_t count(std::string_view name) const;

  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& fields() const {
    return fields_;
  }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// Decoded parameters of a query string or form body, in order; the first of a name wins in `find`.
class Parameters {
 public:
  /// application/x-www-form-urlencoded. Errors: InvalidArgument for a broken percent escape.
  static Result<Parameters> parse(std::string_view encoded);

  void add(std::string name, std::string value) {
    items_.emplace_back(std::move(name), std::move(value));
  }

  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;

  [[nodiscard]] std::vector<std::string_view> find_all(std::string_view name) const;

  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& items() const {
    return items_;
  }

 private:
  std::vector<std::pair<std::string, std::string>> items_;
};

/// Bytes after the body that may be read (simdjson wants them); not part of it.
inline constexpr std::size_t kBodyPaddingBytes = 64;

struct Request {
  Method method = Method::Get;
  std::string
      path;  ///< Percent-decoded and normalised: no //, no dot segments (those were refused).
  std::string raw_path;   ///< As sent, without the query string.
  std::string raw_query;  ///< After '?', still encoded.
  Headers headers;
  std::string
      body;  ///< As sent (not decompressed); its capacity exceeds its size by kBodyPaddingBytes.
  std::string peer_address;  ///< The client's IP without port: the socket's, or what trusted
                             ///< proxies say (see client_address).
  std::string
      request_id;  ///< From X-Request-Id when well-formed, else made here. Echoed and logged.
  bool is_tls = false;
  CancelToken cancel;  ///< Fires when the client goes away or the server stops.

  /// Parameters of the path pattern, by name ("name" of /api/v1/label/{name}/values), decoded.
  std::vector<std::pair<std::string, std::string>> path_parameters;

  [[nodiscard]] std::string_view path_parameter(std::string_view name) const;
};

/// Produces the next piece of a streamed body; an empty piece ends it.
using BodyStream = std::move_only_function<std::string()>;

class DeferredAnswer;

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
  BodyStream stream;         ///< When set, sent chunked after `body`; called on a worker.
  bool may_compress = true;  ///< The server compresses bodies over 1 KiB as Accept-Encoding allows.

  /// Set by AnswerStream::open (answer_stream.h): the answer is given later, by whoever holds that
  /// stream. Of this response only `headers` count then, as more fields of that answer.
  std::shared_ptr<DeferredAnswer> deferred;
};

[[nodiscard]] Response text_response(int status, std::string body);
[[nodiscard]] Response json_response(int status, std::string body);

/// The reason phrase, "Not Found".
[[nodiscard]] std::string_view status_text(int status);

/// The one table from our codes to HTTP.
[[nodiscard]] int http_status(Code code);

/// Handlers run on a worker thread: they may block and compute. Called concurrently.
using Handler = std::function<Response(Request&)>;

}  // namespace gantry::net
