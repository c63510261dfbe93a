#pragma once

// The formats behind StreamReader.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/json_reader.h"
#include "gateway/stream_reader.h"
#include "gateway/usage_reader.h"

namespace gantry::gateway {

class StreamFormat {
 public:
  explicit StreamFormat(std::size_t content_bytes_max) : content_bytes_left_(content_bytes_max) {}

  virtual ~StreamFormat() = default;
  StreamFormat(const StreamFormat&) = delete;
  StreamFormat& operator=(const StreamFormat&) = delete;

  virtual void read(const SseEvent& event) = 0;

  [[nodiscard]] const StreamedAnswer& answer() const { return answer_; }

  [[nodiscard]] bool has_output() const { return answer_.output_bytes > 0 || has_tool_call_; }

 protected:
  enum class Part : std::uint8_t { Text, Reasoning, Refusal };
  enum class Recording : bool { Off, On };

  void add_text(Part part, std::string_view text, Recording recording = Recording::On);

  /// A call that begins; the index for add_arguments, or nothing if it is not recorded.
  std::optional<std::size_t> add_tool_call(std::string id, std::string name,
                                           Recording recording = Recording::On);
  void add_arguments(std::optional<std::size_t> call, std::string_view text);

  /// What a later usage leaves out stays.
  void take_usage(const ReportedUsage& reported);

  /// Formats that know no choices have choice 0.
  void set_finish_reason(std::size_t choice, std::string_view native);

  StreamedAnswer answer_;

 private:
  void append_within_limit(std::string& target, std::string_view text);

  std::size_t content_bytes_left_;
  bool has_tool_call_ = false;
  std::vector<std::string> reasons_by_choice_;
};

[[nodiscard]] std::unique_ptr<StreamFormat> make_chat_format(std::size_t content_bytes_max);
[[nodiscard]] std::unique_ptr<StreamFormat> make_responses_format(std::size_t content_bytes_max);
[[nodiscard]] std::unique_ptr<StreamFormat> make_messages_format(std::size_t content_bytes_max);

}  // namespace gantry::gateway
