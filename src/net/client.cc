#include "net/client.h"

#include <array>
#include <memory>
#include <mutex>

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "net/egress_url.h"

namespace gantry::net {
namespace {

struct CurlFree {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }

  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

using FieldList = std::unique_ptr<curl_slist, CurlFree>;

/// What the callbacks fill.
struct Transfer {
  ClientResponse response;
  std::size_t bytes_max = 0;
  bool is_too_large = false;
};

std::size_t on_body(char* data, std::size_t, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (count > transfer.bytes_max - transfer.response.body.size()) {
    transfer.is_too_large = true;
    return CURL_WRITEFUNC_ERROR;
  }
  transfer.response.body.append(data, count);
  return count;
}

std::size_t on_header(char* data, std::size_t, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  std::string_view line(data, count);
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {  // an interim answer (100) came before
    transfer.response.headers = {};
    return count;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return count;
  std::string_view value = line.substr(colon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  transfer.response.headers.add(std::string(line.substr(0, colon)), std::string(value));
  return count;
}

bool has_line_break(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

Result<FieldList> make_fields(const Headers& headers) {
  FieldList fields;
  for (const auto& [name, value] : headers.fields()) {
    if (has_line_break(name) || has_line_break(value)) {
      return fail(Code::InvalidArgument,
                  fmt::format("header \"{}\" contains a line break", name.substr(0, 64)));
    }
    // libcurl sends a field without a value only in this form.
    const std::string line = value.empty() ? name + ";" : name + ": " + value;
    fields.reset(curl_slist_append(fields.release(), line.c_str()));
  }
  return fields;
}

/// libcurl asks for each socket with the address that it will connect to: nothing between a check
/// of the name and the connection can put another one in its place.
curl_socket_t open_socket(void* user, curlsocktype, curl_sockaddr* peer) {
  const auto& may_connect = *static_cast<const decltype(ClientRequest::may_connect)*>(user);
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (peer->family == AF_INET)
    bytes = &reinterpret_cast<const sockaddr_in*>(&peer->addr)->sin_addr;
  else if (peer->family == AF_INET6)
    bytes = &reinterpret_cast<const sockaddr_in6*>(&peer->addr)->sin6_addr;
  if (bytes == nullptr || inet_ntop(peer->family, bytes, text.data(), text.size()) == nullptr)
    return CURL_SOCKET_BAD;
  const auto address = core::IpAddress::parse(text.data());
  if (!address || !may_connect(*address)) return CURL_SOCKET_BAD;
  return ::socket(peer->family, peer->socktype | SOCK_CLOEXEC, peer->protocol);
}

/// The part of the options that says where to connect.
void set_destination(CURL* curl, const ClientRequest& request, FieldList& resolved) {
  if (request.may_connect) {
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &request.may_connect);
  }
  if (request.addresses.empty()) return;
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  const auto url = parse_egress_url(request.url);
  if (!url || url->address) return;
  const std::string entry =
      fmt::format("{}:{}:{}", url->host, url->port, fmt::join(request.addresses, ","));
  resolved.reset(curl_slist_append(nullptr, entry.c_str()));
  curl_easy_setopt(curl, CURLOPT_RESOLVE, resolved.get());
}

void set_options(CURL* curl, const ClientRequest& request, curl_slist* fields, Transfer& transfer) {
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(request.connect_timeout.count));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  if (!request.ca_file.empty()) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, request.ca_file.c_str());
    curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  }
  const std::string_view accepted = request.headers.find("Accept-Encoding");
  if (!accepted.empty()) {
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, std::string(accepted).c_str());
  }
  if (request.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

Error transfer_error(CURLcode code, const Transfer& transfer, const ClientRequest& request,
                     const char* detail) {
  if (transfer.is_too_large) {
    return {.code = Code::TooLarge,
            .message = fmt::format("the answer of {} is larger than {} bytes", request.url,
                                   request.response_bytes_max)};
  }
  Error error{.code = Code::Unavailable, .message = {}};
  if (code == CURLE_OPERATION_TIMEDOUT) error.code = Code::DeadlineExceeded;
  if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
    error.code = Code::InvalidArgument;
  }
  const std::string_view text = *detail == '\0' ? curl_easy_strerror(code) : detail;
  error.message = fmt::format("{} {}: {}", request.method, request.url, text);
  return error;
}

}  // namespace

Result<ClientResponse> send(const ClientRequest& request) {
  static std::once_flag is_initialised;
  std::call_once(is_initialised, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  if (has_line_break(request.method) || request.method.contains(' ') || request.method.empty()) {
    return fail(Code::InvalidArgument, "not an HTTP method");
  }
  GANTRY_TRY(const FieldList fields, make_fields(request.headers));
  const std::unique_ptr<CURL, CurlFree> curl(curl_easy_init());
  if (curl == nullptr) return fail(Code::Internal, "libcurl failed to start");

  Transfer transfer;
  transfer.bytes_max = request.response_bytes_max;
  char detail[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, detail);
  set_options(curl.get(), request, fields.get(), transfer);
  FieldList resolved;
  set_destination(curl.get(), request, resolved);
  const CURLcode code = curl_easy_perform(curl.get());
  if (code != CURLE_OK) {
    return std::unexpected(transfer_error(code, transfer, request, detail));
  }
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  transfer.response.status = static_cast<int>(status);
  return std::move(transfer.response);
}

}  // namespace gantry::net
