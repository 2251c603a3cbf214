"""A real model behind /v1/messages: streamed and whole it says the same, its calls are valid, and no token is computed twice."""

import json

import anthropic
import pytest

from judge import invalid
from schemas import TOOLS

pytestmark = pytest.mark.model

CLIENT_TOOLS = [{"name": tool["function"]["name"], "description": tool["function"].get("description", ""),
                 "input_schema": tool["function"]["parameters"]} for tool in TOOLS[:4]]


@pytest.fixture(scope="module")
def server(serve_model):
    return serve_model()


@pytest.fixture(scope="module")
def client(server):
    with server.anthropic() as client:
        yield client


def greedy(text, **fields):
    messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
    return {"model": "local", "max_tokens": 200, "messages": messages, "extra_body": {"temperature": 0}} | fields


def test_it_knows_the_capital_of_france_streamed_and_whole(client):
    whole = client.messages.create(**greedy("Name the capital of France.", max_tokens=20))
    with client.messages.stream(**greedy("Name the capital of France.", max_tokens=20)) as stream:
        text = "".join(stream.text_stream)
    assert "Paris" in text and text == whole.content[0].text


@pytest.mark.parametrize("seed", range(3))
def test_calls_at_temperature_one_are_valid(client, seed):
    fields = greedy("Use a tool.", tools=CLIENT_TOOLS, tool_choice={"type": "any"}, max_tokens=250, extra_body={"temperature": 1, "seed": seed})
    with client.messages.stream(**fields) as stream:
        message = stream.get_final_message()
    calls = [block for block in message.content if block.type == "tool_use"]
    assert calls
    if message.stop_reason == "max_tokens":
        calls = calls[:-1]
    for call in calls:
        assert invalid(call.name, json.dumps(call.input)) is None, call


def test_a_tool_loop_computes_only_what_is_new(client):
    tools = [{"name": "answer", "input_schema": {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"],
                                                 "additionalProperties": False}}]
    fields = {"tools": tools, "system": [{"type": "text", "text": "Use tools."}], "max_tokens": 60}
    messages = [{"role": "user", "content": "Begin."}, {"role": "system", "content": [{"type": "text", "text": "Today is Monday."}]}]
    first = client.messages.create(**greedy(messages, tool_choice={"type": "tool", "name": tools[0]["name"]}, **fields))
    [call] = first.content
    messages += [{"role": "assistant", "content": first.content},
                 {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "done"}]}]
    second = client.messages.create(**greedy(messages, **fields))
    # All that was held, to its end, which only the grammar knew: the last tokens of a named call are never computed.
    prompt = first.usage.input_tokens + first.usage.cache_read_input_tokens
    assert second.usage.kvern["why"] == "new_text"
    assert prompt < second.usage.cache_read_input_tokens < prompt + first.usage.output_tokens


def test_a_prompt_longer_than_the_context_is_refused(client):
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long: "):
        client.messages.create(**greedy("word " * 9000))
