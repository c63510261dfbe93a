#include "core/ip_network.h"

#include <gtest/gtest.h>

namespace gantry::core {
namespace {

bool contains(std::string_view network, std::string_view address) {
  return IpNetwork::parse(network)->contains(IpAddress::parse(address).value());
}

TEST(IpAddressTest, ParsesWhatIsAnAddress) {
  EXPECT_EQ(IpAddress::parse("10.1.2.3")->text(), "10.1.2.3");
  EXPECT_EQ(IpAddress::parse("2001:DB8:0::1")->text(), "2001:db8::1");
  EXPECT_EQ(IpAddress::parse("::ffff:10.1.2.3")->text(), "10.1.2.3");
  EXPECT_EQ(IpAddress::parse("::ffff:10.1.2.3"), IpAddress::parse("10.1.2.3"));
  for (const char* text :
       {"", "10.1.2", "10.1.2.3.4", "010.1.2.3x", "[::1]", "::1%eth0", "1.2.3.4:5", "localhost",
        "1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:0:1:2:3:4:5:6:7"})
    EXPECT_FALSE(IpAddress::parse(text)) << text;
}

TEST(IpNetworkTest, ContainsItsAddresses) {
  EXPECT_TRUE(contains("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.1"));
  EXPECT_TRUE(contains("10.1.2.128/25", "10.1.2.200"));
  EXPECT_FALSE(contains("10.1.2.128/25", "10.1.2.127"));
  EXPECT_TRUE(contains("10.1.2.3/32", "10.1.2.3"));
  EXPECT_FALSE(contains("10.1.2.3/32", "10.1.2.2"));
  EXPECT_TRUE(contains("0.0.0.0/0", "255.255.255.255"));
  EXPECT_TRUE(contains("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(contains("::/0", "2001:db8::1"));
}

TEST(IpNetworkTest, KeepsTheFamiliesApart) {
  EXPECT_FALSE(contains("0.0.0.0/0", "::1"));
  EXPECT_FALSE(contains("::/0", "10.0.0.1"));
  EXPECT_TRUE(contains("10.0.0.0/8", "::ffff:10.0.0.1"));
}

TEST(IpNetworkTest, SaysWhatIsWrong) {
  const auto message = [](std::string_view text) { return IpNetwork::parse(text).error().message; };
  EXPECT_EQ(message("10.0.0.1"),
            "subnet \"10.0.0.1\": no prefix length; a single address is /32 or, for IPv6, /128");
  EXPECT_EQ(message("10.0.0.1/8"),
            "subnet \"10.0.0.1/8\": bits are set after the prefix; the network is 10.0.0.0/8");
  EXPECT_EQ(message("x/8"), "subnet \"x/8\": not an IP address before the /");
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8 ", "10.0.0.0/+8"})
    EXPECT_EQ(message(text), "subnet \"" + std::string(text) +
                                 "\": the prefix length is not a number from 0 to 32");
  EXPECT_TRUE(message("::/129").ends_with("from 0 to 128"));
}

TEST(IpNetworkTest, PrintsWhatItParsed) {
  for (const char* text : {"10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "::1/128"})
    EXPECT_EQ(IpNetwork::parse(text)->text(), text);
}

}  // namespace
}  // namespace gantry::core
