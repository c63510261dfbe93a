#pragma once

// Metrics as text: Prometheus 0.0.4 and OpenMetrics 1.0, for /metrics.
//
//   const auto choice = codec::negotiate_exposition(request.headers.find("Accept"));
//   codec::write_exposition(choice, registry.collect(), response.body);
//   response.headers.set("Content-Type", codec::exposition_content_type(choice));

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/metrics.h"

namespace gantry::codec {

enum class ExpositionFormat : std::uint8_t { Text, OpenMetrics };

/// What becomes of names that are not legacy-valid (Prometheus common, model.EscapeName); the
/// others stay as they are. A colon may be in the name of a metric, but not of a label.
enum class NameEscaping : std::uint8_t {
  Underscores,  ///< Each character that may not be there becomes one underscore.
  AllowUtf8,    ///< Quoted: {"a.b", "l.x"="v"} 1
  Dots,         ///< a.b_c: a_dot_b__c; other characters that may not be there: two underscores.
  Values,       ///< a.b_c: U__a_2e_b__c; the only one that can be undone.
};

struct ExpositionChoice {
  ExpositionFormat format = ExpositionFormat::Text;
  NameEscaping escaping = NameEscaping::Underscores;
};

/// The acceptable form with the greatest weight; text 0.0.4 when nothing in the header fits. The
/// escaping is what it names, or else the nearest one of greater weight, whether acceptable or not;
/// underscores when none does.
[[nodiscard]] ExpositionChoice negotiate_exposition(std::string_view accept);

[[nodiscard]] std::string exposition_content_type(ExpositionChoice choice);

/// Appends the families in the order given; OpenMetrics ends with its EOF line.
void write_exposition(ExpositionChoice choice, std::span<const core::CollectedFamily> families,
                      std::string& out);

}  // namespace gantry::codec
