// What a provider, or somebody who claims to be one, sends: tokens, keys, its configuration.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "access/id_token.h"
#include "access/json_web_token.h"
#include "access/oidc_provider.h"
#include "access/secret_key.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry;
  static const bool is_ready = access::prepare_cryptography().has_value();
  if (size == 0 || !is_ready) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] & 3U) {
    case 0: {
      static const auto keys = *access::JsonWebKeys::parse(
          R"({"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})");
      static_cast<void>(access::verify_id_token(
          text, *keys, {.issuer = "https://idp.example", .client_id = "gantry", .nonce = "n"}));
      break;
    }
    case 1:
      static_cast<void>(access::JsonWebKeys::parse(text));
      break;
    case 2:
      static_cast<void>(access::parse_oidc_metadata(text, "https://idp.example"));
      break;
    default:
      static_cast<void>(access::read_groups(text, "/groups"));
      break;
  }
  return 0;
}
