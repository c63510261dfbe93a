#pragma once

// Reads a provider's event stream (text/event-stream, WHATWG HTML 9.2) as its bytes arrive.
//
//   reader.push(bytes);           // as often as there are bytes
//   while (true) {
//     GANTRY_TRY(const auto event, reader.next());
//     if (!event) break;
//     …
//   }
//   reader.end();                 // no more bytes: next() gives what was left unfinished
//
// More lenient than the standard where providers are: an event that no blank line ends counts at
// the end of the stream.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"

namespace gantry::gateway {

struct SseEvent {
  std::string_view name;  ///< Of the `event:` line; "" without one.
  std::string_view data;  ///< Of the `data:` lines, joined by line feeds.
};

/// The same events come out however the stream is cut into pieces. Comments, `id:`, `retry:` and
/// events without data are passed over. Not thread-safe. Holds at most an unfinished line and an
/// unfinished event besides what was pushed and not yet read.
class SseReader {
 public:
  struct Options {
    std::size_t line_bytes_max = 8 << 20;    ///< Images travel in one line.
    std::size_t event_bytes_max = 16 << 20;  ///< Of the data of one event.
  };

  SseReader() = default;

  explicit SseReader(Options options) : options_(options) {}

  void push(std::string_view bytes);

  /// No more bytes will come.
  void end() { has_ended_ = true; }

  /// The next complete event; nothing: more bytes are needed, or the stream is over. Views are
  /// valid until the next call of any member. Errors: TooLarge for a line or an event above its
  /// limit, at this call and all later ones.
  Result<std::optional<SseEvent>> next();

 private:
  Result<std::optional<std::string_view>> next_line();
  Result<void> take_field(std::string_view line);
  bool pass_byte_order_mark();
  std::optional<SseEvent> finish_event();

  Options options_;
  std::string buffer_;
  std::size_t line_begin_ = 0;
  std::size_t scanned_ = 0;  ///< No line ends in buffer_[line_begin_, scanned_).
  std::string name_;
  std::string data_;
  bool has_data_ = false;
  bool is_delivered_ = false;     ///< name_ and data_ are the caller's until the next call.
  bool is_after_return_ = false;  ///< A line feed that comes now belongs to the last line's end.
  bool is_at_start_ = true;
  bool has_ended_ = false;
  std::optional<Error> error_;
};

}  // namespace gantry::gateway
