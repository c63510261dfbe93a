#include "promql/regex_size.h"

#include <string>

#include <fmt/format.h>
#include <re2/re2.h>

namespace gantry::promql {

Result<void> check_regex_size(std::string_view expression, std::int64_t bytes_max) {
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(bytes_max);
  const RE2 compiled(fmt::format("^(?s:{})$", expression), options);
  if (compiled.ok()) return {};
  if (compiled.error_code() == RE2::ErrorPatternTooLarge) {
    return fail(Code::InvalidArgument,
                fmt::format("the regular expression takes more than {} bytes", bytes_max));
  }
  return fail(Code::InvalidArgument,
              fmt::format("error parsing regexp: `{}`", compiled.error_arg()));
}

}  // namespace gantry::promql
