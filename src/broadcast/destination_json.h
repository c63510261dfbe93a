#pragma once

// Destinations as the API takes and shows them.
//
//   GANTRY_TRY(const DestinationBody body, DestinationBody::parse(request.body));
//   GANTRY_TRY(Destination draft, body.create());              // POST
//   GANTRY_TRY(Destination after, body.change(before));        // PATCH
//
// Create: `type`, `name` and `config` are required. Change: only what is given changes, `type` and
// the fields of `config` too; a new type begins with an empty config. Secrets given as their own
// masks stay as they are, and `null` clears api_key_hashes, filter_rules, attribute_rules,
// metric_relabel_configs, stream_aggregation and fields of config. `id`, `created_at` and
// `updated_at` are passed over, so that what was read can be written back.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "access/control_error.h"
#include "broadcast/destination.h"
#include "broadcast/destination_config.h"
#include "core/json_writer.h"

namespace gantry::broadcast {

inline constexpr std::size_t kDestinationBodyBytesMax = 1 << 20;
inline constexpr std::size_t kDestinationNameBytesMax = 255;
inline constexpr std::size_t kApiKeyHashesMax = 1000;  ///< In each of the two lists.
inline constexpr std::size_t kApiKeyHashBytesMax = 128;
inline constexpr double kSamplingRateMin = 0.0001;

/// All errors are InvalidArgument with the fields that are wrong; messages hold no secret.
class DestinationBody {
 public:
  /// A JSON object of the known fields. Errors also: TooLarge (kDestinationBodyBytesMax).
  [[nodiscard]] static access::ControlResult<DestinationBody> parse(std::string_view json);

  DestinationBody(DestinationBody&& other) noexcept;
  DestinationBody& operator=(DestinationBody&& other) noexcept;
  DestinationBody(const DestinationBody&) = delete;
  DestinationBody& operator=(const DestinationBody&) = delete;
  ~DestinationBody();

  /// The stack that is meant, by slug or instance id; absent: not said.
  [[nodiscard]] std::optional<std::string> workspace_id() const;

  /// Whether `type` or `config` is there: then `change` needs the secrets in clear, and the
  /// connection wants a test.
  [[nodiscard]] bool changes_connection() const;

  /// Without id, stack and times.
  [[nodiscard]] access::ControlResult<Destination> create() const;

  /// Type and config of one that need not be saved; nothing else is looked at.
  [[nodiscard]] access::ControlResult<Destination> connection() const;

  /// `before` with what is given. Secrets that would go to another scheme, host or port than before
  /// must be entered again.
  [[nodiscard]] access::ControlResult<Destination> change(const Destination& before) const;

 private:
  struct Impl;
  explicit DestinationBody(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

/// The object of the API, with masks instead of secrets.
void write_destination(core::JsonWriter& json, const Destination& destination,
                       const SecretMasks& masks);

}  // namespace gantry::broadcast
