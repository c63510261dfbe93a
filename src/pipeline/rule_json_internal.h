#pragma once

// Rules that users write in JSON: reading them strictly, with refusals that name the place.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simdjson.h>

#include "core/error.h"

namespace gantry::pipeline {

/// InvalidArgument, "path: why".
[[nodiscard]] std::unexpected<Error> refuse(std::string_view path, std::string_view why);

/// For messages: in quotes, cut at 64 bytes.
[[nodiscard]] std::string quoted(std::string_view text);

/// A view of the parser, which owns it. Errors: InvalidArgument, when it is no JSON or longer than
/// `bytes_max`.
[[nodiscard]] Result<simdjson::dom::element> read_document(simdjson::dom::parser& parser,
                                                           std::string_view json,
                                                           std::string_view path,
                                                           std::size_t bytes_max);

/// The members of a JSON object, by the names that it may have. Views of the document.
class Members {
 public:
  /// Errors: InvalidArgument: no object, a key that is not among `names`, a key given twice.
  static Result<Members> read(simdjson::dom::element element, std::string_view path,
                              std::span<const std::string_view> names);

  /// Null when it is not there.
  [[nodiscard]] const simdjson::dom::element* find(std::string_view name) const;

  /// Absent: not there. Errors: InvalidArgument: of another type.
  [[nodiscard]] Result<std::optional<std::string_view>> text(std::string_view name) const;
  [[nodiscard]] Result<std::optional<bool>> boolean(std::string_view name) const;

  /// Errors: InvalidArgument: not there, or no text.
  [[nodiscard]] Result<std::string_view> required_text(std::string_view name) const;

  /// Where the object stands in the document: "filter_rules.groups[0]".
  [[nodiscard]] const std::string& path() const { return path_; }

  [[nodiscard]] std::string path_of(std::string_view name) const;

 private:
  std::string path_;
  std::vector<std::pair<std::string_view, simdjson::dom::element>> values_;
};

[[nodiscard]] Result<simdjson::dom::array> read_array(simdjson::dom::element element,
                                                      std::string_view path);

}  // namespace gantry::pipeline
