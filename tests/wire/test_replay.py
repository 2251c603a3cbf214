"""A turn this server generated comes back token for token, however a client spells it.

The history of an agent's session is mangled before every request in the ways clients do it; the
numbers of test_reuse.py must not move. What means something else must be computed.
"""

import copy
import json
import random

import pytest

from server import function

TOOL = function("read", {"path": {"type": "string"}, "limit": {"type": "integer"}, "deep": {"type": "boolean"}},
                required=["path"])
# As models write it: a gap more than the template, another order than clients keep.
CALLS = {
    "hermes": "Let me see. \n<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\":  \"caf\\u00e9.txt\", \"limit\":3,\"deep\": true}}\n"
              "</tool_call>\n<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"b\"}}\n</tool_call>",
    "qwen3-coder": "Let me see.\n\n<tool_call>\n<function=read>\n<parameter=path>\ncafé.txt\n</parameter>\n<parameter=limit>\n3\n"
                   "</parameter>\n<parameter=deep>\ntrue\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=read>\n"
                   "<parameter=path>\nb\n</parameter>\n</function>\n</tool_call>",
}


def held(usage):
    return usage["prompt_tokens"] + usage["completion_tokens"] - 1


def cached(usage):
    return usage["prompt_tokens_details"]["cached_tokens"]


def shuffled(value, rng):
    """Another key order, everywhere."""
    if not isinstance(value, dict):
        return value
    items = [(key, shuffled(one, rng)) for key, one in value.items()]
    rng.shuffle(items)
    return dict(items)


def respelled(arguments, rng):
    text = json.dumps(shuffled(json.loads(arguments), rng), indent=rng.choice([None, 2]), ensure_ascii=rng.random() < 0.5)
    return text.replace(": 3", rng.choice([": 3", ": 3.0", ": 3e0"]))


def mangled(messages, rng):
    """The same conversation as another client would send it."""
    messages = copy.deepcopy(messages)
    for message in messages:
        if message["role"] != "assistant":
            continue
        for call in message.get("tool_calls") or []:
            call["function"]["arguments"] = respelled(call["function"]["arguments"], rng)
        message.pop("reasoning_content", None)
        if content := message.get("content"):
            content = rng.choice([content, content.strip(), f"{content}\n"])
            half = len(content) // 2
            blocks = [{"type": "text", "text": content[:half]}, {"type": "text", "text": content[half:]}]
            message["content"] = rng.choice([content, blocks])
    return messages


def results(message, rng):
    answers = [{"role": "tool", "tool_call_id": call["id"], "content": f"result {i}"}
               for i, call in enumerate(message["tool_calls"])]
    rng.shuffle(answers)
    return answers


@pytest.fixture(scope="module", params=CALLS)
def server(request, serve, fake):
    rules = [{"when": "result 0", "say": "It says 21 °C. "}, CALLS[request.param]]
    return serve(model=fake(*rules, dialect=request.param))


@pytest.mark.parametrize("seed", range(4))
def test_a_tool_loop_with_mangled_history_computes_every_token_once(server, seed):
    rng = random.Random(seed)
    messages = [{"role": "system", "content": f"You read files, {seed}."}]
    before = None
    for turn in range(3):
        messages.append({"role": "user", "content": f"And file {turn}?"})
        for _ in range(2):  # the calls, then the answer
            answer = server.chat(mangled(messages, rng), tools=[TOOL])
            usage = answer["usage"]
            assert before is None or cached(usage) == before, f"turn {turn}: {answer['choices'][0]}"
            before = held(usage)
            message = answer["choices"][0]["message"]
            messages.append(message)
            if message.get("tool_calls"):
                messages += results(message, rng)


def test_a_streamed_turn_is_remembered_like_any_other(server):
    messages = [{"role": "user", "content": "Stream, please."}]
    chunks = server.stream(messages, tools=[TOOL])
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    calls = {}
    for delta in deltas:
        for part in delta.get("tool_calls") or []:
            call = calls.setdefault(part["index"], {"type": "function", "function": {"name": "", "arguments": ""}})
            call["id"] = part.get("id", call.get("id"))
            call["function"]["name"] += part["function"].get("name", "")
            call["function"]["arguments"] += part["function"].get("arguments", "")
    message = {"role": "assistant", "content": "".join(delta.get("content") or "" for delta in deltas),
               "tool_calls": list(calls.values())}
    usage = next(chunk["usage"] for chunk in chunks if chunk.get("usage"))
    rng = random.Random(7)
    messages += [message, *results(message, rng)]
    after = server.chat(mangled(messages, rng), tools=[TOOL])["usage"]
    assert cached(after) == held(usage)


@pytest.mark.parametrize("change", ["value", "name", "text"])
def test_a_changed_turn_is_computed_from_the_change_on(server, change):
    messages = [{"role": "user", "content": f"Change the {change}."}]
    first = server.chat(messages, tools=[TOOL])
    message = copy.deepcopy(first["choices"][0]["message"])
    function_ = message["tool_calls"][0]["function"]
    if change == "value":
        function_["arguments"] = json.dumps(json.loads(function_["arguments"]) | {"limit": 4})
    elif change == "name":
        function_["name"] = "write"
    else:
        message["content"] = "Let me look."
    messages += [message, *results(message, random.Random(1))]
    usage = server.chat(messages, tools=[TOOL])["usage"]
    assert first["usage"]["prompt_tokens"] <= cached(usage) < held(first["usage"])


def test_a_changing_billing_header_changes_nothing(server):
    def messages(cch):
        header = f"x-anthropic-billing-header: cc_version=2.1.36.{cch}; cc_entrypoint=cli; cch={cch};"
        parts = [{"type": "text", "text": text} for text in (header, "You are a coding agent.")]
        return [{"role": "system", "content": parts}, {"role": "user", "content": "Read it."}]

    first = server.chat(messages("0a1b2"), tools=[TOOL])
    again = server.chat(messages("fffff"), tools=[TOOL])
    assert again["usage"]["kvern"]["computed_tokens"] == 1
    assert first["usage"]["prompt_tokens"] == again["usage"]["prompt_tokens"]
