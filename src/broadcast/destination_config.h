#pragma once

// The `config` of a destination: which fields each type has, and how it is shown and kept without
// its secrets.
//
// | type                    | fields                                                              |
// | ----------------------- | ------------------------------------------------------------------- |
// | grafana                 | instanceId*, apiKey*, baseUrl, signals, encoding, compression,      |
// |                         | headers                                                             |
// | otel-collector          | endpoint*, metricsEndpoint, signals, protocol, encoding,            |
// |                         | compression, headers                                                |
// | webhook                 | url*, method, encoding, compression, headers                        |
// | gantry                  | baseUrl*, instanceId*, token*, signals, encoding, compression,      |
// |                         | headers                                                             |
// | prometheus-remote-write | url*, username, token, version, headers                             |
// | influx                  | url*, username, token, compression, headers                         |
//
// With a user name, a token is a password (Basic); alone it is sent as "Bearer" by remote write and
// as "Token" by Influx. apiKey, token and the values of headers are secrets: shown as masks.

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "broadcast/destination.h"
#include "core/error.h"
#include "core/json_writer.h"

namespace gantry::broadcast {

inline constexpr std::size_t kSecretTextBytesMax = 4096;
inline constexpr std::size_t kHeadersMax = 32;
inline constexpr std::size_t kHeaderNameBytesMax = 128;
inline constexpr std::size_t kHeaderBytesMax = 16 << 10;  ///< Names and values of all together.

/// What may be shown of a config's secrets; empty: not set.
struct SecretMasks {
  std::string secret;
  std::map<std::string, std::string, std::less<>> headers;

  friend bool operator==(const SecretMasks&, const SecretMasks&) = default;
};

/// The beginning (up to and including the first '_' if that is one of the first six characters,
/// else four), "...", the last four: "glc_...AbCd". Under 12 characters: "****". Empty for nothing.
[[nodiscard]] std::string mask_secret(std::string_view secret);

/// Whether `text` is what mask_secret makes of something.
[[nodiscard]] bool is_mask(std::string_view text);

[[nodiscard]] SecretMasks masks_of(const DestinationConfig& config);

/// What a config of the type has before anything is set.
[[nodiscard]] DestinationConfig default_config(DestinationType type);

/// As the API shows it, with masks instead of secrets: the config's own are not looked at. Fields
/// that are not set are left out.
void write_config(core::JsonWriter& json, DestinationType type, const DestinationConfig& config,
                  const SecretMasks& masks);

/// A config without its secrets.
struct MaskedConfig {
  DestinationConfig config;  ///< `secret` and `headers` are empty.
  SecretMasks masks;

  friend bool operator==(const MaskedConfig&, const MaskedConfig&) = default;
};

/// What write_config has written. Errors: DataLoss.
[[nodiscard]] Result<MaskedConfig> parse_masked_config(DestinationType type, std::string_view json);

/// Headers as one secret: a JSON object.
[[nodiscard]] std::string format_headers(
    const std::map<std::string, std::string, std::less<>>& headers);

/// Errors: DataLoss.
[[nodiscard]] Result<std::map<std::string, std::string, std::less<>>> parse_headers(
    std::string_view json);

}  // namespace gantry::broadcast
