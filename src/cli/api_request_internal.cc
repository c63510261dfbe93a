#include "cli/api_request_internal.h"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>
#include <sodium.h>

#include "core/number_format.h"
#include "core/rfc3339.h"

namespace gantry::cli {
namespace {

constexpr std::string_view kUnreserved =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

std::string encode_base64(std::string_view text) {
  std::string encoded(sodium_base64_encoded_len(text.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(encoded.data(), encoded.size(),
                    reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  encoded.pop_back();  // the terminating zero
  return encoded;
}

}  // namespace

std::string encode_form(const std::vector<std::pair<std::string_view, std::string>>& fields) {
  std::string body;
  for (const auto& [name, value] : fields) {
    if (!body.empty()) body += '&';
    body += fmt::format("{}=", name);
    for (const char c : value) {
      if (kUnreserved.contains(c))
        body += c;
      else
        body += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return body;
}

std::string without_end_slashes(std::string_view url) {
  while (url.ends_with('/')) url.remove_suffix(1);
  return std::string(url);
}

void set_credentials(net::ClientRequest& request, std::string_view user, std::string_view token) {
  if (!user.empty())
    request.headers.set("Authorization",
                        "Basic " + encode_base64(fmt::format("{}:{}", user, token)));
  else if (!token.empty())
    request.headers.set("Authorization", fmt::format("Bearer {}", token));
}

Result<TimestampMs> parse_time(std::string_view flag, std::string_view text) {
  constexpr double kSecondsMax = 1e15;
  if (const auto seconds = core::parse_float(text);
      seconds && *seconds > -kSecondsMax && *seconds < kSecondsMax)
    return TimestampMs{static_cast<std::int64_t>(*seconds * 1000)};
  if (const auto time = core::parse_rfc3339(text)) return *time;
  return fail(Code::InvalidArgument,
              fmt::format("{}: \"{}\" is neither Unix seconds nor RFC 3339", flag, text));
}

std::string align(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i)
      text += fmt::format("{:<{}}  ", row[i], widths[i]);
    text += row.back() + "\n";
  }
  return text;
}

}  // namespace gantry::cli
