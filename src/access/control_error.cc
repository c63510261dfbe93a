#include "access/control_error.h"

#include <fmt/core.h>

namespace gantry::access {

std::unexpected<ControlError> refuse_fields(std::vector<FieldProblem> fields) {
  GANTRY_ASSERT(!fields.empty(), "an error of fields names one");
  std::string message;
  for (const FieldProblem& field : fields)
    message += fmt::format("{}{}: {}", message.empty() ? "" : "; ", field.path, field.reason);
  return std::unexpected<ControlError>(
      ControlError(Code::InvalidArgument, std::move(message), std::move(fields)));
}

std::unexpected<ControlError> refuse_field(std::string path, std::string reason) {
  return refuse_fields({{.path = std::move(path), .reason = std::move(reason)}});
}

}  // namespace gantry::access
