// Calls models with the OpenAI SDK, as an application would, and prints what the SDK gave.
//
//   node call_gateway.mjs <clients directory> <base URL> <key> <scenario>

import { createRequire } from "node:module";
import path from "node:path";

const [clients, baseURL, apiKey, scenario] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(clients), "package.json"));
const { OpenAI } = require("openai");

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
const model = "openai/gpt-4o";
const messages = [{ role: "user", content: "Say hello" }];
const tools = [{
  type: "function",
  function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
}];

const described = (error) => ({
  class: error.constructor.name, status: error.status, message: error.error?.message,
  error_type: error.error?.metadata?.error_type,
});

async function readStream(options) {
  let text = "";
  let finishReason = null;
  let withoutChoices = 0;
  let usage = null;
  for await (const chunk of await client.chat.completions.create({ model, messages, stream: true, ...options })) {
    if (chunk.choices.length === 0) withoutChoices += 1;
    text += chunk.choices[0]?.delta.content ?? "";
    finishReason = chunk.choices[0]?.finish_reason ?? finishReason;
    usage = chunk.usage ?? usage;
  }
  return { text, finish_reason: finishReason, without_choices: withoutChoices, total_tokens: usage?.total_tokens ?? null };
}

async function failure(request) {
  try {
    await client.chat.completions.create(request);
  } catch (error) {
    return described(error);
  }
  throw new Error("the call did not fail");
}

const scenarios = {
  async chat() {
    const { data, response } = await client.chat.completions.create({ model, messages, temperature: 0.2 }).withResponse();
    return {
      id: data.id, header: response.headers.get("x-generation-id"), model: data.model,
      content: data.choices[0].message.content, total_tokens: data.usage.total_tokens,
    };
  },
  stream: () => readStream({}),
  "stream-usage": () => readStream({ stream_options: { include_usage: true } }),
  async tools() {
    const first = await client.chat.completions.create({ model, messages, tools });
    const asked = first.choices[0].message;
    const result = { role: "tool", tool_call_id: asked.tool_calls[0].id, content: "rain" };
    const second = await client.chat.completions.create({ model, messages: [...messages, asked, result], tools });
    return { calls: asked.tool_calls, answer: second.choices[0].message.content };
  },
  async "streamed-tools"() {
    const whole = await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion();
    const calls = whole.choices[0].message.tool_calls;
    return { calls: calls.map(({ id, type, function: { name, arguments: text } }) => ({ id, type, function: { name, arguments: text } })) };
  },
  async embeddings() {
    const made = await client.embeddings.create({ model: "openai/text-embedding-3-small", input: "hello" });
    return { vectors: made.data.map((each) => each.embedding), prompt_tokens: made.usage.prompt_tokens };
  },
  error: () => failure({ model, messages }),
  "unknown-model": () => failure({ model: "acme/fake-1.0", messages }),
  async "failing-stream"() {
    let text = "";
    try {
      for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
        text += chunk.choices[0]?.delta.content ?? "";
      }
    } catch (error) {
      const { status, ...rest } = described(error);
      return { text, ...rest };
    }
    throw new Error("the stream did not fail");
  },
  async "abort-stream"() {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0].delta.content === "Hel") stream.controller.abort();
    }
    return { aborted: stream.controller.signal.aborted };
  },
  async "abort-whole"() {
    const controller = new AbortController();
    const call = client.chat.completions.create({ model, messages }, { signal: controller.signal });
    setTimeout(() => controller.abort(), 500);
    try {
      await call;
    } catch (error) {
      return { aborted: error.constructor.name === "APIUserAbortError" };
    }
    return { aborted: false };
  },
  async models() {
    const ids = [];
    for await (const each of client.models.list()) ids.push(each.id);
    return { ids };
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
// What an aborted call leaves open is to be closed by the SDK, not by the end of the process.
if (scenario.startsWith("abort-")) process.stdin.resume();
