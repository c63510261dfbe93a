#include "gateway/request_modalities.h"

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

using Names = std::vector<std::string>;

Names modalities_of(Api api, std::string_view body) {
  return find_input_media(api, body).modalities;
}

TEST(RequestModalities, TextHasNone) {
  EXPECT_EQ(
      modalities_of(Api::Chat, R"({"messages":[{"role":"user","content":"an image of a file"}]})"),
      Names{});
  EXPECT_EQ(modalities_of(Api::Completions, R"({"prompt":"image"})"), Names{});
}

TEST(RequestModalities, EachPartOfAChatIsNamedOnce) {
  EXPECT_EQ(modalities_of(Api::Chat, R"({"messages":[
      {"role":"system","content":[{"type":"text","text":"image"}]},
      {"role":"user","content":[{"image_url":{"url":"https://x/y.png"},"type":"image_url"},
                                {"type":"input_audio","input_audio":{}},
                                {"type":"image_url","image_url":{}},
                                {"type":"file","file":{"type":"video"}}]}]})"),
            (Names{"image", "audio", "file"}));
}

TEST(RequestModalities, AnthropicsToolResultsHavePartsOfTheirOwn) {
  EXPECT_EQ(modalities_of(Api::Messages, R"({"messages":[{"role":"user","content":[
      {"type":"tool_result","content":[{"type":"image","source":{}}]},{"type":"document"}]}]})"),
            (Names{"image", "file"}));
}

TEST(RequestModalities, ResponsesHaveTheirsInInput) {
  EXPECT_EQ(modalities_of(Api::Responses,
                          R"({"input":[{"role":"user","content":[{"type":"input_image"}]}]})"),
            Names{"image"});
  EXPECT_EQ(modalities_of(Api::Responses, R"({"input":"image"})"), Names{});
}

TEST(RequestModalities, EmbeddingsMayHavePartsToo) {
  EXPECT_EQ(modalities_of(Api::Embeddings, R"({"input":["an image",[1,2],
      {"content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{}}]}]})"),
            Names{"image"});
}

TEST(RequestModalities, EveryImageCounts) {
  EXPECT_EQ(find_input_media(Api::Chat, R"({"messages":[
      {"role":"user","content":[{"type":"image_url"},{"type":"file"},{"type":"image_url"}]},
      {"role":"assistant","content":"no image"},
      {"role":"user","content":[{"type":"image_url"}]}]})")
                .images,
            3);
  EXPECT_EQ(find_input_media(Api::Responses, R"({"input":[
      {"role":"user","content":[{"type":"input_image"}]},
      {"type":"function_call_output","output":[{"type":"input_image"},{"type":"input_text"}]}]})")
                .images,
            2);
  EXPECT_EQ(find_input_media(Api::Messages, R"({"messages":[{"role":"user","content":[
      {"type":"tool_result","content":[{"type":"image"},{"type":"image"}]}]}]})")
                .images,
            2);
  EXPECT_EQ(
      find_input_media(Api::Chat, R"({"messages":[{"content":[{"type":"input_audio"}]}]})").images,
      0);
}

}  // namespace
}  // namespace gantry::gateway
