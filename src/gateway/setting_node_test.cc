#include "gateway/setting_node.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

using Kind = SettingNode::Kind;
using Keys = std::vector<std::string>;

SettingNode scalar(std::string key, std::string text, std::string place = "") {
  return {.kind = Kind::Scalar,
          .text = std::move(text),
          .items = {},
          .key = std::move(key),
          .place = std::move(place)};
}

SettingNode list(std::string key, std::vector<SettingNode> items) {
  return {.kind = Kind::List,
          .text = {},
          .items = std::move(items),
          .key = std::move(key),
          .place = {}};
}

SettingNode map(std::vector<SettingNode> items) {
  return {.kind = Kind::Map, .text = {}, .items = std::move(items), .key = {}, .place = {}};
}

TEST(DifferingKeys, PlacesAndOrderMakeNoDifference) {
  EXPECT_EQ(differing_keys(map({scalar("a", "1", "x:1:1"), scalar("b", "2")}),
                           map({scalar("b", "2", "x:9:9"), scalar("a", "1")})),
            Keys());
}

TEST(DifferingKeys, ChangedAddedAndRemovedOnes) {
  EXPECT_EQ(differing_keys(map({scalar("kept", "1"), scalar("changed", "1"), scalar("gone", "1")}),
                           map({scalar("new", "1"), scalar("changed", "2"), scalar("kept", "1")})),
            (Keys{"changed", "gone", "new"}));
}

TEST(DifferingKeys, LooksIntoLists) {
  const auto models = [](const std::string& first, const std::string& second) {
    return map({list("models", {map({scalar("id", first)}), map({scalar("id", second)})})});
  };
  EXPECT_EQ(differing_keys(models("a", "b"), models("a", "b")), Keys());
  EXPECT_EQ(differing_keys(models("a", "b"), models("b", "a")), Keys{"models"});
  EXPECT_EQ(differing_keys(models("a", "b"), map({list("models", {map({scalar("id", "a")})})})),
            Keys{"models"});
}

TEST(DifferingKeys, AScalarIsNoList) {
  EXPECT_EQ(differing_keys(map({list("a", {})}), map({scalar("a", "")})), Keys{"a"});
}

}  // namespace
}  // namespace gantry::gateway
