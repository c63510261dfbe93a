#pragma once

// Errors as values. `Result<T>` is either a T or an `Error` whose code says what the caller can do
// about it and whose message says what, where and which limit. Nothing in Gantry throws across a
// folder.
//
//   Result<Config> load(const Path& path) {
//     GANTRY_TRY(const std::string text, read_file(path));
//     GANTRY_CHECK(validate(text));
//     return parse(text);
//   }

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace gantry {

/// What the caller can do. The names and meanings are gRPC's, so that they map to gRPC one to one
/// and to HTTP by one table (net/status_map.h).
enum class Code : std::uint8_t {
  Cancelled,         ///< The caller went away.
  InvalidArgument,   ///< The input is wrong and will stay wrong.
  DeadlineExceeded,  ///< A time-out passed.
  NotFound,
  AlreadyExists,
  PermissionDenied,    ///< Known who, not allowed.
  ResourceExhausted,   ///< A rate or a quota; later may work.
  FailedPrecondition,  ///< The state forbids it, a retry does not help.
  OutOfRange,          ///< Too old, too new.
  Unimplemented,
  Internal,         ///< The device or a library failed.
  Unavailable,      ///< Not now; retry.
  DataLoss,         ///< Bytes on disk are not what was written.
  Unauthenticated,  ///< Not known who.
  TooLarge,         ///< A body, record or message over its size limit (HTTP 413).
  Unsupported,      ///< A media type or encoding that is not spoken here (HTTP 415).
};

/// The code's name as in gRPC, for logs: "INVALID_ARGUMENT".
[[nodiscard]] std::string_view code_name(Code code);

struct Error {
  Code code = Code::Internal;
  std::string message;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Code code, std::string message) {
  return std::unexpected<Error>(Error{.code = code, .message = std::move(message)});
}

namespace core {
/// Logs and aborts. Not for conditions that the outside can cause.
[[noreturn]] void assertion_failed(const char* condition, const char* why, const char* file,
                                   int line);
}  // namespace core

}  // namespace gantry

#define GANTRY_CONCAT_(a, b) a##b
#define GANTRY_CONCAT(a, b) GANTRY_CONCAT_(a, b)
#define GANTRY_TRY_(temporary, declaration, return_keyword, ...)                \
  auto temporary = (__VA_ARGS__);                                               \
  if (!temporary) return_keyword std::unexpected(std::move(temporary).error()); \
  declaration = *std::move(temporary)

/// Binds `declaration` to the value of the Result expression, or returns its error.
#define GANTRY_TRY(declaration, ...) \
  GANTRY_TRY_(GANTRY_CONCAT(gantry_result_, __LINE__), declaration, return, __VA_ARGS__)

/// The same inside a coroutine.
#define GANTRY_CO_TRY(declaration, ...) \
  GANTRY_TRY_(GANTRY_CONCAT(gantry_result_, __LINE__), declaration, co_return, __VA_ARGS__)

/// For Result<void>: returns the error, if any.
#define GANTRY_CHECK(...)                                      \
  do {                                                         \
    if (auto gantry_check = (__VA_ARGS__); !gantry_check)      \
      return std::unexpected(std::move(gantry_check).error()); \
  } while (false)

/// A broken invariant is a bug: log and abort, in release builds too.
#define GANTRY_ASSERT(condition, why)                                        \
  do {                                                                       \
    if (!(condition)) [[unlikely]]                                           \
      ::gantry::core::assertion_failed(#condition, why, __FILE__, __LINE__); \
  } while (false)

#ifdef NDEBUG
#define GANTRY_DEBUG_ASSERT(condition, why) static_cast<void>(0)
#else
#define GANTRY_DEBUG_ASSERT(condition, why) GANTRY_ASSERT(condition, why)
#endif
