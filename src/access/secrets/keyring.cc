#include "access/secrets/keyring.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <sodium.h>

namespace gantry::access {
namespace {

constexpr int kBase64 = sodium_base64_VARIANT_ORIGINAL;
constexpr std::size_t kTextBytesMax = 64 * 1024;
constexpr std::string_view kKeyOfEnvironment = "env";

std::optional<Secret> decode_key(std::string_view base64) {
  Secret key(kSealKeyBytes);
  std::size_t length = 0;
  const char* end = nullptr;
  if (sodium_base642bin(key.bytes().data(), key.size(), base64.data(), base64.size(), nullptr,
                        &length, &end, kBase64) != 0 ||
      length != key.size() || end != base64.data() + base64.size())
    return std::nullopt;
  return key;
}

/// Overwrites what a JSON value holds of keys when it goes.
class WipedJson {
 public:
  explicit WipedJson(nlohmann::json value) : value_(std::move(value)) {}

  WipedJson(const WipedJson&) = delete;
  WipedJson& operator=(const WipedJson&) = delete;

  ~WipedJson() { wipe_strings(value_); }

  [[nodiscard]] const nlohmann::json& operator*() const { return value_; }

 private:
  static void wipe_strings(nlohmann::json& value) {
    if (value.is_string()) wipe(value.get_ref<std::string&>());
    if (value.is_structured())
      for (auto& item : value) wipe_strings(item);
  }

  nlohmann::json value_;
};

std::unexpected<Error> refuse_text(std::string what) {
  return fail(Code::InvalidArgument, std::move(what));
}

/// A member that comes twice: the last would win unseen, and a key be lost.
Result<nlohmann::json> parse_json(std::string_view text) {
  std::size_t names = 0;
  const auto count = [&](int depth, nlohmann::json::parse_event_t event,
                         const nlohmann::json& /*parsed*/) {
    if (event == nlohmann::json::parse_event_t::key && depth <= 2) ++names;
    return true;
  };
  auto json = nlohmann::json::parse(text, count, false);
  if (!json.is_object()) return refuse_text("not a JSON object");
  std::size_t kept = json.size();
  for (const auto& member : json)
    if (member.is_object()) kept += member.size();
  for (const auto& [name, value] : json.items())
    if (name != "active" && name != "keys")
      return refuse_text("a member other than \"active\" and \"keys\"");
  if (names != kept) return refuse_text("a member that comes twice");
  return json;
}

}  // namespace

Keyring Keyring::make(std::string id) {
  GANTRY_ASSERT(is_key_id(id), "ids are made here or checked");
  Keyring keyring;
  keyring.keys_.push_back({.id = std::move(id), .bytes = Secret::random(kSealKeyBytes)});
  return keyring;
}

Result<Keyring> Keyring::of_one_key(std::string_view base64) {
  auto bytes = decode_key(base64);
  if (!bytes) return refuse_text("not the base64 of 32 bytes");
  Keyring keyring;
  keyring.keys_.push_back({.id = std::string(kKeyOfEnvironment), .bytes = *std::move(bytes)});
  return keyring;
}

Result<Keyring> Keyring::parse(std::string_view text) {
  if (text.size() > kTextBytesMax) return refuse_text("larger than 64 KiB");
  GANTRY_TRY(auto parsed, parse_json(text));
  const WipedJson json(std::move(parsed));
  const auto active = (*json).find("active");
  const auto keys = (*json).find("keys");
  if (active == (*json).end() || !active->is_string())
    return refuse_text("\"active\" is not the id of a key");
  if (keys == (*json).end() || !keys->is_object() || keys->empty())
    return refuse_text("\"keys\" is not an object with keys");
  if (keys->size() > kKeyringKeysMax)
    return refuse_text(fmt::format("more than {} keys", kKeyringKeysMax));
  Keyring keyring;
  for (const auto& [id, value] : keys->items()) {
    if (!is_key_id(id))
      return refuse_text(
          "the id of a key is not 1 to 32 of a-z, 0-9, - and _, beginning with a-z0-9");
    std::optional<Secret> bytes;
    if (value.is_string()) bytes = decode_key(value.get_ref<const std::string&>());
    if (!bytes) return refuse_text(fmt::format("key \"{}\" is not the base64 of 32 bytes", id));
    keyring.keys_.push_back({.id = id, .bytes = *std::move(bytes)});
  }
  const auto found =
      std::ranges::find(keyring.keys_, active->get_ref<const std::string&>(), &KeyringKey::id);
  if (found == keyring.keys_.end()) return refuse_text("\"active\" is not the id of a key");
  keyring.active_ = static_cast<std::size_t>(found - keyring.keys_.begin());
  return keyring;
}

Secret Keyring::format() const {
  std::string text;
  text.reserve(kTextBytesMax);  // no copies of it are left behind as it grows
  text += fmt::format("{{\"active\":\"{}\",\"keys\":{{", active().id);
  for (const KeyringKey& key : keys_) {
    Secret base64(sodium_base64_encoded_len(kSealKeyBytes, kBase64));
    sodium_bin2base64(reinterpret_cast<char*>(base64.bytes().data()), base64.size(),
                      key.bytes.bytes().data(), key.bytes.size(), kBase64);
    text += fmt::format("{}\"{}\":\"", &key == keys_.data() ? "" : ",", key.id);
    text += base64.view().substr(0, base64.size() - 1);
    text += '"';
  }
  text += "}}\n";
  Secret formatted = Secret::copy_of(text);
  wipe(text);
  return formatted;
}

Keyring Keyring::with_new_key(std::string id) const {
  GANTRY_ASSERT(find(id) == nullptr, "a key is never replaced by another of its id");
  Keyring grown = make(std::move(id));
  grown.keys_.reserve(keys_.size() + 1);
  for (const KeyringKey& key : keys_)
    grown.keys_.push_back({.id = key.id, .bytes = Secret::copy_of(key.bytes.view())});
  return grown;
}

const KeyringKey* Keyring::find(std::string_view id) const {
  const auto found = std::ranges::find(keys_, id, &KeyringKey::id);
  return found == keys_.end() ? nullptr : &*found;
}

}  // namespace gantry::access
