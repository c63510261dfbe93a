#pragma once

// The names under which instrumentations record what was said to a model and what it answered, and
// the texts of errors, which quote it. The list is fixed: what it does not name is kept.

#include <cstdint>
#include <span>
#include <string_view>

namespace gantry::pipeline {

enum class KeyClass : std::uint8_t {
  Plain,      ///< Neither of the following.
  Content,    ///< Prompts, completions, tool calls and their results, documents, stack traces.
  ErrorText,  ///< Free text of an error: exception.message, span.status_message.
  ErrorType,  ///< A word for an error: error.type, exception.type.
};

/// One entry of the list: a name, and whether it stands for all names below it too.
struct KeyRule {
  std::string_view name;  ///< "gen_ai.prompt" with `below`: gen_ai.prompt.0.content as well.
  KeyClass key_class = KeyClass::Content;
  bool below = false;
};

/// Hot: per attribute. One binary search.
[[nodiscard]] KeyClass classify_key(std::string_view key);

[[nodiscard]] inline bool is_content_key(std::string_view key) {
  return classify_key(key) == KeyClass::Content;
}

/// Whether a key inside an attribute's key-value list makes the attribute content: by the path from
/// the attribute's key ("gen_ai" with {"prompt": …}) or by itself, if it has a dot: "input" may
/// mean anything in there.
[[nodiscard]] bool is_nested_content_key(std::string_view path, std::string_view key);

/// Whether a span event exists to carry content: the older form with an event per message
/// (gen_ai.user.message, gen_ai.choice), and gen_ai.client.inference.operation.details.
[[nodiscard]] bool is_content_event(std::string_view name);

/// The list, for tests and documents. Sorted; names below others come right behind them.
[[nodiscard]] std::span<const KeyRule> key_rules();

}  // namespace gantry::pipeline
