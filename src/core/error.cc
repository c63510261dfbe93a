#include "core/error.h"

#include <cstdlib>

#include "core/log.h"

namespace gantry {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::Cancelled:
      return "CANCELLED";
    case Code::InvalidArgument:
      return "INVALID_ARGUMENT";
    case Code::DeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case Code::NotFound:
      return "NOT_FOUND";
    case Code::AlreadyExists:
      return "ALREADY_EXISTS";
    case Code::PermissionDenied:
      return "PERMISSION_DENIED";
    case Code::ResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case Code::FailedPrecondition:
      return "FAILED_PRECONDITION";
    case Code::OutOfRange:
      return "OUT_OF_RANGE";
    case Code::Unimplemented:
      return "UNIMPLEMENTED";
    case Code::Internal:
      return "INTERNAL";
    case Code::Unavailable:
      return "UNAVAILABLE";
    case Code::DataLoss:
      return "DATA_LOSS";
    case Code::Unauthenticated:
      return "UNAUTHENTICATED";
    case Code::TooLarge:
      return "TOO_LARGE";
    case Code::Unsupported:
      return "UNSUPPORTED";
  }
  return "UNKNOWN";
}

namespace core {

void assertion_failed(const char* condition, const char* why, const char* file, int line) {
  log::error("assertion failed",
             {{"condition", condition}, {"why", why}, {"file", file}, {"line", line}});
  std::abort();
}

}  // namespace core

}  // namespace gantry
