#include "access/page.h"

#include <charconv>

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <sodium.h>

namespace gantry::access {
namespace {

constexpr int kVersion = 1;
constexpr std::size_t kCursorBytesMax = 512;
constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

std::unexpected<Error> not_a_cursor() {
  return fail(Code::InvalidArgument, "is not a cursor of this list");
}

}  // namespace

std::string format_page_cursor(const PageCursor& cursor) {
  // The hash as text: JSON numbers are exact only to 2^53.
  const nlohmann::json json = {{"v", kVersion},
                               {"createdAt", cursor.created_at.since_epoch},
                               {"id", cursor.id},
                               {"filterHash", fmt::format("{:016x}", cursor.filter_hash)}};
  const std::string text = json.dump();
  std::string encoded(sodium_base64_encoded_len(text.size(), kVariant), '\0');
  sodium_bin2base64(encoded.data(), encoded.size(),
                    reinterpret_cast<const unsigned char*>(text.data()), text.size(), kVariant);
  encoded.pop_back();  // the terminating zero
  return encoded;
}

Result<PageCursor> parse_page_cursor(std::string_view text) {
  if (text.size() > kCursorBytesMax) return not_a_cursor();
  std::string decoded(text.size(), '\0');
  std::size_t length = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(decoded.data()), decoded.size(),
                        text.data(), text.size(), nullptr, &length, nullptr, kVariant) != 0)
    return not_a_cursor();
  decoded.resize(length);
  const auto json = nlohmann::json::parse(decoded, nullptr, false);
  if (!json.is_object() || json.value("v", nlohmann::json()) != kVersion) return not_a_cursor();
  const auto created_at = json.find("createdAt");
  const auto id = json.find("id");
  const auto hash = json.find("filterHash");
  if (created_at == json.end() || !created_at->is_number_integer() || id == json.end() ||
      !id->is_string() || hash == json.end() || !hash->is_string())
    return not_a_cursor();
  PageCursor cursor{.created_at = {created_at->get<std::int64_t>()},
                    .id = id->get<std::string>(),
                    .filter_hash = 0};
  const auto digits = hash->get<std::string>();
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), cursor.filter_hash, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return not_a_cursor();
  return cursor;
}

}  // namespace gantry::access
