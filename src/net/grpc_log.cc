#include <string_view>

#include <fmt/format.h>
#include <grpc/support/log.h>

#include "core/log.h"
#include "net/grpc_log_internal.h"

namespace gantry::net {
namespace {

/// Called by gRPC on any thread, with what its verbosity lets through.
void write_line(gpr_log_func_args* line) {
  const log::Level level =
      line->severity == GPR_LOG_SEVERITY_ERROR ? log::Level::Warn : log::Level::Debug;
  if (!log::is_enabled(level)) return;
  std::string_view file = line->file;
  file.remove_prefix(file.rfind('/') + 1);  // of npos + 1: nothing
  log::write(level, "grpc reported",
             {{"message", line->message}, {"source", fmt::format("{}:{}", file, line->line)}});
}

}  // namespace

void log_grpc_lines() {
  gpr_set_log_function(write_line);
}

}  // namespace gantry::net
