#pragma once

// What is tried again and again and fails for a while: two lines in the log, not one for each try.

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "core/error.h"

namespace gantry::server {

/// Several tasks that depend on the same thing (the state database) share one. One thread.
class FailureLog {
 public:
  /// What is logged when something begins to fail, and when nothing fails any more.
  FailureLog(std::string_view failing, std::string_view recovered)
      : failing_(failing), recovered_(recovered) {}

  /// What was logged.
  enum class Line : std::uint8_t { None, Failing, Recovered };

  /// A try of `task` ended. Another code than those so far is logged as well: a full disk is not
  /// the same news as a database that is away.
  Line note(std::string_view task, const Result<void>& result);

  /// The last try of it did.
  [[nodiscard]] bool is_failing(std::string_view task) const { return tasks_.contains(task); }

 private:
  std::string failing_;
  std::string recovered_;
  std::set<std::string, std::less<>> tasks_;  // that fail
  std::set<Code> logged_;
  std::int64_t since_ns_ = 0;
};

}  // namespace gantry::server
