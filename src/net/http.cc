#include "net/http.h"

#include <algorithm>

#include "net/tokens_internal.h"

namespace gantry::net {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> decode_form(std::string_view encoded) {
  std::string out;
  out.reserve(encoded.size());
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] == '+') {
      out.push_back(' ');
      continue;
    }
    if (encoded[i] != '%') {
      out.push_back(encoded[i]);
      continue;
    }
    const int high = i + 2 < encoded.size() ? hex_digit(encoded[i + 1]) : -1;
    const int low = i + 2 < encoded.size() ? hex_digit(encoded[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return fail(Code::InvalidArgument,
                  "invalid URL escape \"" + std::string(encoded.substr(i, 3)) + "\"");
    }
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

}  // namespace

std::string_view method_text(Method method) {
  switch (method) {
    case Method::Get:
      return "GET";
    case Method::Head:
      return "HEAD";
    case Method::Post:
      return "POST";
    case Method::Put:
      return "PUT";
    case Method::Delete:
      return "DELETE";
    case Method::Options:
      return "OPTIONS";
    case Method::Patch:
      return "PATCH";
    case Method::Other:
      return "other";
  }
  return "other";
}

void Headers::set(std::string_view name, std::string value) {
  std::erase_if(fields_, [&](const auto& field) { return equals_without_case(field.first, name); });
  fields_.emplace_back(std::string(name), std::move(value));
}

std::string_view Headers::find(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (equals_without_case(key, name)) return value;
  }
  return {};
}

bool Headers::contains(std::string_view name) const {
  return count(name) != 0;
}

std::size_t Headers::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::count_if(fields_.begin(), fields_.end(),
                    [&](const auto& field) { return equals_without_case(field.first, name); }));
}

Result<Parameters> Parameters::parse(std::string_view encoded) {
  Parameters parameters;
  while (!encoded.empty()) {
    const std::size_t end = std::min(encoded.find('&'), encoded.size());
    const std::string_view pair = encoded.substr(0, end);
    encoded.remove_prefix(std::min(end + 1, encoded.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    GANTRY_TRY(std::string name, decode_form(pair.substr(0, equals)));
    GANTRY_TRY(std::string value, decode_form(pair.substr(std::min(equals + 1, pair.size()))));
    parameters.add(std::move(name), std::move(value));
  }
  return parameters;
}

std::optional<std::string_view> Parameters::find(std::string_view name) const {
  for (const auto& [key, value] : items_) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::vector<std::string_view> Parameters::find_all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : items_) {
    if (key == name) values.push_back(value);
  }
  return values;
}

std::string_view Request::path_parameter(std::string_view name) const {
  for (const auto& [key, value] : path_parameters) {
    if (key == name) return value;
  }
  return {};
}

Response text_response(int status, std::string body) {
  Response response{.status = status};
  response.headers.add("Content-Type", "text/plain; charset=utf-8");
  response.body = std::move(body);
  return response;
}

Response json_response(int status, std::string body) {
  Response response{.status = status};
  response.headers.add("Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

std::string_view status_text(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

int http_status(Code code) {
  switch (code) {
    case Code::Cancelled:
      return 499;
    case Code::InvalidArgument:
    case Code::OutOfRange:
      return 400;
    case Code::DeadlineExceeded:
    case Code::Unavailable:
      return 503;
    case Code::NotFound:
      return 404;
    case Code::AlreadyExists:
      return 409;
    case Code::PermissionDenied:
      return 403;
    case Code::ResourceExhausted:
      return 429;
    case Code::FailedPrecondition:
      return 412;
    case Code::Unimplemented:
      return 501;
    case Code::Internal:
    case Code::DataLoss:
      return 500;
    case Code::Unauthenticated:
      return 401;
    case Code::TooLarge:
      return 413;
    case Code::Unsupported:
      return 415;
  }
  return 500;
}

}  // namespace gantry::net
