#include <ctime>

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/tls_internal.h"

namespace gantry::net {
namespace {

std::int64_t expiry_of(SSL_CTX* context) {
  const X509* const leaf = SSL_CTX_get0_certificate(context);
  std::tm when{};
  if (leaf == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &when) != 1) return 0;
  return timegm(&when);
}

}  // namespace

Result<std::shared_ptr<TlsIdentity>> load_tls_identity(const TlsOptions& options) {
  namespace ssl = boost::asio::ssl;
  auto identity = std::make_shared<TlsIdentity>();
  ssl::context& context = identity->context;
  boost::system::error_code error;
  const auto refuse = [&](std::string_view what, const std::string& file) {
    return fail(Code::InvalidArgument,
                fmt::format("TLS: cannot use the {} in \"{}\": {}", what, file, error.message()));
  };
  if (SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION) != 1) {
    return fail(Code::Internal, "TLS: the library refuses TLS 1.2");
  }
  context.set_options(ssl::context::default_workarounds | ssl::context::single_dh_use, error);
  SSL_CTX_set_options(context.native_handle(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                                   SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Many clients drop the connection without a close_notify; HTTP's own framing tells a cut body.
  SSL_CTX_set_options(context.native_handle(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context.native_handle(), SSL_MODE_RELEASE_BUFFERS);
  if (context.use_certificate_chain_file(options.certificate_file, error)) {
    return refuse("certificate", options.certificate_file);
  }
  if (context.use_private_key_file(options.private_key_file, ssl::context::pem, error)) {
    return refuse("private key", options.private_key_file);
  }
  if (SSL_CTX_check_private_key(context.native_handle()) != 1) {
    return fail(
        Code::InvalidArgument,
        fmt::format("TLS: the private key in \"{}\" is not that of the certificate in \"{}\"",
                    options.private_key_file, options.certificate_file));
  }
  identity->expires_unix_seconds = expiry_of(context.native_handle());
  return identity;
}

}  // namespace gantry::net
