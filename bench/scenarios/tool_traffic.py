"""Requests with tools, and how long a server takes over them. Every function takes a servers.Server."""

import random
import time

from scenarios.talk import Skip
from scenarios.text import words

KINDS = ({"type": "string", "description": "An absolute path"}, {"type": "integer", "minimum": 0, "maximum": 2000},
         {"type": "boolean", "default": False}, {"type": "string", "enum": ["content", "files", "count"]},
         {"type": "array", "items": {"type": "string"}}, {"type": "object", "additionalProperties": {"type": "string"}})
WRITE = {"type": "function", "function": {"name": "write", "description": "Writes a file.", "parameters": {
    "type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": False}}}
# What would end a JSON string; not every token with a quote in it, but those a model ends one with.
CLOSERS = ['"', ' "', '"}', '"}}', '",', '."', '?"', '!"', ')"', '":', '""', "'\"", ',"', '"\n', '".', '")', '":"', '"]']


def tool_set(count, seed=0):
    """Tools of six parameters as agents have them; no other seed has one of them."""
    pick = random.Random(f"{count} {seed}")
    return [one_tool(f"{pick.choice(('read', 'find', 'edit', 'run'))}_{seed}_{i}", pick) for i in range(count)]


def one_tool(name, pick):
    properties = {f"{pick.choice(('path', 'mode', 'limit', 'flag'))}_{n}": kind for n, kind in enumerate(pick.sample(KINDS, 6))}
    return {"type": "function", "function": {"name": name, "description": "Does what its name says.", "parameters": {
        "type": "object", "properties": properties, "required": list(properties)[:2], "additionalProperties": False}}}


def body(tools=(), system="", **fields):
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": "user", "content": "Tell me a long story."}]
    offered = {"tools": list(tools), "tool_choice": "auto"} if tools else {}
    return {"model": "default", "temperature": 0, "messages": messages} | offered | fields


def timed(server, request):
    """Milliseconds of an unstreamed request, and its completion tokens."""
    begin = time.perf_counter()
    answer = server.post("/v1/chat/completions", request)
    return 1000 * (time.perf_counter() - begin), answer["usage"]["completion_tokens"]


def step_ms(server, request, one_ms):
    nine_ms, tokens = timed(server, request | {"max_tokens": 9})
    if tokens < 3:
        raise Skip("too few tokens to know a step's time")
    return (nine_ms - one_ms) / (tokens - 1)


def warm_overhead(server, count):
    """Milliseconds of a request that was sent before, beyond the step that makes its one token."""
    request = body(tool_set(count))
    timed(server, request | {"max_tokens": 1})
    one_ms, _ = timed(server, request | {"max_tokens": 1})
    return one_ms - step_ms(server, request, one_ms)


def cold_overhead(server, count, seed):
    """The same for tools never seen before, whose prompt is known: with "none" the server read it already."""
    request = body(tool_set(count, seed=f"cold{seed}"))
    timed(server, request | {"tool_choice": "none", "max_tokens": 1})
    cold_ms, _ = timed(server, request | {"max_tokens": 1})
    warm_ms, _ = timed(server, request | {"max_tokens": 1})
    return cold_ms - step_ms(server, request, warm_ms)


def cold_first_token(server, count, seed):
    """Milliseconds to the first token of a request nothing is known of, prefill included."""
    return timed(server, body(tool_set(count, seed=f"new{seed}"), max_tokens=1))[0]


def rate(times):
    if len(times) < 10:
        raise Skip(f"only {len(times)} pieces came")
    return (len(times) - 1) / (times[-1] - times[0])


def pieces(times, events, name):
    """(when, what) of each delta that adds to the content or to a call's arguments."""
    found = []
    for at, event in zip(times, events):
        for choice in event.get("choices") or []:
            delta = choice["delta"]
            text = delta.get("content") if name == "content" else "".join(
                (call.get("function") or {}).get("arguments") or "" for call in delta.get("tool_calls") or [])
            if text:
                found.append((at, text))
    return found


def endless(server, tokens):
    """Fields that keep a model talking, and a JSON string open."""
    bias = {"0": -100, "2": -100}
    for text in CLOSERS:
        ids = server.post("/tokenize", {"content": text})["tokens"]
        if len(ids) == 1:
            bias[str(ids[0])] = -100
    return {"max_tokens": tokens, "logit_bias": bias}


def free_text(server, tokens, tools=(), system="", enough=lambda events: False):
    request = body(tools, system) | endless(server, tokens)
    return pieces(*server.stream("/v1/chat/completions", request, enough), "content")


def free_text_rate(server, tokens, count):
    """Tokens a second of free text that could become a call of any tool. Without tools the prompt is as long."""
    asked = server.post("/v1/chat/completions", body(tool_set(count or 150), max_tokens=1))["usage"]["prompt_tokens"]
    system = "" if count else words(asked, 4711)
    return rate([at for at, _ in free_text(server, tokens, tool_set(count) if count else (), system)])


def argument(server, tokens, characters):
    """The pieces of one string argument that goes on until it has so many characters."""
    request = body([WRITE], tool_choice="required") | endless(server, tokens)
    seen = {"events": 0, "characters": 0}

    def enough(events):
        for event in events[seen["events"]:]:
            seen["characters"] += sum(len(text) for _, text in pieces([0], [event], "arguments"))
        seen["events"] = len(events)
        return seen["characters"] >= characters

    return pieces(*server.stream("/v1/chat/completions", request, enough), "arguments")


def argument_rate(server, tokens):
    return rate([at for at, _ in argument(server, tokens, 10**9)])


def late_cost(server, tokens, characters):
    """What a token costs more in a long argument than in plain text of as many tokens, in ms, and how far it got.

    The last tenth of either is looked at: the model's own work is the same there."""
    inside = argument(server, tokens, characters)
    plain = free_text(server, len(inside))
    count = min(len(inside), len(plain))
    tail = max(10, count // 10)
    if count < 2 * tail:
        raise Skip(f"the argument ended after {len(inside)} pieces")
    ms = [1000 / rate([at for at, _ in part[count - tail:count]]) for part in (inside, plain)]
    return {"ms": ms[0] - ms[1], "step_ms": ms[1], "characters": sum(len(text) for _, text in inside[:count])}
