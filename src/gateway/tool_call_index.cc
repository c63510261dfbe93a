#include "gateway/tool_call_index.h"

#include <algorithm>
#include <functional>

namespace gantry::gateway {
namespace {

std::size_t hash_text(std::string_view text) {
  if (text.empty()) return 0;
  return std::max<std::size_t>(std::hash<std::string_view>()(text), 1);
}

}  // namespace

ToolCallIndex::Call* ToolCallIndex::find_call(const ToolCallFragment& fragment,
                                              std::size_t id_hash) {
  Call* last = nullptr;
  Call* with_index = nullptr;
  Call* with_id = nullptr;
  for (Call& call : calls_) {
    if (call.choice != fragment.choice) continue;
    last = &call;
    if (fragment.index && call.provider_index == fragment.index) with_index = &call;
    if (id_hash != 0 && call.id_hash == id_hash) with_id = &call;
  }
  if (fragment.index) {
    if (with_index == nullptr || id_hash == 0 || fragment.name.empty()) return with_index;
    const bool is_other = with_index->id_hash != 0 && with_index->id_hash != id_hash;
    return is_other ? nullptr : with_index;
  }
  if (id_hash != 0) return with_id;
  return fragment.name.empty() ? last : nullptr;
}

ToolCallPlace ToolCallIndex::begin_call(const ToolCallFragment& fragment, std::size_t id_hash) {
  ToolCallPlace place{.is_first = true};
  std::int64_t next = 0;
  bool is_free = fragment.index.has_value();
  for (const Call& call : calls_) {
    if (call.choice != fragment.choice) continue;
    next = std::max(next, call.index + 1);
    if (fragment.index == call.index) is_free = false;
    if (id_hash != 0 && call.id_hash == id_hash) place.shares_id = true;
  }
  place.index = is_free ? *fragment.index : next;
  calls_.push_back({.choice = fragment.choice,
                    .index = place.index,
                    .provider_index = fragment.index,
                    .id_hash = id_hash,
                    .name_hash = hash_text(fragment.name)});
  return place;
}

ToolCallPlace ToolCallIndex::place(const ToolCallFragment& fragment) {
  const std::size_t id_hash = hash_text(fragment.id);
  Call* call = find_call(fragment, id_hash);
  if (call == nullptr) {
    if (calls_.size() < kCallsMax) return begin_call(fragment, id_hash);
    call = &calls_.back();
  }
  const std::size_t name_hash = hash_text(fragment.name);
  const ToolCallPlace place{.index = call->index,
                            .repeats_id = id_hash != 0 && call->id_hash != 0,
                            .repeats_name = name_hash != 0 && call->name_hash == name_hash};
  if (call->id_hash == 0) call->id_hash = id_hash;
  if (call->name_hash == 0) call->name_hash = name_hash;
  return place;
}

}  // namespace gantry::gateway
