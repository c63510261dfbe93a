#include "net/egress.h"

#include <atomic>
#include <map>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "net/egress_url.h"
#include "net/testing/test_server.h"

namespace gantry::net {
namespace {

struct UrlCase {
  std::string_view name, input;
  std::string_view expected;  ///< The normal form, or "" when it is refused.
};

class EgressUrlTest : public ::testing::TestWithParam<UrlCase> {};

TEST_P(EgressUrlTest, HasOneReading) {
  const auto url = parse_egress_url(GetParam().input);
  EXPECT_EQ(url ? url->text() : "", GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Urls, EgressUrlTest,
    ::testing::Values(
        UrlCase{"plain", "https://Example.COM/a?b=c", "https://example.com/a?b=c"},
        UrlCase{"no_path", "https://example.com", "https://example.com/"},
        UrlCase{"query_only", "https://example.com?a", "https://example.com/?a"},
        UrlCase{"own_port", "https://example.com:443/", "https://example.com/"},
        UrlCase{"port", "https://example.com:8443/", "https://example.com:8443/"},
        UrlCase{"trailing_dot", "https://example.com./", "https://example.com/"},
        UrlCase{"two_dots", "https://example.com../", ""},
        UrlCase{"v4", "http://192.0.2.1/", "http://192.0.2.1/"},
        UrlCase{"v6", "https://[2001:DB8::1]:9090/", "https://[2001:db8::1]:9090/"},
        UrlCase{"mapped", "https://[::ffff:127.0.0.1]/", "https://127.0.0.1/"},
        UrlCase{"v6_zone", "https://[fe80::1%25eth0]/", ""},
        UrlCase{"v4_in_brackets", "https://[127.0.0.1]/", ""},
        UrlCase{"userinfo", "https://user:pass@example.com/", ""},
        UrlCase{"at_in_host", "https://good.example@127.0.0.1/", ""},
        UrlCase{"fragment", "https://example.com/#a", ""},
        UrlCase{"backslash", "https://example.com\\@127.0.0.1/", ""},
        UrlCase{"tab", "https://exam\tple.com/", ""},
        UrlCase{"space", "https://example.com/ a", ""},
        UrlCase{"percent_host", "https://127%2e0.0.1/", ""},
        UrlCase{"octal", "https://0177.0.0.1/", ""}, UrlCase{"hex", "https://0x7f.0.0.1/", ""},
        UrlCase{"hex_last", "https://1.0x7f/", ""}, UrlCase{"dword", "https://2130706433/", ""},
        UrlCase{"hex_dword", "https://0x7f000001/", ""}, UrlCase{"short", "https://127.1/", ""},
        UrlCase{"numeric_label", "https://example.com.1/", ""},
        UrlCase{"digits_in_names", "https://1password.com/", "https://1password.com/"},
        UrlCase{"not_ascii", "https://ex\xc3\xa4mple.com/", ""},
        UrlCase{"fullwidth_dot",
                "https://example\xef\xbc\x8e"
                "com/",
                ""},
        UrlCase{"punycode", "https://xn--exmple-cua.com/", "https://xn--exmple-cua.com/"},
        UrlCase{"no_host", "https:///path", ""}, UrlCase{"no_scheme", "example.com", ""},
        UrlCase{"other_scheme", "file:///etc/passwd", ""},
        UrlCase{"gopher", "gopher://example.com/", ""},
        UrlCase{"port_zero", "https://example.com:0/", ""},
        UrlCase{"port_large", "https://example.com:65536/", ""},
        UrlCase{"port_empty", "https://example.com:/", ""},
        UrlCase{"port_sign", "https://example.com:+443/", ""}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(EgressUrlLimitsTest, HostsAndLabelsAreBounded) {
  EXPECT_TRUE(parse_egress_url("https://" + std::string(63, 'a') + ".example/"));
  EXPECT_FALSE(parse_egress_url("https://" + std::string(64, 'a') + ".example/"));
  std::string host;
  while (host.size() < 254) host += "abcdefg.";
  EXPECT_FALSE(parse_egress_url("https://" + host + "com/"));
}

struct AddressCase {
  std::string_view name, address;
  EgressClass expected;
};

class EgressClassTest : public ::testing::TestWithParam<AddressCase> {};

TEST_P(EgressClassTest, IsWhatItReaches) {
  EXPECT_EQ(classify_address(*core::IpAddress::parse(GetParam().address)), GetParam().expected);
}

constexpr auto kOpen = EgressClass::Open;
constexpr auto kPrivate = EgressClass::Private;
constexpr auto kForbidden = EgressClass::Forbidden;

INSTANTIATE_TEST_SUITE_P(
    Addresses, EgressClassTest,
    ::testing::Values(
        AddressCase{"public_v4", "93.184.216.34", kOpen},
        AddressCase{"public_v6", "2606:2800:220:1::1", kOpen},
        AddressCase{"loopback", "127.0.0.1", kForbidden},
        AddressCase{"loopback_end", "127.255.255.255", kForbidden},
        AddressCase{"loopback_v6", "::1", kForbidden}, AddressCase{"any", "0.0.0.0", kForbidden},
        AddressCase{"this_network", "0.1.2.3", kForbidden}, AddressCase{"any_v6", "::", kForbidden},
        AddressCase{"metadata", "169.254.169.254", kForbidden},
        AddressCase{"metadata_ecs", "169.254.170.2", kForbidden},
        AddressCase{"link_local_v6", "fe80::1", kForbidden},
        AddressCase{"metadata_v6", "fd00:ec2::254", kForbidden},
        AddressCase{"alibaba", "100.100.100.200", kForbidden},
        AddressCase{"azure", "168.63.129.16", kForbidden},
        AddressCase{"multicast", "224.0.0.1", kForbidden},
        AddressCase{"multicast_v6", "ff02::1", kForbidden},
        AddressCase{"broadcast", "255.255.255.255", kForbidden},
        AddressCase{"reserved", "240.0.0.1", kForbidden}, AddressCase{"ten", "10.1.2.3", kPrivate},
        AddressCase{"seventeen_two", "172.31.255.255", kPrivate},
        AddressCase{"after_seventeen_two", "172.32.0.0", kOpen},
        AddressCase{"one_nine_two", "192.168.1.1", kPrivate},
        AddressCase{"carrier", "100.64.0.1", kPrivate},
        AddressCase{"protocol", "192.0.0.1", kPrivate},
        AddressCase{"benchmark", "198.19.0.1", kPrivate},
        AddressCase{"documentation_1", "192.0.2.1", kPrivate},
        AddressCase{"documentation_2", "198.51.100.1", kPrivate},
        AddressCase{"documentation_3", "203.0.113.1", kPrivate},
        AddressCase{"unique_local", "fd12:3456::1", kPrivate},
        AddressCase{"site_local", "fec0::1", kPrivate},
        AddressCase{"documentation_v6", "2001:db8::1", kPrivate},
        AddressCase{"mapped", "::ffff:127.0.0.1", kForbidden},
        AddressCase{"compatible", "::127.0.0.1", kForbidden},
        AddressCase{"compatible_private", "::10.0.0.1", kPrivate},
        AddressCase{"nat64", "64:ff9b::169.254.169.254", kForbidden},
        AddressCase{"nat64_public", "64:ff9b::93.184.216.34", kOpen},
        AddressCase{"nat64_local", "64:ff9b:1::169.254.169.254", kForbidden},
        AddressCase{"six_to_four", "2002:7f00:1::1", kForbidden},
        AddressCase{"six_to_four_private", "2002:0a00:1::1", kPrivate},
        AddressCase{"teredo_server", "2001:0:7f00:1::", kForbidden},
        AddressCase{"teredo_client", "2001:0:5db8:d822:0:0:80ff:fffe", kForbidden}),
    [](const auto& c) { return std::string(c.param.name); });

std::unique_ptr<Egress> make_egress(std::vector<std::string> allow,
                                    std::map<std::string, std::vector<std::string>> names = {}) {
  Egress::Options options{.allow = std::move(allow)};
  options.resolve = [names](const std::string& host) -> Result<std::vector<core::IpAddress>> {
    const auto found = names.find(host);
    if (found == names.end()) return fail(Code::Unavailable, host + ": no address");
    std::vector<core::IpAddress> addresses;
    for (const auto& text : found->second) addresses.push_back(*core::IpAddress::parse(text));
    return addresses;
  };
  auto egress = Egress::make(std::move(options));
  EXPECT_TRUE(egress) << (egress ? "" : egress.error().message);
  return *std::move(egress);
}

struct CheckCase {
  std::string_view name, allow, url;
  bool is_allowed;
};

class EgressCheckTest : public ::testing::TestWithParam<CheckCase> {};

TEST_P(EgressCheckTest, FollowsTheOperatorsList) {
  const auto egress = make_egress(GetParam().allow.empty()
                                      ? std::vector<std::string>{}
                                      : std::vector<std::string>{std::string(GetParam().allow)});
  EXPECT_EQ(egress->check(GetParam().url).has_value(), GetParam().is_allowed);
}

INSTANTIATE_TEST_SUITE_P(
    Lists, EgressCheckTest,
    ::testing::Values(CheckCase{"https", "", "https://idp.example/", true},
                      CheckCase{"port", "", "https://idp.example:9999/", false},
                      CheckCase{"usual_port", "", "https://idp.example:8443/", true},
                      CheckCase{"plain", "", "http://idp.example/", false},
                      CheckCase{"listed_plain", "idp.example", "http://idp.example:8080/", true},
                      CheckCase{"others_stay_shut", "idp.example", "http://other.example/", false},
                      CheckCase{"private", "", "https://10.0.0.1/", false},
                      CheckCase{"listed_private", "10.0.0.0/8", "https://10.0.0.1/", true},
                      CheckCase{"loopback", "", "https://127.0.0.1/", false},
                      CheckCase{"listed_loopback", "127.0.0.1", "http://127.0.0.1:9/", true},
                      CheckCase{"wide_lists_do_not_open_metadata", "0.0.0.0/0",
                                "https://169.254.169.254/", false},
                      CheckCase{"wide_lists_open_private", "0.0.0.0/0", "https://10.0.0.1/", true},
                      CheckCase{"precise_lists_open_metadata", "169.254.169.254/32",
                                "https://169.254.169.254/", true},
                      CheckCase{"localhost", "", "https://localhost/", false},
                      CheckCase{"sub_localhost", "", "https://a.localhost/", false},
                      CheckCase{"google_metadata", "", "https://metadata.google.internal/", false}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(EgressTest, OneForbiddenAddressIsEnough) {
  const auto egress = make_egress(
      {}, {{"rebind.example", {"93.184.216.34", "127.0.0.1"}}, {"inside.example", {"10.0.0.1"}}});
  for (const std::string url : {"https://rebind.example/", "https://inside.example/"}) {
    const auto sent = egress->send({.url = url});
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, Code::PermissionDenied);
    EXPECT_EQ(sent.error().message, "destination is not allowed");
  }
}

TEST(EgressTest, SlowNamesDoNotHoldUp) {
  Egress::Options options{.resolve_timeout = {20}};
  std::atomic<bool> is_over = false;
  options.resolve = [&](const std::string&) -> Result<std::vector<core::IpAddress>> {
    is_over.wait(false);
    return fail(Code::Unavailable, "late");
  };
  auto egress = Egress::make(std::move(options));
  EXPECT_EQ((*egress)->send({.url = "https://slow.example/"}).error().code, Code::DeadlineExceeded);
  is_over = true;
  is_over.notify_all();
}

TEST(EgressTest, ConnectsToTheAddressThatWasChecked) {
  testing::TestServer server;
  const std::string url = "http://pinned.example:" + std::to_string(server.port()) + "/nowhere";
  const std::map<std::string, std::vector<std::string>> names = {{"pinned.example", {"127.0.0.1"}}};
  const auto reached = make_egress({"pinned.example", "127.0.0.1"}, names)->send({.url = url});
  ASSERT_TRUE(reached) << reached.error().message;
  EXPECT_EQ(reached->status, 404);
  const auto refused = make_egress({"pinned.example"}, names)->send({.url = url});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "destination is not allowed");
  const auto too_large = make_egress({"pinned.example", "127.0.0.1"}, names)
                             ->send({.url = url, .response_bytes_max = 3});
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().code, Code::TooLarge);
}

class EgressOwnTest : public ::testing::Test {
 protected:
  /// Everything of this machine is listed.
  bool reaches(const std::string& url) {
    const auto sent = egress_->send({.url = url, .timeout = {2'000}});
    if (!sent) EXPECT_EQ(sent.error().message, "destination is not allowed") << url;
    return sent.has_value();
  }

  std::string url(std::string_view host) const {
    return "http://" + std::string(host) + ":" + std::to_string(server_.port()) + "/nowhere";
  }

  testing::TestServer server_;
  std::unique_ptr<Egress> egress_ = make_egress({"127.0.0.0/8", "::1", "0.0.0.0/8", "own.example"},
                                                {{"own.example", {"127.0.0.1"}}});
};

TEST_F(EgressOwnTest, NothingIsSentToOneself) {
  ASSERT_TRUE(reaches(url("127.0.0.1")));
  ASSERT_TRUE(egress_->refuse_own({{.host = "127.0.0.1", .port = server_.port()}}));
  EXPECT_FALSE(reaches(url("127.0.0.1")));
  EXPECT_FALSE(reaches(url("own.example"))) << "by name";
  EXPECT_FALSE(reaches(url("[::ffff:127.0.0.1]"))) << "written otherwise";
  EXPECT_TRUE(egress_->check("http://127.0.0.2:" + std::to_string(server_.port())))
      << "another address";
  EXPECT_TRUE(egress_->check("http://127.0.0.1:1/")) << "another port";
  ASSERT_TRUE(egress_->refuse_own({}));
  EXPECT_TRUE(reaches(url("127.0.0.1")));
}

TEST_F(EgressOwnTest, AListenerOnEveryAddressIsReachedByAll) {
  for (const std::string any : {"", "0.0.0.0", "::"}) {
    ASSERT_TRUE(egress_->refuse_own({{.host = any, .port = server_.port()}}));
    for (const std::string host : {"127.0.0.1", "127.1.2.3", "[::1]", "0.0.0.0", "own.example"})
      EXPECT_FALSE(reaches(url(host))) << host << " with the listener on \"" << any << "\"";
  }
  EXPECT_FALSE(egress_->refuse_own({{.host = "no address", .port = 1}}));
}

TEST(EgressTest, SaysWhatItBlocked) {
  std::vector<std::string> blocked;
  Egress::Options options{
      .on_blocked = [&](const EgressUrl& url) { blocked.push_back(url.origin()); }};
  options.resolve = [](const std::string&) -> Result<std::vector<core::IpAddress>> {
    return std::vector{*core::IpAddress::parse("169.254.169.254")};
  };
  const auto egress = Egress::make(std::move(options));
  EXPECT_FALSE((*egress)->send({.url = "https://rebind.example/a?secret=1"}));
  EXPECT_FALSE((*egress)->check("https://10.0.0.1/"));
  EXPECT_FALSE((*egress)->check("https://idp.example:22/"));
  EXPECT_FALSE((*egress)->check("http://plain.example/"));
  EXPECT_FALSE((*egress)->check("not a URL"));
  EXPECT_TRUE((*egress)->check("https://idp.example/"));
  EXPECT_EQ(blocked, (std::vector<std::string>{"https://rebind.example", "https://10.0.0.1",
                                               "https://idp.example:22", "http://plain.example"}));
}

TEST(EgressTest, ErrorsDoNotShowTheQuery) {
  std::uint16_t closed_port = 0;
  {
    testing::TestServer server;
    closed_port = server.port();
  }
  const auto sent =
      make_egress({"127.0.0.1"})
          ->send({.url = fmt::format("http://127.0.0.1:{}/hook?key=hunter2", closed_port)});
  ASSERT_FALSE(sent);
  EXPECT_NE(sent.error().message.find("/hook"), std::string::npos) << sent.error().message;
  EXPECT_EQ(sent.error().message.find("hunter2"), std::string::npos) << sent.error().message;
}

TEST(EgressTest, ListsOfNonsenseAreRefused) {
  for (const std::string entry : {"10.0.0.1/8", "not a host", "https://x.example", "UPPER.example"})
    EXPECT_FALSE(Egress::make({.allow = {entry}})) << entry;
}

}  // namespace
}  // namespace gantry::net
