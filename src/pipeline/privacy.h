#pragma once

// The privacy view of spans: no prompt, no completion, wherever content can sit; everything else
// kept. Which names hold content: content_keys.h.

#include <string_view>

#include "telemetry/span_batch.h"

namespace gantry::pipeline {

/// What takes the place of an error's text when nothing better is known; OpenTelemetry's fallback
/// value of error.type.
inline constexpr std::string_view kUnknownErrorType = "_OTHER";

/// Removes content attributes from spans, events, links, scopes and resources, and events that only
/// carry content. An attribute whose key-value list has a content key at any depth goes whole.
///
/// Texts of errors become a word, because providers quote the prompt in them: in a span and its
/// events the span's error.type, else for an event its exception.type and for a failed span that of
/// its first event that has one, else kUnknownErrorType. That goes for attributes like
/// exception.message and for the status message, which is emptied when the status is not Error;
/// stack traces go. A type that does not look like a word (white space, quotes, over 128 bytes)
/// becomes kUnknownErrorType too.
///
/// Everything else is as it was, the order and the dropped counts included: those say what the
/// source lost. `out` is replaced and shares views with `in`, which must outlive it; `out.otlp` is
/// empty. One pass, no text is copied. Pure: any number of threads, each with its own `out`.
void make_privacy_view(const telemetry::SpanBatch& in, telemetry::SpanBatch& out);

}  // namespace gantry::pipeline
