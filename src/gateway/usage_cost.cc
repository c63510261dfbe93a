#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "core/json_writer.h"
#include "gateway/usage_cost_internal.h"
#include "gateway/usage_reader.h"

namespace gantry::gateway {
namespace {

void write_usd(core::JsonWriter& json, std::string_view key, PicoUsd amount) {
  json.key(key).raw(format_usd(amount));
}

std::string cost_details(const std::optional<Cost>& cost, const std::optional<PicoUsd>& reported) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  if (reported) {
    write_usd(json, "upstream_inference_cost", *reported);
  } else {
    json.key("upstream_inference_cost").null();
  }
  if (cost && cost->input) write_usd(json, "upstream_inference_prompt_cost", *cost->input);
  if (cost && cost->output) write_usd(json, "upstream_inference_completions_cost", *cost->output);
  json.end_object();
  return out;
}

}  // namespace

void edit_cost_members(std::string_view text, ByteRange range, const Pricing& pricing,
                       ByteEdits& edits) {
  const std::string_view object = range.of(text);
  JsonReader counts(object);
  const ReportedUsage reported = read_openai_usage(counts);
  std::optional<Cost> cost;
  if (reported.usage) cost = charge(*reported.usage, pricing, reported.cost);
  if (!cost && !reported.cost) return;

  struct Member {
    std::string_view key;
    std::string value;
    bool is_there = false;
  };

  std::array members = {Member{.key = "cost", .value = cost ? format_usd(cost->total) : "null"},
                        Member{.key = "cost_details", .value = cost_details(cost, reported.cost)},
                        // The keys of providers are the gateway's.
                        Member{.key = "is_byok", .value = "false"}};
  bool is_empty = true;
  JsonReader json(object);
  json.object([&](const JsonMember& member) {
    is_empty = false;
    for (Member& each : members) {
      if (member.key != each.key) continue;  // one that is there twice must not be the provider's
      const ByteRange value = json.skip();
      edits.replace({range.begin + value.begin, range.begin + value.end}, each.value);
      each.is_there = true;
      return;
    }
  });
  std::string missing;
  for (const Member& each : members) {
    if (each.is_there) continue;
    if (!is_empty || !missing.empty()) missing += ',';
    missing.append("\"").append(each.key).append("\":").append(each.value);
  }
  if (!missing.empty()) edits.insert(range.end - 1, std::move(missing));
}

}  // namespace gantry::gateway
