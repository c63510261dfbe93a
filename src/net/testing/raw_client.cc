#include "net/testing/raw_client.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <utility>

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

namespace gantry::net::testing {

std::string RawResponse::field(std::string_view lower_name) const {
  for (const auto& [name, value] : fields) {
    if (name == lower_name) return value;
  }
  return "";
}

struct RawClient::Impl {
  int fd = -1;
  bool is_connected = false;
  SSL_CTX* context = nullptr;
  SSL* tls = nullptr;
  std::string buffer;

  ~Impl() {
    if (tls != nullptr) SSL_free(tls);
    if (context != nullptr) SSL_CTX_free(context);
    if (fd >= 0) ::close(fd);
  }

  bool fill() {
    std::array<char, 65536> piece;
    const auto count = tls != nullptr
                           ? static_cast<ssize_t>(SSL_read(tls, piece.data(), piece.size()))
                           : ::recv(fd, piece.data(), piece.size(), 0);
    if (count <= 0) return false;
    buffer.append(piece.data(), static_cast<std::size_t>(count));
    return true;
  }

  /// Up to and without the line break; false at the end.
  bool take_line(std::string& line) {
    std::size_t end = 0;
    while ((end = buffer.find("\r\n")) == std::string::npos) {
      if (!fill()) return false;
    }
    line = buffer.substr(0, end);
    buffer.erase(0, end + 2);
    return true;
  }

  bool take_bytes(std::size_t count, std::string& out) {
    while (buffer.size() < count) {
      if (!fill()) return false;
    }
    out.append(buffer, 0, count);
    buffer.erase(0, count);
    return true;
  }

  bool take_chunks(std::string& out) {
    for (;;) {
      std::string line;
      if (!take_line(line)) return false;
      std::size_t size = 0;
      std::from_chars(line.data(), line.data() + line.size(), size, 16);
      std::string end;
      if (!take_bytes(size, out) || !take_bytes(2, end) || end != "\r\n") return false;
      if (size == 0) return true;
    }
  }
};

RawClient::RawClient(std::uint16_t port, Security security) : impl_(std::make_unique<Impl>()) {
  impl_->fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(impl_->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(impl_->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(impl_->fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return;
  }
  impl_->is_connected = true;
  if (security == Security::Plain) return;
  impl_->context = SSL_CTX_new(TLS_client_method());
  impl_->tls = SSL_new(impl_->context);
  SSL_set_fd(impl_->tls, impl_->fd);
  impl_->is_connected = SSL_connect(impl_->tls) == 1;
}

RawClient::~RawClient() = default;

bool RawClient::is_connected() const {
  return impl_->is_connected;
}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = impl_->tls != nullptr
                           ? static_cast<ssize_t>(SSL_write(impl_->tls, bytes.data(),
                                                            static_cast<int>(bytes.size())))
                           : ::send(impl_->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

std::string RawClient::receive_some() {
  if (impl_->buffer.empty()) impl_->fill();
  return std::exchange(impl_->buffer, {});
}

RawResponse RawClient::receive(bool has_body) {
  RawResponse response;
  std::string line;
  if (!impl_->take_line(line) || line.size() < 12) return response;
  std::from_chars(line.data() + 9, line.data() + 12, response.status);
  while (impl_->take_line(line) && !line.empty()) {
    const std::size_t colon = line.find(':');
    std::string name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    response.fields.emplace_back(name, line.substr(std::min(colon + 2, line.size())));
  }
  if (!has_body || response.status == 204 || response.status == 304 || response.status == 100) {
    response.is_complete = true;
    return response;
  }
  if (response.field("transfer-encoding") == "chunked") {
    response.is_complete = impl_->take_chunks(response.body);
  } else if (!response.field("content-length").empty()) {
    response.is_complete =
        impl_->take_bytes(std::stoul(response.field("content-length")), response.body);
  } else {
    while (impl_->fill()) {
    }
    response.body = std::exchange(impl_->buffer, {});
    response.is_complete = true;
  }
  return response;
}

bool RawClient::is_at_end() {
  return impl_->buffer.empty() && !impl_->fill() && errno != EAGAIN;
}

void RawClient::finish_sending() {
  if (impl_->tls != nullptr) SSL_shutdown(impl_->tls);
  ::shutdown(impl_->fd, SHUT_WR);
}

void RawClient::reset() {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(impl_->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  ::close(std::exchange(impl_->fd, -1));
}

void RawClient::set_receive_buffer(int bytes) {
  ::setsockopt(impl_->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

std::string RawClient::peer_common_name() const {
  X509* const certificate = SSL_get1_peer_certificate(impl_->tls);
  if (certificate == nullptr) return "";
  std::array<char, 128> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                            static_cast<int>(name.size()));
  X509_free(certificate);
  return name.data();
}

CertificateFiles write_certificate(const std::string& directory, const std::string& common_name) {
  CertificateFiles files{.certificate_file = directory + "/" + common_name + ".crt",
                         .private_key_file = directory + "/" + common_name + ".key"};
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 24L * 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* const name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(certificate, name);
  for (const auto& [nid, value] : {std::pair(NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1"),
                                   std::pair(NID_basic_constraints, "critical,CA:TRUE")}) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
  X509_sign(certificate, key, EVP_sha256());
  FILE* file = std::fopen(files.certificate_file.c_str(), "w");
  PEM_write_X509(file, certificate);
  std::fclose(file);
  file = std::fopen(files.private_key_file.c_str(), "w");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return files;
}

}  // namespace gantry::net::testing
