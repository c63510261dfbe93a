"""What an OpenAI-compatible provider says, for tests that script one."""


def completion(text: str | None = "Hello!", finish_reason: str = "stop", usage: tuple[int, int] = (11, 3), **message) -> dict:
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1705312800, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text} | message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
    }


def chunk(delta: dict | None = None, finish_reason: str | None = None, **rest) -> dict:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1705312800, "model": "gpt-4o-2024-08-06",
            "choices": choices} | rest


def chunks(*texts: str, finish_reason: str = "stop", usage: tuple[int, int] | None = (11, 3)) -> list:
    """A whole stream, one event for each text; with usage as providers send it that were asked for it."""
    events = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": text}) for text in texts), chunk({}, finish_reason)]
    if usage:
        events.append(chunk(usage={"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}))
    return [*events, "[DONE]"]


def tool_call(name: str, arguments: str, call_id: str = "call_1") -> dict:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
