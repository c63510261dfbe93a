#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "gateway/chunk_editor_internal.h"
#include "gateway/finish_reason.h"
#include "gateway/usage_cost_internal.h"

namespace gantry::gateway {

/// A member of `delta.tool_calls`. Ranges are of the chunk.
struct ChunkEditor::Fragment {
  std::size_t begin = 0;  ///< Of its brace.
  std::size_t member_count = 0;
  std::optional<ByteRange> index_range;
  std::optional<ByteRange> id_range;   ///< Of the value.
  std::optional<ByteRange> id_member;  ///< What to cut.
  std::optional<ByteRange> name_member;
  std::optional<std::int64_t> index;
  std::string id;
  std::string name;
};

namespace {

EarlierMembers earlier(const JsonMember& member) {
  return member.comma_before ? EarlierMembers::SomeKept : EarlierMembers::AllRemoved;
}

ByteRange shifted(ByteRange range, std::size_t by) {
  return {range.begin + by, range.end + by};
}

}  // namespace

ChunkEditor::Outcome ChunkEditor::run() {
  object_begin_ = json_.position();
  const bool is_object = json_.object([this](const JsonMember& member) { top_member(member); });
  if (!is_object || !json_.finish()) return Outcome::Broken;
  if (has_error_) return Outcome::Error;
  if (has_usage_ && !has_choice_ && !shape_.forwards_usage) return Outcome::Dropped;
  complete();
  return Outcome::Chunk;
}

void ChunkEditor::top_member(const JsonMember& member) {
  if (member.key == "usage") return usage(member);
  has_kept_member_ = true;
  if (member.key == "id") {
    replace_text(has_id_, shape_.generation_id);
  } else if (member.key == "model") {
    replace_text(has_model_, shape_.model);
  } else if (member.key == "provider" && !shape_.provider_name.empty()) {
    replace_text(has_provider_, shape_.provider_name);
  } else if (member.key == "object" || member.key == "type") {
    has_error_ |= json_.string() == "error";
  } else if (member.key == "error") {
    has_error_ |= json_.kind() != JsonKind::Null;
  } else if (member.key == "choices") {
    json_.array([this] { choice(); });
  }
}

void ChunkEditor::replace_text(bool& is_there, std::string_view text) {
  is_there = true;
  edits_.replace(json_.skip(), json_string(text));
}

void ChunkEditor::usage(const JsonMember& member) {
  has_usage_ |= json_.kind() == JsonKind::Object;
  const auto kept = has_kept_member_ ? EarlierMembers::SomeKept : EarlierMembers::AllRemoved;
  if (shape_.forwards_usage) {
    has_kept_member_ = true;
    if (json_.kind() == JsonKind::Object)
      edit_cost_members(chunk_, json_.skip(), shape_.pricing, edits_);
    return;
  }
  const JsonMember copy = member;
  const std::size_t end = json_.skip().end;
  edits_.remove(member_range(chunk_, copy, end, kept));
}

void ChunkEditor::choice() {
  has_choice_ = true;
  std::int64_t index = 0;
  std::optional<ByteRange> delta;
  std::optional<ByteRange> reason;
  std::string native;
  bool has_native = false;
  const bool is_object = json_.object([&](const JsonMember& member) {
    if (member.key == "index") {
      index = json_.integer().value_or(0);
    } else if (member.key == "delta") {
      delta = json_.skip();
    } else if (member.key == "native_finish_reason") {
      has_native = true;
    } else if (member.key == "finish_reason" && json_.kind() == JsonKind::String) {
      const std::size_t begin = json_.position();
      json_.append_string(native);
      reason = ByteRange{begin, json_.value_end()};
    }
  });
  if (!is_object) return;
  has_finish_reason_ |= reason.has_value();
  if (reason && normalise_finish_reason(native) != native) {
    std::string text = json_string(normalise_finish_reason(native));
    if (!has_native) text += ",\"native_finish_reason\":" + json_string(native);
    edits_.replace(*reason, std::move(text));
  }
  if (delta) read_delta(*delta, index);
}

void ChunkEditor::read_delta(ByteRange range, std::int64_t choice) {
  JsonReader delta(range.of(chunk_));
  delta.object([&](const JsonMember& member) {
    if (member.key != "tool_calls") return;
    delta.array([&] { tool_call(delta, range.begin, choice); });
  });
}

void ChunkEditor::tool_call(JsonReader& delta, std::size_t offset, std::int64_t choice) {
  const std::string_view text = chunk_.substr(offset);
  Fragment fragment{.begin = offset + delta.position()};
  const bool is_object = delta.object([&](const JsonMember& member) {
    ++fragment.member_count;
    const JsonMember copy = member;
    if (member.key == "index") {
      const std::size_t begin = delta.position();
      fragment.index = delta.integer();
      fragment.index_range = shifted({begin, delta.value_end()}, offset);
    } else if (member.key == "id" && delta.kind() == JsonKind::String) {
      const std::size_t begin = delta.position();
      delta.append_string(fragment.id);
      const std::size_t end = delta.value_end();
      fragment.id_range = shifted({begin, end}, offset);
      fragment.id_member = shifted(member_range(text, copy, end, earlier(copy)), offset);
    } else if (member.key == "function") {
      delta.object([&](const JsonMember& part) {
        if (part.key != "name" || delta.kind() != JsonKind::String) return;
        const JsonMember name = part;
        delta.append_string(fragment.name);
        fragment.name_member =
            shifted(member_range(text, name, delta.value_end(), earlier(name)), offset);
      });
    }
  });
  if (!is_object) return;
  if (fragment.index.value_or(0) < 0) fragment.index.reset();
  const ToolCallPlace place = tool_calls_.place(
      {.choice = choice, .index = fragment.index, .id = fragment.id, .name = fragment.name});
  mend(fragment, place);
}

void ChunkEditor::mend(const Fragment& fragment, const ToolCallPlace& place) {
  // SDKs put fragments together by their index, and add up texts: a repeated id or name would
  // grow.
  bool keeps_id = fragment.id_member.has_value();
  if (keeps_id && place.repeats_id) {
    edits_.remove(*fragment.id_member);
    keeps_id = false;
  } else if (keeps_id && place.shares_id) {
    edits_.replace(*fragment.id_range, json_string(fmt::format("{}-{}", fragment.id, place.index)));
  }
  if (place.repeats_name && fragment.name_member) edits_.remove(*fragment.name_member);
  if (fragment.index == place.index) return;
  if (fragment.index_range) {
    edits_.replace(*fragment.index_range, std::to_string(place.index));
    return;
  }
  const std::size_t cut = fragment.id_member && !keeps_id ? 1 : 0;
  const bool is_followed = fragment.member_count > cut;
  edits_.insert(fragment.begin + 1,
                fmt::format("\"index\":{}{}", place.index, is_followed ? "," : ""));
}

void ChunkEditor::complete() {
  std::vector<std::string> missing;
  if (!has_id_ && shape_.api != Api::Embeddings)
    missing.push_back("\"id\":" + json_string(shape_.generation_id));
  if (!has_model_) missing.push_back("\"model\":" + json_string(shape_.model));
  if (!has_provider_ && !shape_.provider_name.empty()) {
    missing.push_back("\"provider\":" + json_string(shape_.provider_name));
  }
  if (missing.empty()) return;
  edits_.insert(object_begin_ + 1,
                fmt::format("{}{}", fmt::join(missing, ","), has_kept_member_ ? "," : ""));
}

std::string ChunkEditor::edited() const {
  std::string out;
  edits_.apply(chunk_, out);
  return out;
}

}  // namespace gantry::gateway
