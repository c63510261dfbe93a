#pragma once

// Reads members of a JSON object and collects what is wrong with them, so that one answer names
// every field to mend.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simdjson.h>

#include "access/control_error.h"

namespace gantry::broadcast {

/// Views of a document that outlives it.
class JsonFields {
 public:
  /// `path`: of `element` in the body, "" for the body itself. Complains when it is no object, of
  /// the first key that is not in `names`, and of keys that are there twice. `problems` outlives
  /// this.
  JsonFields(simdjson::dom::element element, std::string path,
             std::span<const std::string_view> names, std::vector<access::FieldProblem>& problems);

  /// Null when it is not there.
  [[nodiscard]] const simdjson::dom::element* find(std::string_view name) const;

  [[nodiscard]] bool is_null(std::string_view name) const;

  /// Absent: not there, or of another type, which is a problem. The same for those below.
  [[nodiscard]] std::optional<std::string_view> text(std::string_view name);
  [[nodiscard]] std::optional<bool> boolean(std::string_view name);
  [[nodiscard]] std::optional<double> number(std::string_view name);

  void complain(std::string_view name, std::string reason);

  /// "config.headers"
  [[nodiscard]] std::string path_of(std::string_view name) const;

 private:
  std::string path_;
  std::vector<std::pair<std::string_view, simdjson::dom::element>> members_;
  std::vector<access::FieldProblem>& problems_;
};

/// For messages: in quotes, cut at 64 bytes.
[[nodiscard]] std::string quoted(std::string_view text);

}  // namespace gantry::broadcast
