#pragma once

// Errors of the control plane: as core's, plus which fields of the request were wrong and why.

#include <expected>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace gantry::access {

/// One wrong field: {"realms[0].identifier", "no stack has this id or slug"}.
struct FieldProblem {
  std::string path;
  std::string reason;

  friend bool operator==(const FieldProblem&, const FieldProblem&) = default;
};

/// Codes: InvalidArgument (with fields), AlreadyExists (a name is taken), FailedPrecondition (a
/// limit, a protection, a state that forbids it), NotFound (also for what is another
/// organisation's), PermissionDenied, and those of the database.
struct ControlError {
  Code code = Code::Internal;
  std::string message;
  std::vector<FieldProblem> fields;

  ControlError(Code the_code, std::string the_message, std::vector<FieldProblem> the_fields = {})
      : code(the_code), message(std::move(the_message)), fields(std::move(the_fields)) {}

  // Implicit, so that GANTRY_TRY hands on the errors of lower layers.
  ControlError(Error error)  // NOLINT(google-explicit-constructor)
      : code(error.code), message(std::move(error.message)) {}
};

template <class T>
using ControlResult = std::expected<T, ControlError>;

[[nodiscard]] inline std::unexpected<ControlError> refuse(Code code, std::string message) {
  return std::unexpected<ControlError>(ControlError(code, std::move(message)));
}

/// InvalidArgument whose message names all `fields`, of which there is at least one.
[[nodiscard]] std::unexpected<ControlError> refuse_fields(std::vector<FieldProblem> fields);

[[nodiscard]] std::unexpected<ControlError> refuse_field(std::string path, std::string reason);

}  // namespace gantry::access
