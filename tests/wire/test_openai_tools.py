"""The official Python SDK's strict helpers, over every tool_choice and dialect: they raise where a server is sloppy."""

import json
from typing import Literal

import openai
import pytest
from pydantic import BaseModel

from server import function
from test_tool_calls import DIALECTS, written


class GetWeather(BaseModel):
    """The weather of a city."""

    city: str
    days: int


class GetTime(BaseModel):
    zone: Literal["CET", "UTC"]


TOOLS = [openai.pydantic_function_tool(GetWeather), openai.pydantic_function_tool(GetTime)]
PATCH = {"type": "custom", "custom": {"name": "patch"}}
PARIS = ("GetWeather", {"city": "Paris", "days": 3})
UTC = ("GetTime", {"zone": "UTC"})
DIFF = "-a\n+\"b\" 🦊\n"
CHOICES = {
    "auto": "auto",
    "required": "required",
    "named": {"type": "function", "function": {"name": "GetWeather"}},
    "allowed_auto": {"type": "allowed_tools", "allowed_tools": {
        "mode": "auto", "tools": [{"type": "function", "function": {"name": "GetWeather"}}]}},
    "allowed_required": {"type": "allowed_tools", "allowed_tools": {
        "mode": "required", "tools": [{"type": "function", "function": {"name": "GetWeather"}}]}},
}


@pytest.fixture(scope="module", params=DIALECTS)
def server(serve, fake, request):
    dialect = request.param
    return serve(model=fake({"when": "^weather$", "say": written(dialect, *PARIS)}, {"when": "^time$", "say": written(dialect, *UTC)},
                            {"when": "^patch$", "say": written(dialect, "patch", {"input": DIFF})}, "Plain words.", dialect=dialect))


@pytest.fixture(scope="module")
def client(server):
    with server.openai() as client:
        yield client


def ask(text, **fields):
    return {"model": "fake", "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 2000} | fields


@pytest.mark.parametrize("choice", CHOICES)
def test_parse_gives_the_models_of_the_arguments(client, choice):
    [answer] = client.chat.completions.parse(**ask("weather", tools=TOOLS, tool_choice=CHOICES[choice])).choices
    assert answer.finish_reason == "tool_calls"
    [call] = answer.message.tool_calls
    assert call.function.parsed_arguments == GetWeather(city="Paris", days=3)


@pytest.mark.parametrize("choice", CHOICES)
def test_the_stream_helper_gives_them_too(client, choice):
    with client.chat.completions.stream(**ask("weather", tools=TOOLS, tool_choice=CHOICES[choice])) as stream:
        events = list(stream)
        [answer] = stream.get_final_completion().choices
    pieces = [event.arguments_delta for event in events if event.type == "tool_calls.function.arguments.delta"]
    assert json.loads("".join(pieces)) == PARIS[1] and len(pieces) > 3
    [done] = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert done.parsed_arguments == GetWeather(city="Paris", days=3)
    assert answer.finish_reason == "tool_calls"
    assert answer.message.tool_calls[0].function.parsed_arguments == GetWeather(city="Paris", days=3)


# Out of plain words the model is led to a call; the helper still parses it.
@pytest.mark.parametrize("choice", ["required", "named", "allowed_required"])
@pytest.mark.parametrize("n", [1, 3])
def test_a_forced_call_parses(client, choice, n):
    with client.chat.completions.stream(**ask("hello", tools=TOOLS, tool_choice=CHOICES[choice], n=n)) as stream:
        answers = stream.until_done().get_final_completion().choices
    assert len(answers) == n
    for answer in answers:
        assert answer.finish_reason == "tool_calls"
        for call in answer.message.tool_calls:
            assert isinstance(call.function.parsed_arguments, GetWeather if choice != "required" else (GetWeather, GetTime))


@pytest.mark.parametrize("fields", [{"tool_choice": "none"}, {"tool_choice": "auto"},
                                    {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}}])
def test_words_stay_words(client, fields):
    with client.chat.completions.stream(**ask("hello", tools=TOOLS, **fields)) as stream:
        [answer] = stream.until_done().get_final_completion().choices
    assert answer.message.content == "Plain words." and answer.finish_reason == "stop" and not answer.message.tool_calls


def test_the_tool_that_the_model_chose_is_the_one_that_is_parsed(client):
    with client.chat.completions.stream(**ask("time", tools=TOOLS)) as stream:
        [answer] = stream.until_done().get_final_completion().choices
    [call] = answer.message.tool_calls
    assert call.function.parsed_arguments == GetTime(zone="UTC")


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "custom", "custom": {"name": "patch"}}])
def test_a_custom_tool_call_has_its_own_type(client, choice):
    tools = [PATCH, function("get_time", {})]
    [answer] = client.chat.completions.create(**ask("patch", tools=tools, tool_choice=choice)).choices
    [call] = answer.message.tool_calls
    assert type(call).__name__ == "ChatCompletionMessageCustomToolCall"
    assert (call.type, call.custom.name, call.custom.input) == ("custom", "patch", DIFF)
    assert answer.finish_reason == "tool_calls"
