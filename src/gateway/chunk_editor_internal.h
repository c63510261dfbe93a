#pragma once

// One chunk of a chat or completions stream, or an answer in one piece, and what must change in it.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/answer_shape.h"
#include "gateway/byte_edits.h"
#include "gateway/json_reader.h"
#include "gateway/tool_call_index.h"

namespace gantry::gateway {

class ChunkEditor {
 public:
  enum class Outcome : std::uint8_t {
    Chunk,    ///< edited() is what the client gets.
    Dropped,  ///< Usage alone, which the client did not ask for.
    Error,    ///< The provider's error.
    Broken,   ///< Not a JSON object.
  };

  /// All outlive the editor.
  ChunkEditor(std::string_view chunk, const AnswerShape& shape, ToolCallIndex& tool_calls)
      : chunk_(chunk), shape_(shape), tool_calls_(tool_calls), json_(chunk) {}

  Outcome run();

  [[nodiscard]] std::string edited() const;

  [[nodiscard]] bool has_finish_reason() const { return has_finish_reason_; }

 private:
  struct Fragment;

  void top_member(const JsonMember& member);
  void replace_text(bool& is_there, std::string_view text);
  void usage(const JsonMember& member);
  void choice();
  void read_delta(ByteRange range, std::int64_t choice);
  void tool_call(JsonReader& delta, std::size_t offset, std::int64_t choice);
  void mend(const Fragment& fragment, const ToolCallPlace& place);
  void complete();

  std::string_view chunk_;
  const AnswerShape& shape_;
  ToolCallIndex& tool_calls_;
  JsonReader json_;
  ByteEdits edits_;
  bool has_id_ = false;
  bool has_model_ = false;
  bool has_provider_ = false;
  bool has_usage_ = false;
  bool has_error_ = false;
  bool has_choice_ = false;
  bool has_kept_member_ = false;
  bool has_finish_reason_ = false;
  std::size_t object_begin_ = 0;
};

}  // namespace gantry::gateway
