#include "gateway/setting_node.h"

#include <algorithm>

namespace gantry::gateway {
namespace {

const SettingNode* find_item(const SettingNode& map, const std::string& key) {
  const auto found = std::ranges::find(map.items, key, &SettingNode::key);
  return found == map.items.end() ? nullptr : &*found;
}

bool is_same(const SettingNode& one, const SettingNode& other) {
  return one.kind == other.kind && one.key == other.key && one.text == other.text &&
         std::ranges::equal(one.items, other.items, is_same);
}

}  // namespace

std::vector<std::string> differing_keys(const SettingNode& before, const SettingNode& after) {
  std::vector<std::string> keys;
  for (const SettingNode& item : before.items) {
    const SettingNode* const now = find_item(after, item.key);
    if (now == nullptr || !is_same(item, *now)) keys.push_back(item.key);
  }
  for (const SettingNode& item : after.items)
    if (find_item(before, item.key) == nullptr) keys.push_back(item.key);
  return keys;
}

}  // namespace gantry::gateway
