#include "net/egress.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <map>
#include <utility>

#include <fmt/core.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "core/mutex.h"
#include "core/worker_pool.h"
#include "net/client.h"

namespace gantry::net {
namespace {

constexpr std::size_t kRecordsMax = 16;
constexpr std::array<std::uint16_t, 11> kPorts = {443,  4317, 4318, 8443, 9090, 9091,
                                                  3100, 3200, 8428, 9009, 9411};

struct Range {
  core::IpNetwork network;
  core::IpAddress base;
  int prefix_bits = 0;
};

/// "10.0.0.0/8", or an address for itself alone.
Result<Range> parse_range(std::string_view text) {
  const auto address = core::IpAddress::parse(text);
  const std::string whole =
      address ? fmt::format("{}/{}", text, address->is_v4() ? 32 : 128) : std::string(text);
  GANTRY_TRY(const core::IpNetwork network, core::IpNetwork::parse(whole));
  const std::string canonical = network.text();
  const std::size_t slash = canonical.find('/');
  Range range{.network = network,
              .base = *core::IpAddress::parse(std::string_view(canonical).substr(0, slash))};
  std::from_chars(canonical.data() + slash + 1, canonical.data() + canonical.size(),
                  range.prefix_bits);
  return range;
}

std::vector<Range> ranges_of(std::initializer_list<std::string_view> texts) {
  std::vector<Range> ranges;
  for (const std::string_view text : texts) {
    auto range = parse_range(text);
    GANTRY_ASSERT(range, "the tables below are networks");
    ranges.push_back(*std::move(range));
  }
  return ranges;
}

const std::vector<Range>& forbidden_ranges() {
  static const std::vector<Range> ranges =
      ranges_of({"127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128", "169.254.0.0/16", "fe80::/10",
                 "fd00:ec2::254/128", "100.100.100.200/32", "168.63.129.16/32", "224.0.0.0/4",
                 "ff00::/8", "240.0.0.0/4"});
  return ranges;
}

const std::vector<Range>& private_ranges() {
  static const std::vector<Range> ranges =
      ranges_of({"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24",
                 "198.18.0.0/15", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "fc00::/7",
                 "fec0::/10", "2001:db8::/32"});
  return ranges;
}

core::IpAddress v4_of(const std::array<std::uint8_t, 4>& b) {
  return *core::IpAddress::parse(fmt::format("{}.{}.{}.{}", b[0], b[1], b[2], b[3]));
}

/// The address, and the IPv4 addresses that a tunnel or translator would make of it.
std::vector<core::IpAddress> readings(const core::IpAddress& address) {
  std::vector<core::IpAddress> all = {address};
  if (address.is_v4()) return all;
  static const std::vector<Range> last_four = ranges_of({"::/96", "64:ff9b::/96"});
  static const Range local_nat64 = ranges_of({"64:ff9b:1::/48"}).front();
  static const Range six_to_four = ranges_of({"2002::/16"}).front();
  static const Range teredo = ranges_of({"2001::/32"}).front();
  const auto& b = address.bytes();
  const bool has_last_four = std::ranges::any_of(
      last_four, [&](const Range& range) { return range.network.contains(address); });
  // ::1 and :: are addresses of their own.
  if (has_last_four && (b[12] != 0 || b[13] != 0 || b[14] != 0 || b[15] > 1))
    all.push_back(v4_of({b[12], b[13], b[14], b[15]}));
  if (local_nat64.network.contains(address)) {
    all.push_back(v4_of({b[12], b[13], b[14], b[15]}));
    all.push_back(v4_of({b[6], b[7], b[9], b[10]}));  // RFC 6052 for a prefix of 48 bits
  }
  if (six_to_four.network.contains(address)) all.push_back(v4_of({b[2], b[3], b[4], b[5]}));
  if (teredo.network.contains(address)) {
    all.push_back(v4_of({b[4], b[5], b[6], b[7]}));
    const auto inverted = [&](std::size_t i) { return static_cast<std::uint8_t>(~b[i]); };
    all.push_back(v4_of({inverted(12), inverted(13), inverted(14), inverted(15)}));
  }
  return all;
}

const Range* find_range(const std::vector<Range>& ranges, const core::IpAddress& address) {
  const auto found = std::ranges::find_if(
      ranges, [&](const Range& range) { return range.network.contains(address); });
  return found == ranges.end() ? nullptr : &*found;
}

bool is_special_name(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost") || host == "metadata" ||
         host == "metadata.amazonaws.com" ||
         (host.ends_with(".internal") &&
          (host.starts_with("metadata.") || host.starts_with("instance-data.")));
}

std::unexpected<Error> not_allowed() {
  return fail(Code::PermissionDenied, "destination is not allowed");
}

Result<std::vector<core::IpAddress>> resolve_with_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); error != 0)
    return fail(Code::Unavailable, fmt::format("{}: {}", host, gai_strerror(error)));
  std::vector<core::IpAddress> addresses;
  for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(item->ai_addr, item->ai_addrlen, text.data(), text.size(), nullptr, 0,
                      NI_NUMERICHOST) != 0)
      continue;
    // A link-local address with its zone does not parse: it is left out, as it may not be used.
    if (const auto address = core::IpAddress::parse(text.data());
        address && addresses.size() < kRecordsMax)
      addresses.push_back(*address);
  }
  ::freeaddrinfo(list);
  if (addresses.empty()) return fail(Code::Unavailable, fmt::format("{}: no address", host));
  return addresses;
}

/// Of this machine's interfaces, and those that stand for it: loopback, unspecified.
bool is_of_this_machine(const core::IpAddress& address) {
  static const std::vector<Range> always =
      ranges_of({"127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128"});
  if (find_range(always, address) != nullptr) return true;
  ifaddrs* raw = nullptr;
  if (::getifaddrs(&raw) != 0) return false;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> list(raw, &::freeifaddrs);
  for (const ifaddrs* item = list.get(); item != nullptr; item = item->ifa_next) {
    if (item->ifa_addr == nullptr) continue;
    const bool is_v4 = item->ifa_addr->sa_family == AF_INET;
    if (!is_v4 && item->ifa_addr->sa_family != AF_INET6) continue;
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(item->ifa_addr, is_v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6),
                      text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0)
      continue;
    // A link-local address has its zone behind a '%'.
    const std::string_view whole(text.data());
    if (core::IpAddress::parse(whole.substr(0, whole.find('%'))) == address) return true;
  }
  return false;
}

/// Errors of the client name the URL; a query may hold what a log must not.
std::string without_query(std::string message, const EgressUrl& url) {
  const std::size_t query = url.target.find('?');
  if (query == std::string::npos) return message;
  const std::string shown = url.origin() + url.target.substr(0, query);
  for (std::size_t at = message.find(url.text()); at != std::string::npos;
       at = message.find(url.text(), at + shown.size()))
    message.replace(at, url.text().size(), shown);
  return message;
}

/// An answer that may come after nobody waits for it any more.
struct Lookup {
  core::Mutex mutex;
  core::ConditionVariable wake;
  std::optional<Result<std::vector<core::IpAddress>>> answer GANTRY_GUARDED_BY(mutex);
};

}  // namespace

EgressClass classify_address(const core::IpAddress& address) {
  EgressClass worst = EgressClass::Open;
  for (const core::IpAddress& reading : readings(address)) {
    if (find_range(forbidden_ranges(), reading) != nullptr) return EgressClass::Forbidden;
    if (find_range(private_ranges(), reading) != nullptr) worst = EgressClass::Private;
  }
  return worst;
}

struct Egress::Impl {
  explicit Impl(Options o)
      : options(std::move(o)),
        pool({.thread_count = 2, .queue_length_max = 64, .name = "resolve"}) {
    if (!options.resolve) options.resolve = resolve_with_system;
  }

  Options options;
  std::vector<Range> networks;
  std::vector<std::string> hosts;

  [[nodiscard]] bool is_listed(std::string_view host) const {
    return std::ranges::find(hosts, host) != hosts.end();
  }

  /// One that the operator named, as a network or an address.
  [[nodiscard]] bool is_listed(const core::IpAddress& address) const {
    return find_range(networks, address) != nullptr;
  }

  struct Own {
    std::optional<core::IpAddress> address;  // absent: all of this machine's
    std::uint16_t port = 0;
  };

  mutable core::SharedMutex own_mutex;
  std::vector<Own> own GANTRY_GUARDED_BY(own_mutex);

  [[nodiscard]] bool is_own(const core::IpAddress& address, std::uint16_t port) const {
    const core::ReadLock lock(own_mutex);
    return std::ranges::any_of(own, [&](const Own& each) {
      if (each.port != port) return false;
      return std::ranges::any_of(readings(address), [&](const core::IpAddress& reading) {
        return each.address ? *each.address == reading : is_of_this_machine(reading);
      });
    });
  }

  [[nodiscard]] std::unexpected<Error> block(const EgressUrl& url,
                                             std::unexpected<Error> refusal = not_allowed()) const {
    if (options.on_blocked) options.on_blocked(url);
    return refusal;
  }

  [[nodiscard]] bool may_connect(const core::IpAddress& address, const EgressUrl& url) const {
    return !is_own(address, url.port) && may_connect(address, url.host);
  }

  /// `host`: the name that it came from.
  [[nodiscard]] bool may_connect(const core::IpAddress& address, std::string_view host) const {
    return std::ranges::all_of(readings(address), [&](const core::IpAddress& reading) {
      if (const Range* const range = find_range(forbidden_ranges(), reading))
        // Only an entry inside the range: 0.0.0.0/0 is not meant to include cloud metadata.
        return std::ranges::any_of(networks, [&](const Range& entry) {
          return entry.network.contains(reading) && range->network.contains(entry.base) &&
                 entry.prefix_bits >= range->prefix_bits;
        });
      if (find_range(private_ranges(), reading) != nullptr)
        return is_listed(host) || is_listed(reading);
      return true;
    });
  }

  [[nodiscard]] Result<std::vector<core::IpAddress>> resolve(const EgressUrl& url) const;

  using OnAddresses = std::move_only_function<void(const Result<std::vector<core::IpAddress>>&)>;

  mutable core::Mutex waiting_mutex;
  /// Host: who waits for its addresses.
  mutable std::map<std::string, std::vector<OnAddresses>> waiting GANTRY_GUARDED_BY(waiting_mutex);

  void resolve_later(const std::string& host, OnAddresses done) const;
  void tell_addresses(const std::string& host,
                      const Result<std::vector<core::IpAddress>>& answer) const;
  [[nodiscard]] Result<Destination> check_addresses(
      const EgressUrl& url, const std::vector<core::IpAddress>& addresses) const;

  // Look-ups: they have no time-out of their own. Last, so that they end before the rest goes.
  mutable core::WorkerPool pool;
};

void Egress::Impl::resolve_later(const std::string& host, OnAddresses done) const {
  {
    const core::Lock lock(waiting_mutex);
    auto& waiters = waiting[host];
    waiters.push_back(std::move(done));
    if (waiters.size() > 1) return;
  }
  const auto submitted = pool.submit([this, host] { tell_addresses(host, options.resolve(host)); });
  if (!submitted) tell_addresses(host, std::unexpected(submitted.error()));
}

void Egress::Impl::tell_addresses(const std::string& host,
                                  const Result<std::vector<core::IpAddress>>& answer) const {
  std::vector<OnAddresses> waiters;
  {
    const core::Lock lock(waiting_mutex);
    waiters = std::move(waiting[host]);
    waiting.erase(host);
  }
  for (OnAddresses& done : waiters) done(answer);
}

/// One forbidden address is enough: which one a connection gets is up to whoever answers for the
/// name.
Result<Egress::Destination> Egress::Impl::check_addresses(
    const EgressUrl& url, const std::vector<core::IpAddress>& addresses) const {
  const bool is_allowed = std::ranges::all_of(
      addresses, [&](const core::IpAddress& address) { return may_connect(address, url); });
  if (!is_allowed) return block(url);
  return Destination{.url = url, .addresses = addresses};
}

Result<std::vector<core::IpAddress>> Egress::Impl::resolve(const EgressUrl& url) const {
  if (url.address) return std::vector{*url.address};
  const auto lookup = std::make_shared<Lookup>();
  GANTRY_CHECK(pool.submit([lookup, host = url.host, resolve = options.resolve] {
    auto answer = resolve(host);
    const core::Lock lock(lookup->mutex);
    lookup->answer = std::move(answer);
    lookup->wake.notify_all();
  }));
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(options.resolve_timeout.count);
  core::Lock lock(lookup->mutex);
  while (!lookup->answer) {
    if (lookup->wake.wait_until(lock, deadline) == std::cv_status::timeout && !lookup->answer)
      return fail(Code::DeadlineExceeded,
                  fmt::format("{}: the name was not resolved in time", url.host));
  }
  return *lookup->answer;
}

Egress::Egress(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Egress::~Egress() = default;

Result<std::unique_ptr<Egress>> Egress::make(Options options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  for (const std::string& entry : impl->options.allow) {
    const bool is_network = entry.contains('/') || core::IpAddress::parse(entry);
    if (is_network) {
      auto range = parse_range(entry);
      if (!range) return std::unexpected(std::move(range).error());
      impl->networks.push_back(*std::move(range));
      continue;
    }
    auto url = parse_egress_url("https://" + entry);
    if (!url || url->host != entry)
      return fail(
          Code::InvalidArgument,
          fmt::format("\"{}\" is not a network, an address or a host name in lower case", entry));
    impl->hosts.push_back(entry);
  }
  return std::unique_ptr<Egress>(new Egress(std::move(impl)));
}

Result<void> Egress::refuse_own(const std::vector<OwnAddress>& own) {
  std::vector<Impl::Own> parsed;
  for (const OwnAddress& each : own) {
    const bool is_any = each.host.empty() || each.host == "0.0.0.0" || each.host == "::";
    const auto address = core::IpAddress::parse(each.host);
    if (!is_any && !address)
      return fail(Code::InvalidArgument, fmt::format("\"{}\" is not an address", each.host));
    parsed.push_back({.address = is_any ? std::nullopt : address, .port = each.port});
  }
  const core::WriteLock lock(impl_->own_mutex);
  impl_->own = std::move(parsed);
  return {};
}

Result<EgressUrl> Egress::check(std::string_view text) const {
  GANTRY_TRY(EgressUrl url, parse_egress_url(text));
  const bool is_listed =
      impl_->is_listed(url.host) || (url.address && impl_->is_listed(*url.address));
  if (url.scheme != "https" && !is_listed)
    return impl_->block(
        url, fail(Code::InvalidArgument,
                  fmt::format("{} is for destinations in egress.allow only", url.scheme)));
  if (!is_listed && std::ranges::find(kPorts, url.port) == kPorts.end()) return impl_->block(url);
  if (is_special_name(url.host) && !is_listed) return impl_->block(url);
  if (url.address && !impl_->may_connect(*url.address, url)) return impl_->block(url);
  return url;
}

void Egress::find_destination(const EgressUrl& url, OnDestination done) const {
  if (url.address) {
    done(impl_->check_addresses(url, {*url.address}));
    return;
  }
  impl_->resolve_later(url.host, [impl = impl_.get(), url, done = std::move(done)](
                                     const Result<std::vector<core::IpAddress>>& found) mutable {
    if (!found) return done(std::unexpected(found.error()));
    done(impl->check_addresses(url, *found));
  });
}

Result<EgressResponse> Egress::send(const EgressRequest& request) const {
  GANTRY_TRY(const EgressUrl url, check(request.url));
  if (url.scheme == "grpc") return fail(Code::InvalidArgument, "grpc:// is not spoken here");
  GANTRY_TRY(const std::vector<core::IpAddress> addresses, impl_->resolve(url));
  GANTRY_CHECK(impl_->check_addresses(url, addresses));
  const auto may_connect = [this, &url](const core::IpAddress& address) {
    return impl_->may_connect(address, url);
  };
  ClientRequest exchange{.method = request.method,
                         .url = url.text(),
                         .headers = request.headers,
                         .body = request.body,
                         .connect_timeout = impl_->options.connect_timeout,
                         .timeout = request.timeout,
                         .response_bytes_max = request.response_bytes_max,
                         .ca_file = impl_->options.ca_file,
                         .may_connect = may_connect};
  for (const core::IpAddress& address : addresses)
    exchange.addresses.push_back(address.is_v4() ? address.text()
                                                 : fmt::format("[{}]", address.text()));
  auto answered = net::send(exchange);
  if (!answered)
    return fail(answered.error().code, without_query(std::move(answered.error().message), url));
  ClientResponse& response = *answered;
  if (response.status >= 300 && response.status < 400) {
    const auto target = parse_egress_url(response.headers.find("Location"));
    return fail(Code::Unavailable,
                fmt::format("the destination answered {} to {}; enter that URL instead",
                            response.status, target ? target->origin() : "another path"));
  }
  return EgressResponse{.status = response.status,
                        .headers = std::move(response.headers),
                        .body = std::move(response.body)};
}

}  // namespace gantry::net
