#pragma once

// What the judges of HTTP's and of gRPC's answers share.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "broadcast/verdict.h"
#include "codec/otlp_response.h"

namespace gantry::broadcast {

inline constexpr std::int64_t kRetryAfterMaxMs = 3'600'000;
/// Of a receiver whose answer means "never" by OTLP, and mostly is trouble of its own that passes.
inline constexpr int kServerErrorRetriesMax = 3;

/// Valid UTF-8 of one line, at most `bytes_max` long.
[[nodiscard]] std::string one_line(std::string_view text, std::size_t bytes_max);

/// `text` in one line and without secrets; "" when one is too short to be told from other text.
[[nodiscard]] std::string quotable(const DestinationConfig& config, std::string_view text);

/// `ours`, and what the receiver said unless that is empty; `theirs` is quotable.
void set_message(Classified& classified, std::string_view ours, std::string_view theirs);

/// "check apiKey", by what a type has.
[[nodiscard]] std::string unauthorized_advice(const Destination& destination);

/// The data was taken, apart from what `body`, an Export response, names.
[[nodiscard]] Classified classify_partial_success(const Destination& destination,
                                                  codec::OtlpEncoding encoding,
                                                  std::string_view body);

/// The end of a gRPC call, by OTLP's table of codes; `body` is that of a call that was taken.
[[nodiscard]] Classified classify_rpc(const Destination& destination, const RpcEnd& end,
                                      std::string_view body);

}  // namespace gantry::broadcast
