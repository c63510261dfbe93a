#include "net/http.h"

#include <gtest/gtest.h>

#include "net/content_coding_internal.h"
#include "net/rpc_status.h"
#include "net/server.h"
#include "net/tokens_internal.h"

namespace gantry::net {
namespace {

TEST(Headers, ComparesNamesWithoutCase) {
  Headers headers;
  headers.add("Content-Type", "a");
  headers.add("content-type", "b");
  headers.add("X", "");
  EXPECT_EQ(headers.find("CONTENT-TYPE"), "a");
  EXPECT_EQ(headers.count("content-Type"), 2U);
  EXPECT_TRUE(headers.contains("x"));
  EXPECT_FALSE(headers.contains("y"));
  headers.set("CONTENT-type", "c");
  EXPECT_EQ(headers.count("content-type"), 1U);
  EXPECT_EQ(headers.find("content-type"), "c");
}

struct FormCase {
  std::string_view name, encoded, expected;
};

class ParametersParse : public testing::TestWithParam<FormCase> {};

TEST_P(ParametersParse, DecodesOrExplains) {
  const auto parameters = Parameters::parse(GetParam().encoded);
  std::string text;
  if (parameters) {
    for (const auto& [name, value] : parameters->items()) text += "[" + name + "=" + value + "]";
  } else {
    text = "error: " + parameters.error().message;
  }
  EXPECT_EQ(text, GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, ParametersParse,
    testing::Values(FormCase{"empty", "", ""}, FormCase{"one", "query=up", "[query=up]"},
                    FormCase{"plus_is_space", "q=a+b", "[q=a b]"},
                    FormCase{"escapes", "match%5B%5D=%7Ba%3D%22b%22%7D", "[match[]={a=\"b\"}]"},
                    FormCase{"no_value", "a&b=", "[a=][b=]"},
                    FormCase{"equals_in_value", "a=b=c", "[a=b=c]"},
                    FormCase{"empty_pairs", "&&a=1&", "[a=1]"},
                    FormCase{"repeated", "m=1&m=2", "[m=1][m=2]"},
                    FormCase{"cut_escape", "a=%2", "error: invalid URL escape \"%2\""},
                    FormCase{"bad_escape", "a=%zz1", "error: invalid URL escape \"%zz\""}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(Parameters, FindsTheFirstAndAll) {
  const auto parameters = Parameters::parse("m=1&x=&m=2");
  ASSERT_TRUE(parameters);
  EXPECT_EQ(parameters->find("m"), "1");
  EXPECT_EQ(parameters->find("x"), "");
  EXPECT_EQ(parameters->find("y"), std::nullopt);
  EXPECT_EQ(parameters->find_all("m"), (std::vector<std::string_view>{"1", "2"}));
}

struct CodingCase {
  std::string_view name, accept, expected;
};

class ChooseContentCoding : public testing::TestWithParam<CodingCase> {};

TEST_P(ChooseContentCoding, TakesTheClientsFirstThatWeHave) {
  EXPECT_EQ(content_coding_name(choose_content_coding(GetParam().accept)), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    AcceptEncoding, ChooseContentCoding,
    testing::Values(CodingCase{"absent", "", ""}, CodingCase{"gzip", "gzip", "gzip"},
                    CodingCase{"client_order", "deflate, gzip", "deflate"},
                    CodingCase{"unknown_first", "br,zstd,gzip", "zstd"},
                    CodingCase{"quality_is_not_a_token", "gzip;q=1.0, deflate", "deflate"},
                    CodingCase{"exact", "xgzip, gzipped", ""}, CodingCase{"star", "*", ""},
                    CodingCase{"identity", "identity", ""}),
    [](const auto& c) { return std::string(c.param.name); });

struct AddressCase {
  std::string_view name, text, expected;
};

class ParseListenAddress : public testing::TestWithParam<AddressCase> {};

TEST_P(ParseListenAddress, ParsesOrExplains) {
  const auto address = parse_listen_address(GetParam().text);
  const std::string text =
      address ? address->host + "|" + std::to_string(address->port)
              : address.error().message.substr(0, address.error().message.find(';'));
  EXPECT_EQ(text, GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Addresses, ParseListenAddress,
    testing::Values(
        AddressCase{"any", ":9490", "|9490"},
        AddressCase{"kernel_port", "127.0.0.1:0", "127.0.0.1|0"},
        AddressCase{"v6", "[::1]:4318", "::1|4318"},
        AddressCase{"localhost", "localhost:1", "127.0.0.1|1"},
        AddressCase{"no_port", "127.0.0.1", "listen address \"127.0.0.1\": no port"},
        AddressCase{"empty_port", ":",
                    "listen address \":\": the port is not a number from 0 to 65535"},
        AddressCase{"large_port", ":65536",
                    "listen address \":65536\": the port is not a number from 0 to 65535"},
        AddressCase{"words", ":80a",
                    "listen address \":80a\": the port is not a number from 0 to 65535"},
        AddressCase{"bare_v6", "::1:4318",
                    "listen address \"::1:4318\": not an IPv4 address (IPv6 goes in brackets)"},
        AddressCase{
            "name", "example.com:80",
            "listen address \"example.com:80\": not an IPv4 address (IPv6 goes in brackets)"},
        AddressCase{"bad_brackets", "[1.2.3.4]:80",
                    "listen address \"[1.2.3.4]:80\": not an IPv6 address"}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(RequestId, KeepsWellFormedOnesOnly) {
  EXPECT_EQ(request_id_from("abc-1.2_Z"), "abc-1.2_Z");
  const std::string made = request_id_from("with space");
  EXPECT_EQ(made.size(), 32U);
  EXPECT_NE(made, request_id_from(""));
  EXPECT_EQ(request_id_from(std::string(129, 'a')).size(), 32U);
  EXPECT_EQ(request_id_from(std::string(128, 'a')), std::string(128, 'a'));
}

TEST(AppendField, LeavesNoWayToStartAnotherField) {
  std::string out;
  append_field(out, "A", "b\r\nEvil: yes\x7f");
  EXPECT_EQ(out, "A: b  Evil: yes \r\n");
}

TEST(HttpStatus, FollowsTheCode) {
  EXPECT_EQ(http_status(Code::TooLarge), 413);
  EXPECT_EQ(http_status(Code::Unsupported), 415);
  EXPECT_EQ(http_status(Code::ResourceExhausted), 429);
  EXPECT_EQ(http_status(Code::Unavailable), 503);
  EXPECT_EQ(http_status(Code::Cancelled), 499);
}

TEST(RpcStatus, EncodesGoogleRpcStatus) {
  EXPECT_EQ(encode_rpc_status(RpcCode::InvalidArgument, "no"), "\x08\x03\x12\x02no");
  const std::string with_retry =
      encode_rpc_status(RpcCode::ResourceExhausted, "", DurationMs{1500});
  // details: Any{type_url, value: RetryInfo{retry_delay: Duration{1 s, 500000000 ns}}}
  const std::string type = "type.googleapis.com/google.rpc.RetryInfo";
  const std::string any = "\x0a\x28" + type + "\x12\x0a\x0a\x08\x08\x01\x10\x80\xca\xb5\xee\x01";
  EXPECT_EQ(with_retry, "\x08\x08\x1a" + std::string(1, static_cast<char>(any.size())) + any);
}

TEST(RpcStatus, CodesAreThoseOfTheWire) {
  EXPECT_EQ(static_cast<int>(rpc_code(Code::Unauthenticated)), 16);
  EXPECT_EQ(static_cast<int>(rpc_code(Code::PermissionDenied)), 7);
  EXPECT_EQ(static_cast<int>(rpc_code(Code::TooLarge)), 8);
  EXPECT_EQ(static_cast<int>(rpc_code(Code::Unavailable)), 14);
}

}  // namespace
}  // namespace gantry::net
