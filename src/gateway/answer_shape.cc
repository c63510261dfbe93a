#include "gateway/answer_shape.h"

#include "gateway/chunk_editor_internal.h"
#include "gateway/tool_call_index.h"

namespace gantry::gateway {

std::optional<std::string> splice_answer(std::string_view body, const AnswerShape& shape) {
  AnswerShape whole = shape;
  whole.forwards_usage = true;
  ToolCallIndex tool_calls;
  ChunkEditor editor(body, whole, tool_calls);
  if (editor.run() != ChunkEditor::Outcome::Chunk) return std::nullopt;
  return editor.edited();
}

}  // namespace gantry::gateway
