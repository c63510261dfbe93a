#include <algorithm>
#include <optional>

#include "gateway/token_modalities_internal.h"

namespace gantry::gateway {
namespace {

using Count = std::optional<std::int64_t>;

enum class Rest : bool { Unknown, Text };

ModalityTokens split(std::int64_t total, const Count& text, const Count& audio, const Count& image,
                     Rest rest) {
  ModalityTokens tokens{.total = std::max<std::int64_t>(total, 0)};
  tokens.rest = tokens.total;
  const auto take = [&](std::string_view modality, const Count& told) {
    const std::int64_t taken = std::clamp<std::int64_t>(told.value_or(0), 0, tokens.rest);
    tokens.rest -= taken;
    return ModalityTokens::Told{.modality = modality, .tokens = taken};
  };
  tokens.told = {take("audio", audio), take("image", image), take(kTextModality, text)};
  // Who counts the text has not forgotten any of it.
  if (rest == Rest::Text && !text) tokens.rest_modality = kTextModality;
  return tokens;
}

}  // namespace

bool ModalityTokens::is_text() const {
  const bool is_rest_text = rest == 0 || rest_modality == kTextModality;
  return is_rest_text && std::ranges::all_of(told, [](const Told& each) {
           return each.tokens == 0 || each.modality == kTextModality;
         });
}

ModalityTokens input_modalities(const Generation& generation) {
  const Usage& usage = *generation.usage;
  const auto& sent = generation.input_media.modalities;
  const bool is_rest_text = std::ranges::all_of(sent, [&](const std::string& modality) {
    return (modality == "audio" && usage.input_audio) || (modality == "image" && usage.input_image);
  });
  return split(usage.input, usage.input_text, usage.input_audio, usage.input_image,
               is_rest_text ? Rest::Text : Rest::Unknown);
}

ModalityTokens output_modalities(const Generation& generation) {
  const Usage& usage = *generation.usage;
  const std::string& asked = generation.output_type;
  const bool is_rest_text =
      (asked != "speech" || usage.output_audio) && (asked != "image" || usage.output_image);
  return split(usage.output, usage.output_text, usage.output_audio, usage.output_image,
               is_rest_text ? Rest::Text : Rest::Unknown);
}

}  // namespace gantry::gateway
