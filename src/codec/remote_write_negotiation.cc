// Which message a request holds, from its headers.

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "codec/remote_write.h"
#include "codec/series_labels.h"

namespace gantry::codec {

namespace {

constexpr std::string_view kMediaType = "application/x-protobuf";

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    const auto lower = [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return lower(x) == lower(y);
  });
}

}  // namespace

Result<RemoteWriteVersion> parse_remote_write_content_type(std::string_view value) {
  const auto refuse = [&] {
    return fail(Code::Unsupported,
                fmt::format("Content-Type \"{}\" is not accepted; send application/x-protobuf, "
                            "application/x-protobuf;proto=prometheus.WriteRequest or "
                            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                            excerpt(value, 128)));
  };
  value = trim(value);
  if (value.empty()) return RemoteWriteVersion::V1;
  std::size_t end = std::min(value.find(';'), value.size());
  if (!equals_ignoring_case(trim(value.substr(0, end)), kMediaType)) return refuse();
  RemoteWriteVersion version = RemoteWriteVersion::V1;
  while (end < value.size()) {
    const std::size_t start = end + 1;
    end = std::min(value.find(';', start), value.size());
    const std::string_view parameter = trim(value.substr(start, end - start));
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    if (!equals_ignoring_case(trim(parameter.substr(0, equals)), "proto")) continue;
    std::string_view proto =
        equals < parameter.size() ? trim(parameter.substr(equals + 1)) : std::string_view();
    if (proto.size() >= 2 && proto.front() == '"' && proto.back() == '"') {
      proto = proto.substr(1, proto.size() - 2);
    }
    if (proto == "prometheus.WriteRequest") {
      version = RemoteWriteVersion::V1;
    } else if (proto == "io.prometheus.write.v2.Request") {
      version = RemoteWriteVersion::V2;
    } else {
      return refuse();
    }
  }
  return version;
}

Result<void> check_remote_write_encoding(std::string_view value) {
  value = trim(value);
  if (value.empty() || equals_ignoring_case(value, "snappy")) return {};
  return fail(Code::Unsupported, fmt::format("{} encoding (compression) is not accepted by this "
                                             "server; only snappy is acceptable",
                                             excerpt(value, 64)));
}

}  // namespace gantry::codec
