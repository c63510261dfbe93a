#include "gateway/request_modalities.h"

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

using Names = std::vector<std::string>;

TEST(RequestModalities, TextHasNone) {
  EXPECT_EQ(find_input_modalities(
                Api::Chat, R"({"messages":[{"role":"user","content":"an image of a file"}]})"),
            Names{});
  EXPECT_EQ(find_input_modalities(Api::Completions, R"({"prompt":"image"})"), Names{});
}

TEST(RequestModalities, EachPartOfAChatIsNamedOnce) {
  EXPECT_EQ(find_input_modalities(Api::Chat, R"({"messages":[
      {"role":"system","content":[{"type":"text","text":"image"}]},
      {"role":"user","content":[{"image_url":{"url":"https://x/y.png"},"type":"image_url"},
                                {"type":"input_audio","input_audio":{}},
                                {"type":"image_url","image_url":{}},
                                {"type":"file","file":{"type":"video"}}]}]})"),
            (Names{"image", "audio", "file"}));
}

TEST(RequestModalities, AnthropicsToolResultsHavePartsOfTheirOwn) {
  EXPECT_EQ(find_input_modalities(Api::Messages, R"({"messages":[{"role":"user","content":[
      {"type":"tool_result","content":[{"type":"image","source":{}}]},{"type":"document"}]}]})"),
            (Names{"image", "file"}));
}

TEST(RequestModalities, ResponsesHaveTheirsInInput) {
  EXPECT_EQ(
      find_input_modalities(Api::Responses,
                            R"({"input":[{"role":"user","content":[{"type":"input_image"}]}]})"),
      Names{"image"});
  EXPECT_EQ(find_input_modalities(Api::Responses, R"({"input":"image"})"), Names{});
}

}  // namespace
}  // namespace gantry::gateway
