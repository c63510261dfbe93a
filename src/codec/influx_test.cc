#include "codec/influx.h"

#include <map>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "codec/influx_line.h"
#include "codec/testing/batch_text.h"
#include "codec/testing/conformance.h"

namespace gantry::codec {
namespace {

using testing::batch_text;

constexpr std::int64_t kNowNs = 1'465'839'830'100'400'200;

std::string decoded_text(std::string_view body, InfluxOptions options = {}) {
  if (options.now_ns == 0) options.now_ns = kNowNs;
  InfluxDecoder decoder;
  const auto result = decoder.decode(body, options);
  if (!result) return "error: " + result.error().message;
  return batch_text(decoder.batch());
}

struct Case {
  std::string_view name;
  std::string_view body;
  std::string_view expected;
};

class InfluxTest : public ::testing::TestWithParam<Case> {};

TEST_P(InfluxTest, MapsOrExplains) {
  EXPECT_EQ(decoded_text(GetParam().body), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Mapping, InfluxTest,
    ::testing::Values(
        Case{"documentation_example", "test,bar_label=abc,source=grafana_cloud_docs metric=35.2",
             "test_metric{bar_label=\"abc\", source=\"grafana_cloud_docs\"} 35.2 @1465839830100\n"},
        Case{"value_field_has_no_suffix", "m value=1.5 7000000", "m 1.5 @7\n"},
        Case{"every_number", "m a=1,b=-2i,c=3u,d=t,e=FALSE,f=1.e2,g=.5 1000000",
             "m_a 1 @1\nm_b -2 @1\nm_c 3 @1\nm_d 1 @1\nm_e 0 @1\nm_f 100 @1\nm_g 0.5 @1\n"},
        Case{"strings_are_skipped", "m s=\"x y,z=\\\" \\\\\",v=1 1000000", "m_v 1 @1\n"},
        Case{"only_strings_is_success", "m s=\"x\"", ""},
        Case{"names_are_sanitised", "0a.b:c,k-8=v d%=1 1000000", "_0a_b_c_d_{k_8=\"v\"} 1 @1\n"},
        Case{"one_underscore_per_character", "größe,ключ=з value=1 1000000",
             "gr__e{____=\"з\"} 1 @1\n"},
        Case{"escapes", "a\\ b\\,c,k\\=e=v\\ \\,\\= f\\ g=1 1000000",
             "a_b_c_f_g{k_e=\"v ,=\"} 1 @1\n"},
        Case{"backslash_elsewhere_is_literal", "m,k=a\\b\\ c value=1 1000000",
             "m{k=\"a\\\\b c\"} 1 @1\n"},
        Case{"comments_blank_lines_crlf", "# x\n\n  \r\n m v=1 1000000 \r\n#\nn v=2 2000000\n",
             "m_v 1 @1\nn_v 2 @2\n"},
        Case{"newline_in_string", "m s=\"a\nb\",v=1 1000000\nn v=2 1000000",
             "m_v 1 @1\nn_v 2 @1\n"},
        Case{"name_tag_is_dropped", "m,__name__=evil,t=1 value=2 1000000", "m{t=\"1\"} 2 @1\n"},
        Case{"last_of_repeated_fields", "m v=1,w=2,v=3 1000000", "m_v 3 @1\nm_w 2 @1\n"},
        Case{"time_is_floored", "m v=1 -1\nn v=1 -1000000\no v=1 1999999",
             "m_v 1 @-1\nn_v 1 @-1\no_v 1 @1\n"},
        Case{"tags_equal_after_sanitising", "m,a-b=1,a.b=2 value=1 1000000",
             "error: invalid labels for series, labels {__name__=\"m\", a_b=\"1\", a_b=\"2\"}, "
             "duplicated label a_b 1 @1\n"}),
    [](const auto& c) { return std::string(c.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Errors, InfluxTest,
    ::testing::Values(
        Case{"missing_value", "good v=1\nm f=", "error: line 2: missing field value: \"m f=\""},
        Case{"line_after_string_with_newlines", "m s=\"a\nb\n\"\nbad",
             "error: line 4: missing fields: \"bad\""},
        Case{"line_after_escaped_newline", "m s=\"a\\\nb\"\nbad",
             "error: line 3: missing fields: \"bad\""},
        Case{"excerpt_is_64_characters",
             "äääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääää",
             "error: line 1: missing fields: "
             "\"ääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääää\""},
        Case{"nan", "m v=NaN", "error: line 1: invalid field value: \"m v=NaN\""},
        Case{"plus", "m v=+1", "error: line 1: invalid field value: \"m v=+1\""},
        Case{"hex", "m v=0x1", "error: line 1: invalid number: \"m v=0x1\""},
        Case{"exponent_integer", "m v=1e5i", "error: line 1: invalid integer: \"m v=1e5i\""},
        Case{"overflow", "m v=9223372036854775808i",
             "error: line 1: number out of range: \"m v=9223372036854775808i\""},
        Case{"float_overflow", "m v=1e999", "error: line 1: number out of range: \"m v=1e999\""},
        Case{"negative_unsigned", "m v=-1u",
             "error: line 1: invalid unsigned integer: \"m v=-1u\""},
        Case{"boolean", "m v=tru", "error: line 1: invalid boolean: \"m v=tru\""},
        Case{"duplicate_tags", "m,a=1,a=2 v=1", "error: line 1: duplicate tags: \"m,a=1,a=2 v=1\""},
        Case{"empty_tag", "m,a= v=1", "error: line 1: missing tag value: \"m,a= v=1\""},
        Case{"no_measurement", ",a=1 v=1", "error: line 1: missing measurement: \",a=1 v=1\""},
        Case{"quotes", "m v=\"a", "error: line 1: unbalanced quotes: \"m v=\"a\""},
        Case{"fraction_of_time", "m v=1 1.5", "error: line 1: bad timestamp: \"m v=1 1.5\""},
        Case{"utf8", "m v=1 1\nm\xff v=1", "error: line 2: invalid UTF-8: \"m\xff v=1\""}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(Influx, PrecisionScalesAndTruncates) {
  struct PrecisionCase {
    std::string_view word;
    std::string_view timestamp;
    std::int64_t expected_ms;
    std::int64_t now_ms;
  };

  for (const PrecisionCase& c :
       {PrecisionCase{"", "1465839830100400200", 1465839830100, 1465839830100},
        PrecisionCase{"u", "1465839830100400", 1465839830100, 1465839830100},
        PrecisionCase{"µs", "1465839830100400", 1465839830100, 1465839830100},
        PrecisionCase{"ms", "1465839830100", 1465839830100, 1465839830100},
        PrecisionCase{"s", "1465839830", 1465839830000, 1465839830000},
        PrecisionCase{"m", "24430663", 1465839780000, 1465839780000},
        PrecisionCase{"h", "407177", 1465837200000, 1465837200000}}) {
    const auto precision = parse_influx_precision(c.word, PrecisionWords::All);
    ASSERT_TRUE(precision) << c.word;
    InfluxDecoder decoder;
    const std::string body = "m v=1 " + std::string(c.timestamp) + "\nm v=1";
    ASSERT_TRUE(decoder.decode(body, {.precision = *precision, .now_ns = kNowNs}));
    EXPECT_EQ(decoder.batch().samples[0].timestamp_ms, c.expected_ms) << c.word;
    EXPECT_EQ(decoder.batch().samples[1].timestamp_ms, c.now_ms) << c.word;
  }
  const auto grafana = parse_influx_precision("m", PrecisionWords::GrafanaCloud);
  ASSERT_FALSE(grafana);
  EXPECT_EQ(grafana.error().message, "precision supplied is not valid: m");
}

TEST(Influx, TimestampOverflowIsRefused) {
  EXPECT_EQ(decoded_text("m v=1 9223372036854775807", {.precision = InfluxPrecision::Hours}),
            "error: timestamp 9223372036854775807 is out of range at this precision: \"m\"");
}

TEST(Influx, GoodLinesMayBeKept) {
  InfluxDecoder decoder;
  ASSERT_TRUE(decoder.decode("a v=1 1000000\nbad\nb v=\"\nc v=2 1000000",
                             {.now_ns = kNowNs, .keeps_good_lines = true}));
  EXPECT_EQ(batch_text(decoder.batch()), "a_v 1 @1\nc_v 2 @1\n");
  ASSERT_EQ(decoder.rejections().total(), 2U);
  EXPECT_EQ(decoder.rejections().kept()[0].message, "line 2: missing fields: \"bad\"");
  EXPECT_EQ(decoder.rejections().kept()[1].message, "line 3: unbalanced quotes: \"b v=\"\"");
}

TEST(Influx, LabelsOfTheRequest) {
  EXPECT_EQ(decoded_text("m,x=1 value=1 1000000\nm,db=own value=2 1000000",
                         {.database_label = "db", .database = "mydb", .source_label = "x"}),
            "m{db=\"mydb\", x=\"influx\"} 1 @1\nm{db=\"own\", x=\"influx\"} 2 @1\n");
  EXPECT_EQ(decoded_text("m value=1 1000000", {.database_label = "db"}), "m 1 @1\n");
  EXPECT_EQ(decoded_text("m value=1 1000000", {.database = "mydb"}), "m 1 @1\n");
}

TEST(Influx, KeysFollowLabelsAndOptions) {
  const auto keys = [](std::string_view body, InfluxOptions options) {
    InfluxDecoder decoder;
    EXPECT_TRUE(decoder.decode(body, options));
    std::vector<core::Hash128> result;
    for (const auto& series : decoder.batch().series) result.push_back(series.key);
    return result;
  };
  const auto plain = keys("m,a=1 v=1,w=1\nm,a=2 v=1", {});
  ASSERT_EQ(plain.size(), 3U);
  EXPECT_NE(plain[0], plain[1]);
  EXPECT_NE(plain[0], plain[2]);
  EXPECT_EQ(plain[0], keys("x y=1\nm,a=1 v=5 77", {})[1]);
  EXPECT_NE(plain[0], keys("m,a=1 v=1", {.database_label = "db", .database = "d"})[0]);
  EXPECT_NE(plain[0], keys("m,a=1 v=1", {.source_label = "s"})[0]);
  EXPECT_NE(plain[0], keys("m,a=1 v=1", {.mapping = InfluxMapping::VictoriaMetrics})[0]);
}

TEST(Influx, WideLinesAreCheckedForRepeatedKeys) {
  std::string tags = "m";
  std::string fields;
  for (int i = 0; i < 40; ++i) {
    tags += ",t" + std::to_string(i) + "=v";
    fields += (i == 0 ? "f" : ",f") + std::to_string(i) + "=1";
  }
  InfluxDecoder decoder;
  const std::string repeated_field = tags + " " + fields + ",f3=9";
  ASSERT_TRUE(decoder.decode(repeated_field, {}));
  EXPECT_EQ(decoder.batch().samples.size(), 40U);
  EXPECT_EQ(decoder.batch().samples.back().value, 9);
  const std::string repeated_tag = tags + ",t3=v " + fields;
  EXPECT_FALSE(decoder.decode(repeated_tag, {}));
}

TEST(Influx, LongKeysAndStringsAreRefused) {
  EXPECT_TRUE(decoded_text("m,a=" + std::string(65531, 'x') + " v=1")
                  .starts_with("error: line 1: max key length exceeded"));
  EXPECT_TRUE(decoded_text("m s=\"" + std::string(65537, 'x') + "\"")
                  .starts_with("error: line 1: string value longer than 65536 bytes"));
}

TEST(Influx, TruncatedAtEveryByteErrsOrDecodes) {
  const std::string whole =
      "a\\ b,k\\=1=v\\,,l=w s=\"x\\\"y\",f=-1.5e3,i=12i,u=7u,b=true 1465839830100400200\r\n# c\n"
      "größe value=1";
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    const std::string part(whole, 0, length);
    const std::string text = decoded_text(part);
    EXPECT_TRUE(length != whole.size() || !text.starts_with("error")) << text;
  }
}

RC_GTEST_PROP(Influx, AnyBytesErrOrDecode, (const std::string& body)) {
  for (const auto mapping : {InfluxMapping::GrafanaCloud, InfluxMapping::VictoriaMetrics}) {
    InfluxDecoder decoder;
    if (decoder.decode(body, {.mapping = mapping, .keeps_good_lines = true})) {
      RC_ASSERT(decoder.batch().samples.size() == decoder.batch().series.size());
      static_cast<void>(batch_text(decoder.batch()));
    }
  }
}

std::string escaped(std::string_view text, std::string_view special) {
  std::string out;
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

/// Printable ASCII that does not end in a backslash (which would escape what follows).
rc::Gen<std::string> element_text() {
  return rc::gen::map(rc::gen::container<std::string>(rc::gen::inRange('!', '\x7f')),
                      [](std::string text) { return "k" + text + "e"; });
}

RC_GTEST_PROP(Influx, WrittenPointsAreReadBack, ()) {
  const std::string measurement = *element_text();
  const auto tags =
      *rc::gen::container<std::map<std::string, std::string>>(element_text(), element_text());
  const std::string field = *element_text();
  const double value = *rc::gen::arbitrary<std::int32_t>() / 8.0;
  const auto timestamp = *rc::gen::arbitrary<std::int64_t>();
  std::string line = escaped(measurement, ", ");
  for (const auto& [key, tag_value] : tags) {
    line += "," + escaped(key, ",= ") + "=" + escaped(tag_value, ",= ");
  }
  line +=
      " " + escaped(field, ",= ") + "=" + std::to_string(value) + " " + std::to_string(timestamp);
  core::Arena arena;
  InfluxLineParser parser(line, {}, arena);
  InfluxPoint point;
  const auto read = parser.next(point);
  RC_ASSERT(read.has_value());
  RC_ASSERT(*read);
  RC_ASSERT(point.measurement == measurement);
  RC_ASSERT(point.tags.size() == tags.size());
  std::size_t i = 0;
  for (const auto& [key, tag_value] : tags) {
    RC_ASSERT(point.tags[i].key == key);
    RC_ASSERT(point.tags[i++].value == tag_value);
  }
  RC_ASSERT(point.fields.size() == 1U);
  RC_ASSERT(point.fields[0].key == field);
  RC_ASSERT(point.fields[0].value.number == value);
  RC_ASSERT(point.timestamp == timestamp);
}

bool value_matches(const nlohmann::json& want, const InfluxValue& got) {
  const std::string& kind = want.begin().key();
  const nlohmann::json& value = want.begin().value();
  if (kind == "float") {
    return got.kind == InfluxValueKind::Float && got.number == testing::json_double(value);
  }
  if (kind == "int") {
    return got.kind == InfluxValueKind::Integer && got.integer == value.get<std::int64_t>();
  }
  if (kind == "uint") {
    return got.kind == InfluxValueKind::Unsigned &&
           got.unsigned_integer == value.get<std::uint64_t>();
  }
  if (kind == "bool") {
    return got.kind == InfluxValueKind::Boolean && (got.integer == 1) == value.get<bool>();
  }
  return got.kind == InfluxValueKind::String &&
         unescape_influx_string(got.raw_string) == value.get<std::string>();
}

bool point_matches(const nlohmann::json& want, InfluxPoint& got, std::int64_t unit,
                   std::int64_t now_ns) {
  std::ranges::sort(got.tags, {}, &InfluxTag::key);
  bool matches = want.at("measurement").get<std::string>() == got.measurement &&
                 want.at("tags").size() == got.tags.size() &&
                 want.at("fields").size() == got.fields.size();
  for (std::size_t i = 0; matches && i < got.tags.size(); ++i) {
    matches = want["tags"][i][0].get<std::string>() == got.tags[i].key &&
              want["tags"][i][1].get<std::string>() == got.tags[i].value;
  }
  for (std::size_t i = 0; matches && i < got.fields.size(); ++i) {
    matches = want["fields"][i][0].get<std::string>() == got.fields[i].key &&
              value_matches(want["fields"][i][1], got.fields[i].value);
  }
  const std::int64_t time_ns = got.timestamp ? *got.timestamp * unit : now_ns / unit * unit;
  return matches && want.at("time_ns").get<std::int64_t>() == time_ns;
}

TEST(InfluxConformance, Corpus) {
  GANTRY_CONFORMANCE_JSON(file, "wire/influx/line-protocol-corpus.json");
  testing::Score score("influx/line-protocol-corpus.json");
  for (const auto& test : file.at("cases")) {
    const std::string body = test.contains("text")
                                 ? test["text"].get<std::string>()
                                 : testing::from_base64(test.at("text_base64").get<std::string>());
    const auto unit = test.at("precision_ns").get<std::int64_t>();
    const auto now_ns = test.at("default_time_ns").get<std::int64_t>();
    const bool wants_error = test.contains("error");
    core::Arena arena;
    InfluxLineParser parser(body, {}, arena);
    std::size_t count = 0;
    bool passed = true;
    std::string error;
    while (passed) {
      InfluxPoint point;
      const auto read = parser.next(point);
      if (!read) error = read.error().message;
      if (!read || !*read) break;
      if (!wants_error) {
        passed = count < test.at("points").size() &&
                 point_matches(test["points"][count], point, unit, now_ns);
      }
      ++count;
    }
    if (wants_error) {
      passed = !error.empty();
      if (test.contains("error_line")) {
        passed &= error.starts_with("line " + test["error_line"].dump() + ":");
      }
    } else {
      passed &= error.empty() && count == test.at("points").size();
    }
    EXPECT_TRUE(passed) << test << "\ngot " << count << " points, error " << error;
    score.add(passed);
  }
}

std::string expected_line(const nlohmann::json& series, std::int64_t now_ms) {
  std::vector<telemetry::Label> labels{{"__name__", series.at("name").get<std::string>()}};
  for (const auto& [name, value] : series.at("labels").items()) {
    labels.push_back({name, value.get<std::string>()});
  }
  std::string value = nlohmann::json(series.at("value").get<double>()).dump();
  if (value.ends_with(".0")) value.resize(value.size() - 2);
  return telemetry::format_series(telemetry::make_labels(std::move(labels))) + " " + value + " @" +
         std::to_string(series.value("timestamp_ms", now_ms));
}

void run_mapping(const nlohmann::json& cases, InfluxMapping mapping, testing::Score& score) {
  for (const auto& test : cases) {
    const auto query = test.value("query", nlohmann::json::object());
    const std::int64_t now_ms = test.value("now_ms", std::int64_t{1465839830100});
    std::string database = query.value("db", "");
    const std::string body = test.at("body").get<std::string>();
    InfluxOptions options{.mapping = mapping, .now_ns = now_ms * 1'000'000};
    options.database_label = "db";
    options.database = database;
    std::string text;
    InfluxDecoder decoder;
    if (const auto precision =
            parse_influx_precision(query.value("precision", ""), PrecisionWords::GrafanaCloud)) {
      options.precision = *precision;
      if (mapping == InfluxMapping::VictoriaMetrics && !query.contains("precision")) {
        options.precision = InfluxPrecision::ByMagnitude;
      }
      const auto result = decoder.decode(body, options);
      text = result ? batch_text(decoder.batch()) : "error: " + result.error().message;
    } else {
      text = "error: " + precision.error().message;
    }
    bool passed = false;
    if (test.contains("error")) {
      passed = text.starts_with("error: ");
    } else {
      std::vector<std::string> lines;
      for (const auto& series : test.at("series")) lines.push_back(expected_line(series, now_ms));
      std::ranges::sort(lines);
      std::string expected;
      for (const std::string& line : lines) expected += line + "\n";
      passed = text == expected;
    }
    EXPECT_TRUE(passed) << test << "\ngot " << text;
    score.add(passed);
  }
}

TEST(InfluxConformance, GrafanaCloudMapping) {
  GANTRY_CONFORMANCE_JSON(file, "wire/influx/grafana-cloud-mapping.json");
  testing::Score score("influx/grafana-cloud-mapping.json");
  run_mapping(file.at("cases"), InfluxMapping::GrafanaCloud, score);
}

TEST(InfluxConformance, VictoriaMetricsMapping) {
  GANTRY_CONFORMANCE_JSON(file, "wire/influx/victoriametrics-mapping.json");
  testing::Score score("influx/victoriametrics-mapping.json");
  run_mapping(file.at("cases"), InfluxMapping::VictoriaMetrics, score);
}

}  // namespace
}  // namespace gantry::codec
