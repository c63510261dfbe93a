#pragma once

// The metrics of finished calls: those of the GenAI semantic conventions under their Prometheus
// names, and the gateway's own. Never by user, session or prompt.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/metrics.h"
#include "gateway/generation.h"

namespace gantry::gateway {

/// Which names of the semantic conventions: those of 1.41, those that are to replace them, or both.
enum class SemanticConventions : std::uint8_t { Stable141, Latest, Both };

/// Whether a family is one that GatewayMetrics makes.
[[nodiscard]] bool is_call_metric(std::string_view family);

/// Thread-safe.
class GatewayMetrics {
 public:
  struct Options {
    SemanticConventions conventions = SemanticConventions::Both;
    /// Series with names that clients chose (models, keys); further ones are called "_other".
    std::size_t series_max = 10'000;
  };

  /// `registry` must outlive it.
  GatewayMetrics(core::MetricRegistry& registry, Options options);
  ~GatewayMetrics();
  GatewayMetrics(const GatewayMetrics&) = delete;
  GatewayMetrics& operator=(const GatewayMetrics&) = delete;

  /// Durations of the client's side (gen_ai.client.…) are those of each attempt at a provider, of
  /// the server's side those of the whole call. What is not known is not observed, and estimated
  /// tokens make no times per token.
  void observe(const Generation& generation);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::gateway
