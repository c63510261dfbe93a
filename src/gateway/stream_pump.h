#pragma once

// Passes a provider's stream on to the client, event by event, from the first one to the end, and
// reads beside it what the trace and the bill need.
//
// Nobody waits in a thread: the provider is read when the client takes what was sent, and each
// event goes out as soon as it came.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/mutex.h"
#include "gateway/answer_shape.h"
#include "gateway/attempt.h"
#include "gateway/client_stream.h"
#include "gateway/stream_reader.h"
#include "gateway/stream_translate.h"
#include "gateway/token_estimate.h"

namespace gantry::gateway {

enum class StreamEnd : std::uint8_t {
  Completed,       ///< The client got everything.
  ProviderFailed,  ///< The client was told so, if it was still there.
  ClientLeft,
  ClientTooSlow,
  Stopped,  ///< The answer was cut here: by the server's end, or by `cancel`.
};

struct StreamResult {
  StreamEnd end = StreamEnd::Completed;
  std::optional<TypedError> error;  ///< Unless Completed.
  Attempt record;
  StreamedAnswer answer;  ///< Whatever came of it.
  ChunkTimes chunk_times;
  net::AnswerEnd client_end;
  double end_ms = 0;  ///< When the client's answer was over.
};

/// Adds the stream to what is known of its call: attempt, finish reasons, content and how it ended.
void add_stream(const StreamResult& result, Generation& generation);

/// Adds its usage, estimated if the provider did not tell all of it, and the cost by the pricing
/// that `generation` has. Takes as long as counting does.
void add_stream_usage(const StreamedAnswer& answer, const InferenceRequest& request,
                      const TextCounting& counting, Generation& generation);

/// Thread-safe. Goes on without a handle.
class StreamPump : public std::enable_shared_from_this<StreamPump> {
 public:
  struct Options {
    StreamOutcome upstream;
    Attempt record;  ///< Of the outcome.
    std::shared_ptr<ClientStream> client;
    AnswerShape shape;
    UpstreamTimeouts timeouts;  ///< Those that the attempt ran under.
    Stopwatch stopwatch;
    net::Headers headers;      ///< Of the answer, besides what the provider said.
    std::string first_events;  ///< Of the gateway's own, before the provider's.
  };

  using OnDone = std::move_only_function<void(StreamResult)>;

  /// `on_done` is called once, when provider and client are both done, on an I/O thread. It must
  /// not block.
  static std::shared_ptr<StreamPump> start(Options options, OnDone on_done);

  StreamPump(Options options, OnDone on_done);

  /// Cuts the client's answer, and with it the provider's.
  void cancel() { options_.client->abort(); }

 private:
  enum class Phase : std::uint8_t { Passing, Paused, Over };
  enum class Flow : std::uint8_t { On, Paused };

  void begin();
  void pass_on();
  [[nodiscard]] bool pass_events();
  [[nodiscard]] Flow flush();
  void pause(net::AnswerStream::Next next);
  void resume();
  void call_failed(const net::CallError& error);
  void end_upstream();
  void client_ended(const net::AnswerEnd& how);
  void note_chunk();
  void set_over();
  void complete();

  Options options_;
  OnDone on_done_;
  UpstreamEvents& events_;
  StreamTranslator translator_;
  StreamReader reader_;
  std::size_t output_bytes_ = 0;         ///< Of the chunks so far.
  std::optional<double> last_chunk_ms_;  ///< When the last one came.
  ChunkTimes chunk_times_;
  std::string out_;

  // What is above belongs to whoever moves the stream on: one thread at a time, as phase_ says.
  core::Mutex mutex_;
  Phase phase_ GANTRY_GUARDED_BY(mutex_) = Phase::Passing;
  std::optional<net::AnswerEnd> client_end_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::gateway
