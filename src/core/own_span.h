#pragma once

// What a piece of Gantry's own work says of itself while it runs on one thread.
//
//   annotate_own_span("gantry.query.samples", answer.samples);   // the request's span, if it has
//   one
//
//   {
//     const OwnSpanScope scan("store.select");                    // a child, until the scope ends
//     …
//   }
//
// Code that is traced need not know who records, or whether anybody does: without a recorder on the
// thread every call is a look at a thread-local pointer.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace gantry::core {

using OwnSpanValue = std::variant<std::string, std::int64_t, double, bool>;

enum class OwnSpanStatus : std::uint8_t { Unset, Error };

/// A finished span. The first of a recording is its root; `parent` is an index into the recording.
struct OwnSpan {
  static constexpr std::size_t kNoParent = SIZE_MAX;

  std::string name;
  std::int64_t start_ns = 0;  ///< Since the Unix epoch.
  std::int64_t end_ns = 0;
  std::size_t parent = kNoParent;
  OwnSpanStatus status = OwnSpanStatus::Unset;
  std::string status_message;
  std::vector<std::pair<std::string, OwnSpanValue>> attributes;
};

/// Records the spans of this thread while it exists. Recordings do not nest: one inside another
/// adds a child to it and has nothing to `take`. One thread.
class OwnSpanRecording {
 public:
  /// More spans or attributes than these are counted, not kept.
  static constexpr std::size_t kSpansMax = 64;
  static constexpr std::size_t kAttributesMax = 64;

  explicit OwnSpanRecording(std::string name);
  ~OwnSpanRecording();
  OwnSpanRecording(const OwnSpanRecording&) = delete;
  OwnSpanRecording& operator=(const OwnSpanRecording&) = delete;

  /// Ends the root. The spans, root first; empty for one inside another. Once.
  [[nodiscard]] std::vector<OwnSpan> take();

 private:
  friend class OwnSpanScope;
  friend void annotate_own_span(std::string_view key, OwnSpanValue value);
  friend void fail_own_span(std::string_view message);

  std::vector<OwnSpan> spans_;
  std::size_t open_ = 0;                    ///< The innermost span that has not ended.
  std::size_t child_ = OwnSpan::kNoParent;  ///< Inside another: its span for this one.
  bool is_root_ = false;
};

/// A child of the innermost open span. Does nothing without a recording.
class OwnSpanScope {
 public:
  explicit OwnSpanScope(std::string_view name);
  ~OwnSpanScope();
  OwnSpanScope(const OwnSpanScope&) = delete;
  OwnSpanScope& operator=(const OwnSpanScope&) = delete;

 private:
  std::size_t span_ = OwnSpan::kNoParent;
};

/// Sets an attribute of the innermost open span.
void annotate_own_span(std::string_view key, OwnSpanValue value);

/// Marks the innermost open span as failed.
void fail_own_span(std::string_view message);

/// Whether anybody would keep an annotation: for values that cost something to make.
[[nodiscard]] bool is_own_span_recorded();

}  // namespace gantry::core
