// A provider's events: the first byte chooses the API, the rest is its stream. What the client gets
// is an event stream again, of JSON where the API says so, or the provider's was.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/json_reader.h"
#include "gateway/sse_reader.h"
#include "gateway/stream_reader.h"
#include "gateway/stream_translate.h"

namespace {

using namespace gantry::gateway;

bool is_json(std::string_view text) {
  JsonReader json(text);
  json.skip();
  return json.finish();
}

void check_output(std::string_view out) {
  SseReader client;
  client.push(out);
  while (true) {
    const auto event = client.next();
    if (!event) std::abort();
    if (!*event) return;
    if ((*event)->data != "[DONE]" && !is_json((*event)->data)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto api = static_cast<Api>((data[0] & 7U) % 5U);
  SseReader upstream;
  StreamTranslator translator({.api = api,
                               .generation_id = "gen-1",
                               .model = "a/b",
                               .provider_name = (data[0] & 16U) != 0 ? "P" : "",
                               .forwards_usage = (data[0] & 8U) != 0,
                               .pricing = {.prices = gantry::gateway::Prices{},
                                           .trusts_upstream_cost = (data[0] & 32U) != 0}});
  StreamReader reader(api, 100);
  upstream.push({reinterpret_cast<const char*>(data) + 1, size - 1});
  upstream.end();
  std::string out;
  bool is_all_json = true;
  while (true) {
    const auto event = upstream.next();
    if (!event || !*event) break;
    is_all_json &= is_json((*event)->data);
    static_cast<void>(reader.read(**event));
    translator.translate(**event, out);
  }
  translator.finish(out);
  const bool is_passed_on = api == Api::Responses || api == Api::Messages;
  if (!is_passed_on || is_all_json) check_output(out);
  return 0;
}
