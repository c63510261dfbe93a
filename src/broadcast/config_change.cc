#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "broadcast/config_change_internal.h"
#include "broadcast/config_fields_internal.h"
#include "broadcast/json_fields_internal.h"
#include "net/egress_url.h"
#include "net/grpc_client.h"

namespace gantry::broadcast {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kUsernameBytesMax = 255;
constexpr std::size_t kInstanceIdBytesMax = 20;

// Names of which the sender or the transport has its own idea, and those that some receivers take
// for proof of where a request comes from.
constexpr std::array<std::string_view, 12> kRefusedHeaders = {
    "host",       "content-length", "content-type", "content-encoding", "transfer-encoding",
    "connection", "keep-alive",     "te",           "trailer",          "upgrade",
    "expect",     "metadata-flavor"};
constexpr std::array<std::string_view, 3> kRefusedHeaderPrefixes = {"proxy-", "x-forwarded-",
                                                                    "x-aws-ec2-metadata-token"};

constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), to_lower);
  return lower;
}

bool is_visible(char c) {
  return c > ' ' && c < '\x7f';
}

bool is_token_character(char c) {
  return is_visible(c) && !std::string_view("\"(),/:;<=>?@[\\]{}").contains(c);
}

const std::string* find_header(const DestinationConfig& config, std::string_view name) {
  const auto found = std::ranges::find_if(config.headers, [&](const auto& header) {
    return lower_case(header.first) == lower_case(name);
  });
  return found == config.headers.end() ? nullptr : &found->second;
}

/// Why a text cannot be a secret; "" when it can.
std::string secret_problem(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > kSecretTextBytesMax)
    return fmt::format("is longer than {} bytes", kSecretTextBytesMax);
  if (!std::ranges::all_of(text, is_visible))
    return "has white space or characters that are not ASCII; enter the secret alone";
  return {};
}

std::string header_value_problem(std::string_view text) {
  if (text.size() > kSecretTextBytesMax)
    return fmt::format("is longer than {} bytes", kSecretTextBytesMax);
  if (!std::ranges::all_of(text, [](char c) { return c == ' ' || c == '\t' || is_visible(c); }))
    return "has a control character or one that is not ASCII";
  if (text.empty() || !is_visible(text.front()) || !is_visible(text.back()))
    return "is empty, or begins or ends with white space";
  return {};
}

std::string header_name_problem(std::string_view name) {
  if (name.empty() || name.size() > kHeaderNameBytesMax ||
      !std::ranges::all_of(name, is_token_character))
    return fmt::format("is not the name of a header (at most {} letters, digits and -)",
                       kHeaderNameBytesMax);
  const std::string lower = lower_case(name);
  if (std::ranges::find(kRefusedHeaders, lower) != kRefusedHeaders.end() ||
      std::ranges::any_of(kRefusedHeaderPrefixes,
                          [&](std::string_view prefix) { return lower.starts_with(prefix); }))
    return "cannot be set";
  return {};
}

/// In the form that is kept: no second way of writing the same server.
Result<std::string> normal_url(std::string_view text) {
  GANTRY_TRY(const net::EgressUrl url, net::parse_egress_url(text));
  if (url.scheme != "https" && url.scheme != "http")
    return fail(Code::InvalidArgument, "must begin with https:// or http://");
  const bool has_path = url.target != "/" || text.ends_with('/');
  return has_path ? url.text() : url.origin();
}

/// Changes one config by a body.
class Change {
 public:
  Change(dom::element element, DestinationType type, const DestinationConfig& before,
         std::vector<access::FieldProblem>& problems)
      : type_(type),
        before_(before),
        after_(before),
        problems_before_(problems.size()),
        names_(field_names(type)),
        fields_(element, "config", names_, problems),
        problems_(problems) {}

  DestinationConfig run() {
    for (const ConfigField& field : config_fields(type_)) read(field);
    // What is missing matters once what is there is right.
    if (problems_.size() == problems_before_ && after_.protocol == Protocol::Grpc) check_grpc();
    if (problems_.size() == problems_before_) check_whole();
    return std::move(after_);
  }

 private:
  static std::vector<std::string_view> field_names(DestinationType type) {
    std::vector<std::string_view> names;
    for (const ConfigField& field : config_fields(type)) names.push_back(field.name);
    return names;
  }

  void read(const ConfigField& field) {
    if (fields_.find(field.name) == nullptr) return;
    if (fields_.is_null(field.name)) return reset(field.kind);
    if (field.kind == FieldKind::Headers) return read_headers(field);
    if (field.kind == FieldKind::Version) return read_version(field);
    if (field.kind == FieldKind::Signals) return take_signals(field);
    const auto text = fields_.text(field.name);
    if (!text) return;
    if (field.kind == FieldKind::Secret) return read_secret(field, *text);
    if (std::string problem = read_text(field.kind, *text); !problem.empty())
      fields_.complain(field.name, std::move(problem));
  }

  void reset(FieldKind kind) {
    DestinationConfig fresh = default_config(type_);
    if (kind == FieldKind::Url) after_.url = std::move(fresh.url);
    if (kind == FieldKind::MetricsUrl) after_.metrics_url.clear();
    if (kind == FieldKind::Signals) after_.signals = fresh.signals;
    if (kind == FieldKind::InstanceId || kind == FieldKind::Username) after_.instance_id.clear();
    if (kind == FieldKind::Secret) after_.secret.clear();
    if (kind == FieldKind::Method) after_.method = std::move(fresh.method);
    if (kind == FieldKind::Protocol) after_.protocol = fresh.protocol;
    if (kind == FieldKind::Encoding) after_.encoding = fresh.encoding;
    if (kind == FieldKind::Compression) after_.compression = fresh.compression;
    if (kind == FieldKind::Version) after_.remote_write_version = fresh.remote_write_version;
    if (kind == FieldKind::Headers) after_.headers.clear();
  }

  /// The problem; "" when there is none.
  std::string read_text(FieldKind kind, std::string_view text) {
    if (kind == FieldKind::Url || kind == FieldKind::MetricsUrl) {
      auto url = normal_url(text);
      if (!url) return std::move(url).error().message;
      (kind == FieldKind::Url ? after_.url : after_.metrics_url) = *std::move(url);
      return {};
    }
    if (kind == FieldKind::InstanceId) {
      after_.instance_id = text;
      const bool is_number = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
      if (text.empty() || text.size() > kInstanceIdBytesMax || !is_number)
        return "must be the numeric instance id, such as \"123456\"";
    }
    if (kind == FieldKind::Username) {
      after_.instance_id = text;
      if (text.size() > kUsernameBytesMax || text.contains(':') ||
          !std::ranges::all_of(text, is_visible))
        return fmt::format("must be at most {} ASCII characters without white space and ':'",
                           kUsernameBytesMax);
    }
    if (kind == FieldKind::Method) {
      after_.method = text;
      if (text != "POST" && text != "PUT") return "must be \"POST\" or \"PUT\"";
    }
    if (kind == FieldKind::Protocol) {
      after_.protocol = text == "grpc" ? Protocol::Grpc : Protocol::Http;
      if (text != protocol_name(after_.protocol)) return "must be \"http\" or \"grpc\"";
    }
    if (kind == FieldKind::Encoding) {
      is_encoding_given_ = true;
      after_.encoding = text == "json" ? Encoding::Json : Encoding::Protobuf;
      if (text != encoding_name(after_.encoding)) return "must be \"json\" or \"protobuf\"";
    }
    if (kind == FieldKind::Compression) {
      after_.compression = text == "none" ? Compression::None : Compression::Gzip;
      if (text != compression_name(after_.compression)) return "must be \"gzip\" or \"none\"";
    }
    return {};
  }

  void read_version(const ConfigField& field) {
    const auto version = fields_.number(field.name);
    if (!version) return;
    if (*version != 1 && *version != 2) return fields_.complain(field.name, "must be 1 or 2");
    after_.remote_write_version = static_cast<int>(*version);
  }

  void take_signals(const ConfigField& field) {
    const auto signals = read_signals(*fields_.find(field.name));
    if (!signals)
      return fields_.complain(field.name, "must be a list of \"traces\", \"metrics\" or both");
    after_.signals = *signals;
  }

  /// The secret that `text` means; absent after a problem. `stored` is null when none is set.
  std::optional<std::string> entered_secret(const std::string& path, std::string_view text,
                                            const std::string* stored, std::string problem) {
    if (stored != nullptr && !stored->empty() && text == mask_secret(*stored)) {
      kept_.push_back(path);
      return *stored;
    }
    if (is_mask(text))
      problem = "is the mask of a secret, not a secret; leave it as it was shown, or enter it anew";
    if (problem.empty()) return std::string(text);
    problems_.push_back({.path = path, .reason = std::move(problem)});
    return std::nullopt;
  }

  void read_secret(const ConfigField& field, std::string_view text) {
    is_secret_given_ = true;
    const auto secret =
        entered_secret(fields_.path_of(field.name), text, &before_.secret, secret_problem(text));
    if (secret) after_.secret = *secret;
  }

  void read_headers(const ConfigField& field) {
    are_headers_given_ = true;
    after_.headers.clear();
    dom::object object;
    if (fields_.find(field.name)->get(object) != simdjson::SUCCESS)
      return fields_.complain(field.name, "must be an object of strings");
    std::size_t bytes = 0;
    for (const dom::key_value_pair& member : object) {
      if (after_.headers.size() == kHeadersMax)
        return fields_.complain(field.name, fmt::format("has more than {} headers", kHeadersMax));
      if (!read_header(field, member.key, member.value)) return;
      bytes += member.key.size() + member.value.get_string_length().value_unsafe();
      if (bytes > kHeaderBytesMax)
        return fields_.complain(field.name,
                                fmt::format("is longer than {} bytes", kHeaderBytesMax));
    }
  }

  bool read_header(const ConfigField& field, std::string_view name, dom::element value) {
    if (std::string problem = header_name_problem(name); !problem.empty()) {
      fields_.complain(field.name, fmt::format("{} {}", quoted(name), problem));
      return false;
    }
    const std::string path = fmt::format("{}.{}", fields_.path_of(field.name), name);
    const auto complain = [&](std::string_view reason) {
      problems_.push_back({.path = path, .reason = std::string(reason)});
      return false;
    };
    if (find_header(after_, name) != nullptr) return complain("is given twice");
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return complain("must be a string");
    auto secret =
        entered_secret(path, text, find_header(before_, name), header_value_problem(text));
    if (!secret) return false;
    after_.headers.emplace(name, *std::move(secret));
    return true;
  }

  /// What is right for HTTP need not be for gRPC.
  void check_grpc() {
    if (auto url = net::parse_egress_url(after_.url); url) {
      if (url->target != "/")
        fields_.complain(config_field_names(type_).url,
                         "has a path: with protocol grpc it is host and port alone, such as "
                         "https://collector.example:4317");
      after_.url = url->origin();
    }
    // Who did not name one takes what the protocol takes.
    if (!is_encoding_given_) after_.encoding = Encoding::Protobuf;
    if (after_.encoding == Encoding::Json)
      fields_.complain("encoding", "must be \"protobuf\" with protocol grpc");
    if (!after_.metrics_url.empty())
      fields_.complain(field_of(FieldKind::MetricsUrl)->name,
                       "cannot be set with protocol grpc, where both signals go to the endpoint");
    for (const auto& [name, value] : after_.headers)
      if (const auto problem = net::grpc_metadata_problem(name, value); !problem.empty())
        fields_.complain("headers", fmt::format("{} {}", quoted(std::string_view(name)), problem));
  }

  void check_whole() {
    for (const ConfigField& field : config_fields(type_))
      if (field.is_required && is_unset(field.kind)) fields_.complain(field.name, "is required");
    if (const ConfigField* const field = field_of(FieldKind::MetricsUrl);
        field != nullptr && after_.signals.metrics && metrics_url_of(after_).empty())
      fields_.complain(field->name,
                       fmt::format("is required for metrics: {} does not end in /v1/traces",
                                   config_field_names(type_).url));
    if (field_of(FieldKind::Username) != nullptr && !after_.instance_id.empty() &&
        after_.secret.empty())
      fields_.complain(config_field_names(type_).secret, "is required beside a user name");
    if (!after_.secret.empty() && find_header(after_, "authorization") != nullptr)
      fields_.complain("headers", fmt::format("cannot set Authorization: {} is sent in it",
                                              config_field_names(type_).secret));
    check_secrets_stay();
  }

  [[nodiscard]] const ConfigField* field_of(FieldKind kind) const {
    const std::span<const ConfigField> fields = config_fields(type_);
    const auto field = std::ranges::find(fields, kind, &ConfigField::kind);
    return field == fields.end() ? nullptr : &*field;
  }

  [[nodiscard]] bool is_unset(FieldKind kind) const {
    if (kind == FieldKind::Url) return after_.url.empty();
    if (kind == FieldKind::InstanceId) return after_.instance_id.empty();
    return kind == FieldKind::Secret && after_.secret.empty();
  }

  /// Whoever may change a destination could else have its stored secrets sent to a server of
  /// their own, without ever having known them.
  void check_secrets_stay() {
    const std::string_view moved = field_of_other_server();
    if (moved.empty()) return;
    if (!is_secret_given_ && !after_.secret.empty() && after_.secret == before_.secret)
      kept_.push_back(fields_.path_of(config_field_names(type_).secret));
    if (!are_headers_given_)
      for (const auto& [name, value] : after_.headers)
        kept_.push_back(fields_.path_of(fmt::format("headers.{}", name)));
    for (const std::string& path : kept_)
      problems_.push_back({.path = path,
                           .reason = fmt::format("must be entered again: {} names another server",
                                                 fields_.path_of(moved))});
  }

  /// The field whose server was not sent to before; "" when there is none.
  [[nodiscard]] std::string_view field_of_other_server() const {
    const auto is_known = [&](std::string_view text) {
      const auto url = net::parse_egress_url(text);
      if (!url) return false;
      return std::ranges::any_of(std::array{before_.url, before_.metrics_url},
                                 [&](const std::string& known) {
                                   const auto old_url = net::parse_egress_url(known);
                                   return old_url && old_url->origin() == url->origin();
                                 });
    };
    if (!is_known(after_.url)) return config_field_names(type_).url;
    const ConfigField* const metrics = field_of(FieldKind::MetricsUrl);
    if (metrics == nullptr || after_.metrics_url.empty() || is_known(after_.metrics_url)) return "";
    return metrics->name;
  }

  DestinationType type_;
  const DestinationConfig& before_;
  DestinationConfig after_;
  std::size_t problems_before_;
  std::vector<std::string_view> names_;
  JsonFields fields_;
  std::vector<access::FieldProblem>& problems_;
  std::vector<std::string> kept_;  ///< Paths of secrets given as masks.
  bool is_encoding_given_ = false;
  bool is_secret_given_ = false;
  bool are_headers_given_ = false;
};

}  // namespace

DestinationConfig change_config(dom::element element, DestinationType type,
                                const DestinationConfig& before,
                                std::vector<access::FieldProblem>& problems) {
  return Change(element, type, before, problems).run();
}

}  // namespace gantry::broadcast
