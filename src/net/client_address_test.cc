#include "net/client_address.h"

#include <vector>

#include <gtest/gtest.h>

namespace gantry::net {
namespace {

std::string seen(std::string_view peer, std::vector<std::string> forwarded) {
  Headers headers;
  for (std::string& value : forwarded) headers.add("x-forwarded-for", std::move(value));
  const std::vector<core::IpNetwork> trusted = {*core::IpNetwork::parse("10.0.0.0/8"),
                                                *core::IpNetwork::parse("::1/128")};
  return client_address(peer, headers, trusted);
}

TEST(ClientAddressTest, IsTheSocketsWithoutProxies) {
  Headers headers;
  headers.add("X-Forwarded-For", "1.2.3.4");
  EXPECT_EQ(client_address("10.0.0.1", headers, {}), "10.0.0.1");
}

TEST(ClientAddressTest, BelievesOnlyTrustedProxies) {
  EXPECT_EQ(seen("192.0.2.1", {"1.2.3.4"}), "192.0.2.1");
  EXPECT_EQ(seen("10.0.0.1", {"1.2.3.4"}), "1.2.3.4");
  EXPECT_EQ(seen("::1", {"1.2.3.4"}), "1.2.3.4");
  EXPECT_EQ(seen("10.0.0.1", {}), "10.0.0.1");
}

TEST(ClientAddressTest, TakesTheLastThatIsNoProxy) {
  EXPECT_EQ(seen("10.0.0.1", {"6.6.6.6, 1.2.3.4, 10.0.0.2"}), "1.2.3.4") << "the first is forged";
  EXPECT_EQ(seen("10.0.0.1", {"6.6.6.6", "1.2.3.4"}), "1.2.3.4");
  EXPECT_EQ(seen("10.0.0.1", {"10.0.0.3, 10.0.0.2"}), "10.0.0.3");
}

TEST(ClientAddressTest, StopsAtWhatIsNoAddress) {
  EXPECT_EQ(seen("10.0.0.1", {"1.2.3.4, unknown"}), "10.0.0.1");
  EXPECT_EQ(seen("10.0.0.1", {"1.2.3.4, _hidden, 10.0.0.2"}), "10.0.0.2");
  EXPECT_EQ(seen("10.0.0.1", {""}), "10.0.0.1");
  EXPECT_EQ(seen("", {"1.2.3.4"}), "");
}

TEST(ClientAddressTest, ReadsPortsAndBrackets) {
  EXPECT_EQ(seen("10.0.0.1", {"1.2.3.4:5678"}), "1.2.3.4");
  EXPECT_EQ(seen("10.0.0.1", {"[2001:db8::1]:443"}), "2001:db8::1");
  EXPECT_EQ(seen("10.0.0.1", {"[2001:db8::1]"}), "2001:db8::1");
  EXPECT_EQ(seen("10.0.0.1", {"2001:db8::1"}), "2001:db8::1");
  EXPECT_EQ(seen("10.0.0.1", {"["}), "10.0.0.1");
}

}  // namespace
}  // namespace gantry::net
