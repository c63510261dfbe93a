#pragma once

// What destinations have refused for good, kept for a while so that somebody can see why, and send
// it again when the cause is gone.
//
//   GANTRY_CHECK(letters->add(id, items, {.status = 400, .message = body}));  // on disk
//   GANTRY_CHECK(queue->finish(id, positions, Outcome::DeadLettered));        // in this order
//   …
//   GANTRY_TRY(const std::uint64_t count, letters->replay(id, *queue, 1000));
//
// Of each destination a bounded list: when it is full, or a letter too old, the oldest go, together
// with those that were added in the same call. Format: docs/formats.md, "Dead letters".

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broadcast/queue.h"
#include "core/error.h"
#include "core/time.h"
#include "storage/file.h"

namespace gantry::broadcast {

/// Of a message: what is longer is cut. Enough for a server's reason, too little for a body that
/// quotes the request.
inline constexpr std::size_t kRefusalMessageBytesMax = 1024;

/// What a destination said.
struct Refusal {
  std::uint32_t status = 0;  ///< HTTP; 0: there was no answer.
  std::string message;
};

/// A letter without its payload.
struct DeadLetter {
  std::uint64_t id = 0;  ///< Of one destination: greater is newer.
  std::int64_t refused_ms = 0;
  Refusal refusal;
  std::uint32_t stack = 0;
  Signal signal = Signal::Spans;
  std::int64_t created_ms = 0;
  std::uint32_t item_count = 0;
  std::uint64_t order_key = 0;
  std::uint32_t payload_bytes = 0;
};

struct DeadLetterPage {
  std::vector<DeadLetter> letters;      ///< Newest first.
  std::optional<std::uint64_t> before;  ///< For the next page; nothing if there is none.
};

struct DeadLetterContent {
  DeadLetter letter;
  std::string payload;
};

struct DeadLetterCount {
  std::uint64_t letters = 0;
  std::uint64_t bytes = 0;    ///< Of payload.
  std::uint64_t evicted = 0;  ///< Letters since the start: for room, or too old.
};

/// Thread-safe. Files of a damaged head are moved to the quarantine, letters of a damaged payload
/// are left out of a replay; both are logged.
class DeadLetters {
 public:
  struct Options {
    std::uint64_t letters_max = 10'000;   ///< Per destination.
    std::uint64_t bytes_max = 256 << 20;  ///< Of payload, per destination.
    DurationMs age_max{std::int64_t{7} * 24 * 3'600'000};
  };

  /// Opens or creates the store in `directory`, which it locks. Errors: FailedPrecondition (locked,
  /// a newer format), those of File.
  static Result<std::unique_ptr<DeadLetters>> open(storage::FileSystem& files,
                                                   const storage::Path& directory,
                                                   const Clock& clock, const Options& options);

  virtual ~DeadLetters() = default;
  DeadLetters(const DeadLetters&) = delete;
  DeadLetters& operator=(const DeadLetters&) = delete;

  /// On disk when it returns. Errors, with nothing added or a part of it: InvalidArgument (no
  /// DestinationId), those of File.
  virtual Result<void> add(const DestinationId& id, std::span<const QueuedItem> items,
                           const Refusal& refusal) = 0;

  /// The newest, or those before that letter, at most `limit`. Of a destination without letters:
  /// none. Errors: those of File.
  virtual Result<DeadLetterPage> list(const DestinationId& id, std::optional<std::uint64_t> before,
                                      std::size_t limit) = 0;

  /// Errors: NotFound, DataLoss, those of File.
  virtual Result<DeadLetterContent> read(const DestinationId& id, std::uint64_t letter) = 0;

  /// Puts the oldest letters at the tail of their signal's lane, as created now, and takes them out
  /// of the list: as many as were added together, until there are `letters_max`. Returns how many.
  /// After a crash or an error some may be in both. Letters of a signal whose lane the queue does
  /// not have stay. Errors: NotFound (there are only such), those of Queue::append and of File.
  virtual Result<std::uint64_t> replay(const DestinationId& id, Queue& queue,
                                       std::uint64_t letters_max) = 0;

  /// Removes all letters of the destination and returns how many.
  virtual Result<std::uint64_t> clear(const DestinationId& id) = 0;

  [[nodiscard]] virtual DeadLetterCount count(const DestinationId& id) const = 0;

  /// Removes what is too old. The owner calls it now and then.
  virtual Result<void> maintain() = 0;

 protected:
  DeadLetters() = default;
};

}  // namespace gantry::broadcast
