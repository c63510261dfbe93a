#include "pipeline/attribute_rules.h"

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "codec/otlp_traces_encoder.h"
#include "core/number_format.h"
#include "pipeline/testing/spans.h"
#include "pipeline/testing/twin_batch.h"

namespace gantry::pipeline {
namespace {

using telemetry::AttributeValue;
using telemetry::BatchSlice;
using telemetry::SpanAttribute;
using telemetry::SpanBatch;
using Kind = AttributeValue::Kind;

AttributeRules rules_of(std::string_view json) {
  auto rules = AttributeRules::parse(json);
  EXPECT_TRUE(rules) << json << ": " << (rules ? "" : rules.error().message);
  return rules ? *std::move(rules) : AttributeRules();
}

AttributeValue text(std::string_view value) {
  return {.kind = Kind::String, .text = value};
}

AttributeValue integer(std::int64_t value) {
  return {.kind = Kind::Int, .integer = value};
}

AttributeValue number(double value) {
  return {.kind = Kind::Double, .number = value};
}

AttributeValue boolean(bool value) {
  return {.kind = Kind::Bool, .boolean = value};
}

BatchSlice add(SpanBatch& batch, const std::vector<SpanAttribute>& attributes) {
  const BatchSlice slice{.begin = static_cast<std::uint32_t>(batch.attributes.size()),
                         .count = static_cast<std::uint32_t>(attributes.size())};
  batch.attributes.insert(batch.attributes.end(), attributes.begin(), attributes.end());
  return slice;
}

struct Parts {
  std::vector<SpanAttribute> span;
  std::vector<SpanAttribute> resource;
  std::vector<SpanAttribute> event;
  std::string_view name = "GET /";
};

/// One span with one event.
SpanBatch batch_of(const Parts& parts) {
  SpanBatch batch;
  batch.resources.push_back({.attributes = add(batch, parts.resource)});
  batch.scopes.push_back({});
  batch.events.push_back({.name = "e", .attributes = add(batch, parts.event)});
  telemetry::BatchSpan span;
  span.trace_id.bytes[15] = 1;
  span.span_id = 1;
  span.name = parts.name;
  span.attributes = add(batch, parts.span);
  span.events = {.begin = 0, .count = 1};
  batch.spans.push_back(span);
  return batch;
}

/// "key=text key=1 key=0.5 key=true", in order; a whole double ends in ".0".
std::string list_text(const SpanBatch& batch, BatchSlice list) {
  std::string out;
  for (const SpanAttribute& attribute : batch.attributes_of(list)) {
    out.append(out.empty() ? "" : " ").append(attribute.key).append("=");
    const AttributeValue& value = attribute.value;
    if (value.kind == Kind::String) out.append(value.text);
    if (value.kind == Kind::Bool) out.append(value.boolean ? "true" : "false");
    if (value.kind == Kind::Int) out.append(std::to_string(value.integer));
    if (value.kind == Kind::Encoded) out.append("(encoded)");
    if (value.kind != Kind::Double) continue;
    core::append_float_plain(out, value.number);
    if (value.number == std::floor(value.number)) out.append(".0");
  }
  return out;
}

std::string span_after(std::string_view json, const std::vector<SpanAttribute>& attributes) {
  const SpanBatch in = batch_of({.span = attributes});
  SpanBatch out;
  rules_of(json).apply(in, out);
  return list_text(out, out.spans.at(0).attributes);
}

struct EditCase {
  std::string_view name, rules, expected;
};

class AttributeRulesTest : public ::testing::TestWithParam<EditCase> {};

TEST_P(AttributeRulesTest, EditsASpan) {
  EXPECT_EQ(span_after(GetParam().rules, {{"a", text("x")},
                                          {"n", integer(7)},
                                          {"d", number(2.75)},
                                          {"b", boolean(true)},
                                          {"t", text("42")},
                                          {"user.email", text("ann@example.com")}}),
            GetParam().expected);
}

constexpr std::string_view kRest = "a=x n=7 d=2.75 b=true t=42 user.email=ann@example.com";

INSTANTIATE_TEST_SUITE_P(
    Actions, AttributeRulesTest,
    ::testing::Values(
        EditCase{"none", "[]", kRest}, EditCase{"null", "null", kRest},
        EditCase{"insert", R"j([{"action":"insert","key":"env","value":"prod"}])j",
                 "a=x n=7 d=2.75 b=true t=42 user.email=ann@example.com env=prod"},
        EditCase{"insert_leaves_what_is_there", R"j([{"action":"insert","key":"a","value":"y"}])j",
                 kRest},
        EditCase{"update", R"j([{"action":"update","key":"a","value":12}])j",
                 "a=12 n=7 d=2.75 b=true t=42 user.email=ann@example.com"},
        EditCase{"update_of_what_is_not_there",
                 R"j([{"action":"update","key":"env","value":"prod"}])j", kRest},
        EditCase{"upsert_both",
                 R"j([{"action":"upsert","key":"a","value":false},
                     {"action":"UPSERT","key":"z","value":0.5}])j",
                 "a=false n=7 d=2.75 b=true t=42 user.email=ann@example.com z=0.5"},
        EditCase{"from_attribute",
                 R"j([{"action":"insert","key":"copy","from_attribute":"n"},
                     {"action":"update","key":"a","from_attribute":"t"},
                     {"action":"upsert","key":"q","from_attribute":"absent"}])j",
                 "a=42 n=7 d=2.75 b=true t=42 user.email=ann@example.com copy=7"},
        EditCase{"delete_key", R"j([{"action":"delete","key":"user.email"}])j",
                 "a=x n=7 d=2.75 b=true t=42"},
        EditCase{"delete_key_and_pattern",
                 R"j([{"action":"delete","key":"a","pattern":"^user\\."}])j",
                 "n=7 d=2.75 b=true t=42"},
        EditCase{"delete_pattern_anywhere", R"j([{"action":"delete","pattern":"mail|^[nd]$"}])j",
                 "a=x b=true t=42"},
        EditCase{
            "extract",
            R"j([{"action":"extract","key":"user.email","pattern":"(?P<a>\\w+)@(?P<domain>.*)"}])j",
            "a=ann n=7 d=2.75 b=true t=42 user.email=ann@example.com domain=example.com"}

        ,
        EditCase{"extract_group_that_took_no_part",
                 R"j([{"action":"extract","key":"t","pattern":"(?P<word>[a-z]+)?(?P<digits>4)"}])j",
                 "a=x n=7 d=2.75 b=true t=42 user.email=ann@example.com word= digits=4"}

        ,
        EditCase{"extract_without_match",
                 R"j([{"action":"extract","key":"t","pattern":"(?P<a>[a-z]+)"}])j", kRest},
        EditCase{"extract_only_of_texts",
                 R"j([{"action":"extract","key":"n","pattern":"(?P<a>.)"}])j", kRest},
        EditCase{"convert_to_int",
                 R"j([{"action":"convert","key":"t","converted_type":"int"},
                     {"action":"convert","key":"d","converted_type":"int"},
                     {"action":"convert","key":"b","converted_type":"int"},
                     {"action":"convert","key":"a","converted_type":"int"}])j",
                 "a=x n=7 d=2 b=1 t=42 user.email=ann@example.com"},
        EditCase{"convert_to_double",
                 R"j([{"action":"convert","key":"t","converted_type":"double"},
                     {"action":"convert","key":"n","converted_type":"double"},
                     {"action":"convert","key":"b","converted_type":"double"},
                     {"action":"convert","key":"a","converted_type":"double"}])j",
                 "a=x n=7.0 d=2.75 b=1.0 t=42.0 user.email=ann@example.com"},
        EditCase{"convert_to_string",
                 R"j([{"action":"convert","key":"d","converted_type":"string"},
                     {"action":"update","key":"a","from_attribute":"d"},
                     {"action":"hash","key":"a"}])j",
                 "a=73af98c887a3fd39bb0bf46ca51699e9c8c250db05a7452ee522614ff657b886 n=7 d=2.75 "
                 "b=true t=42 user.email=ann@example.com"},
        EditCase{"rename", R"j([{"action":"rename","key":"a","new_key":"t"}])j",
                 "t=x n=7 d=2.75 b=true user.email=ann@example.com"},
        EditCase{"rename_of_what_is_not_there",
                 R"j([{"action":"rename","key":"absent","new_key":"t"}])j", kRest},
        EditCase{"in_order",
                 R"j([{"action":"rename","key":"a","new_key":"c"},
                     {"action":"insert","key":"a","value":"new"},
                     {"action":"delete","key":"c"}])j",
                 "n=7 d=2.75 b=true t=42 user.email=ann@example.com a=new"}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(AttributeRules, HashIsSha256OfTheBytes) {
  const auto hash_of = [](const AttributeValue& value) {
    return span_after(R"j([{"action":"hash","key":"k"}])j", {{"k", value}});
  };
  // The
  // digests
  // are
  // those
  // that
  // `printf
  // … |
  // sha256sum`
  // prints.
  EXPECT_EQ(hash_of(text("abc")),
            "k="
            "ba78"
            "16bf"
            "8f01"
            "cfea"
            "4141"
            "40de"
            "5dae"
            "2223"
            "b003"
            "61a3"
            "9617"
            "7a9c"
            "b410"
            "ff61"
            "f200"
            "15a"
            "d");
  EXPECT_EQ(hash_of(text("")), "k=");
  EXPECT_EQ(hash_of(boolean(true)),
            "k="
            "4bf5"
            "122f"
            "3445"
            "54c5"
            "3bde"
            "2ebb"
            "8cd2"
            "b7e3"
            "d160"
            "0ad6"
            "31c3"
            "85a5"
            "d7cc"
            "e23c"
            "7785"
            "459"
            "a");
  EXPECT_EQ(hash_of(boolean(false)),
            "k="
            "6e34"
            "0b9c"
            "ffb3"
            "7a98"
            "9ca5"
            "44e6"
            "bb78"
            "0a2c"
            "7890"
            "1d3f"
            "b337"
            "3876"
            "8511"
            "a306"
            "17af"
            "a01"
            "d");
  EXPECT_EQ(hash_of(integer(1)),
            "k="
            "7c9f"
            "a136"
            "d441"
            "3fa6"
            "1736"
            "37e8"
            "83b6"
            "998d"
            "32e1"
            "d675"
            "f88c"
            "ddff"
            "9dcb"
            "cf33"
            "1820"
            "f4b"
            "8");
  EXPECT_EQ(hash_of(number(0)),
            "k="
            "af55"
            "70f5"
            "a181"
            "0b7a"
            "f78c"
            "af4b"
            "c70a"
            "660f"
            "0df5"
            "1e42"
            "baf9"
            "1d4d"
            "e5b2"
            "328d"
            "e0e8"
            "3df"
            "c");
  // Once,
  // where
  // both
  // the key
  // and the
  // pattern
  // mean
  // it.
  EXPECT_EQ(span_after(R"j([{"action":"hash","key":"k","pattern":"k"}])j", {{"k", text("abc")}}),
            hash_of(text("abc")));
}

TEST(AttributeRules, ConvertLeavesWhatDoesNotFit) {
  const auto to_int = [](const AttributeValue& value) {
    return span_after(R"j([{"action":"convert","key":"k","converted_type":"int"}])j",
                      {{"k", value}});
  };
  EXPECT_EQ(to_int(number(std::numeric_limits<double>::quiet_NaN())),
            "k="
            "Na"
            "N");
  EXPECT_EQ(to_int(number(0x1p63)), "k=9223372036854776000.0");
  EXPECT_EQ(to_int(number(-0x1p63)),
            "k=-"
            "9223"
            "3720"
            "3685"
            "4775"
            "80"
            "8");
  EXPECT_EQ(to_int(text("+5")),
            "k="
            "5");
  EXPECT_EQ(to_int(text("+-5")),
            "k=+-"
            "5");
  EXPECT_EQ(to_int(text("9223372036854775808")),
            "k="
            "9223"
            "3720"
            "3685"
            "4775"
            "80"
            "8");
  EXPECT_EQ(to_int(text("5 ")),
            "k="
            "5 ");
  EXPECT_EQ(to_int({.kind = Kind::Encoded, .text = "\x2a\x00"}),
            "k=("
            "enco"
            "ded"
            ")");
}

TEST(AttributeRules, KeepToTheirScope) {
  const SpanBatch in = batch_of({.span = {{"k", text("span")}},
                                 .resource = {{"k", text("resource")}},
                                 .event = {{"k", text("event")}}});
  const auto after = [&](std::string_view scope) {
    SpanBatch out;
    rules_of(R"([{"action":"update","key":"k","value":"new","scope":")" + std::string(scope) +
             R"("}])")
        .apply(in, out);
    return list_text(out, out.resources.at(0).attributes) + ", " +
           list_text(out, out.spans.at(0).attributes) + ", " +
           list_text(out, out.events.at(0).attributes);
  };
  EXPECT_EQ(after("span"),
            "k="
            "reso"
            "urce"
            ", "
            "k="
            "new,"
            " k="
            "even"
            "t");
  EXPECT_EQ(after("resource"),
            "k="
            "new,"
            " k="
            "span"
            ", "
            "k="
            "even"
            "t");
  EXPECT_EQ(after("event"),
            "k="
            "reso"
            "urce"
            ", "
            "k="
            "span"
            ", "
            "k="
            "ne"
            "w");
}

/// Whether
/// a rule
/// with
/// this
/// condition
/// edits
/// the span
/// (or its
/// resource
/// or
/// event,
/// by
/// `scope`).
bool includes(std::string_view include, std::string_view scope = "span") {
  const SpanBatch in =
      batch_of({.span = {{"http.status_code", integer(200)}, {"route", text("/health")}},
                .resource = {{"service.name", text("checkout")}, {"zone", text("a")}},
                .event = {},
                .name = "GET /health"});
  SpanBatch out;
  rules_of(R"([{"action":"insert","key":"hit","value":true,"scope":")" + std::string(scope) +
           R"(","include":)" + std::string(include) + "}]")
      .apply(in, out);
  return out.attributes.size() > in.attributes.size();
}

TEST(AttributeRules, ApplyWhereAllOfTheirConditionsHold) {
  EXPECT_TRUE(includes(R"({"services":["cart","checkout"]})"));
  EXPECT_FALSE(includes(R"({"services":["check"]})"));
  EXPECT_TRUE(includes(R"({"match_type":"regexp","services":["^check"]})"));
  EXPECT_TRUE(includes(R"({"span_names":["GET /health"]})"));
  EXPECT_FALSE(includes(R"({"span_names":["GET"]})"));
  EXPECT_TRUE(includes(R"({"match_type":"regexp","span_names":["^POST","^GET"]})"));
  EXPECT_TRUE(includes(R"({"attributes":[{"key":"http.status_code","value":200}]})"));
  EXPECT_FALSE(includes(R"({"attributes":[{"key":"http.status_code","value":"200"}]})"));
  EXPECT_FALSE(includes(R"({"attributes":[{"key":"http.status_code","value":404}]})"));
  EXPECT_TRUE(includes(
      R"({"match_type":"regexp","attributes":[{"key":"http.status_code","value":"^2"}]})"));
  EXPECT_TRUE(includes(R"({"attributes":[{"key":"route"}]})"));
  EXPECT_FALSE(includes(R"({"attributes":[{"key":"route"},{"key":"absent"}]})"));
  EXPECT_FALSE(includes(R"({"services":["checkout"],"span_names":["POST /"]})"));
  EXPECT_TRUE(includes(R"({"attributes":[{"key":"route","value":"/health"}]})",
                       "even"
                       "t"));
  EXPECT_FALSE(includes(R"({"attributes":[{"key":"zone"}]})",
                        "even"
                        "t"));
  EXPECT_TRUE(includes(R"({"attributes":[{"key":"zone","value":"a"}]})",
                       "reso"
                       "urc"
                       "e"));
  EXPECT_FALSE(includes(R"({"attributes":[{"key":"route"}]})",
                        "reso"
                        "urc"
                        "e"));
  EXPECT_FALSE(includes(R"({"services":["cart"]})",
                        "reso"
                        "urc"
                        "e"));
}

TEST(AttributeRules, SeeWhatTheRulesBeforeThemLeft) {
  const SpanBatch in = batch_of({.span = {}, .resource = {{"service.name", text("old")}}});
  SpanBatch out;
  rules_of(
      R"([
    {"action":"insert","key":"first","value":1,"include":{"services":["old"]}},
    {"action":"update","key":"service.name","value":"new","scope":"resource"},
    {"action":"insert","key":"second","value":2,"include":{"services":["new"]}},
    {"action":"insert","key":"third","value":3,"include":{"services":["old"]}},
    {"action":"insert","key":"seen","value":4,"scope":"event",
     "include":{"attributes":[{"key":"second"}]}},
    {"action":"delete","key":"second"}])")
      .apply(in, out);
  EXPECT_EQ(list_text(out, out.spans.at(0).attributes),
            "firs"
            "t="
            "1");
  EXPECT_EQ(list_text(out, out.events.at(0).attributes),
            "seen"
            "=4");
}

TEST(AttributeRules, OutliveTheirRules) {
  const SpanBatch in = batch_of({.span = {{"k", text("v")}}});
  SpanBatch out;
  {
    const AttributeRules rules = rules_of(
        R"j([{"action":"insert","key":"a key that is on the heap, as it is long","value":"a value that is there, too"}])j");
    rules.apply(in, out);
  }
  EXPECT_EQ(list_text(out, out.spans.at(0).attributes),
            "k=v "
            "a "
            "key "
            "that"
            " is "
            "on "
            "the "
            "heap"
            ", "
            "as "
            "it "
            "is "
            "long"
            "=a "
            "valu"
            "e "
            "that"
            " is "
            "ther"
            "e, "
            "to"
            "o");
}

RC_GTEST_PROP(AttributeRules, WithoutRulesABatchIsTheSame, ()) {
  const testing::TwinBatch twins;
  SpanBatch out;
  AttributeRules().apply(twins.planted(), out);
  RC_ASSERT(codec::encode_otlp_traces(out) == codec::encode_otlp_traces(twins.planted()));
}

/// Names
/// and
/// whether
/// the
/// marker
/// may be
/// in their
/// value.
SpanAttribute random_attribute(std::string_view key) {
  return {.key = key, .value = text(key.starts_with("secret") ? testing::kMarker : "plain")};
}

std::vector<SpanAttribute> random_list() {
  std::vector<SpanAttribute> list;
  for (const std::string_view key : {"a",
                                     "sec"
                                     "ret"
                                     ".1",
                                     "b",
                                     "sec"
                                     "ret"
                                     ".2",
                                     "c"})
    if (*rc::gen::arbitrary<bool>()) list.push_back(random_attribute(key));
  return list;
}

RC_GTEST_PROP(AttributeRules, DeleteLeavesNoTraceAndEditsACopy, ()) {
  SpanBatch in =
      batch_of({.span = random_list(), .resource = random_list(), .event = random_list()});
  in.otlp = testing::kMarker;
  const std::string before = codec::encode_otlp_traces(in);
  const std::string how = *rc::gen::element<std::string>(R"("action":"delete","pattern":"^secret")",
                                                         R"("action":"hash","pattern":"^secret")");
  SpanBatch out;
  rules_of("[{" + how + R"(},{"scope":"resource",)" + how + R"(},{"scope":"event",)" + how + "}]")
      .apply(in, out);

  RC_ASSERT(codec::encode_otlp_traces(in) == before);
  RC_ASSERT(!codec::encode_otlp_traces(out).contains(testing::kMarker));
  RC_ASSERT(out.otlp.empty());
  for (const SpanAttribute& attribute : out.attributes)
    RC_ASSERT(!attribute.value.text.contains(testing::kMarker));
  std::size_t plain_before = 0;
  for (const SpanAttribute& attribute : in.attributes) plain_before += attribute.key.size() == 1;
  std::size_t plain_after = 0;
  for (const SpanAttribute& attribute : out.attributes) plain_after += attribute.key.size() == 1;
  RC_ASSERT(plain_after == plain_before);
}

}  // namespace
}  // namespace gantry::pipeline
