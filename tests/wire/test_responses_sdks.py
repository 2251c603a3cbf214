"""/v1/responses through the official SDKs and the Vercel AI SDK, unchanged: they raise where a server is sloppy."""

import json
import subprocess
from pathlib import Path

import openai
import pytest
from pydantic import BaseModel

from responses_client import TEMPLATE, function_tool, thought
from server import environment
from test_openai_node import node_modules
from test_tool_calls import DIALECTS, written

NODE = Path(__file__).with_name("openai_node_responses.cjs")
AI_SDK = Path(__file__).with_name("ai_sdk_responses.mjs")
DIFF = '-a\n+"b" 🦊\n'


class GetWeather(BaseModel):
    """The weather of a city."""

    city: str
    days: int


class Point(BaseModel):
    x: int
    y: int


WEATHER = function_tool("GetWeather", {"city": {"type": "string"}, "days": {"type": "integer"}})
PATCH = {"type": "custom", "name": "patch"}


@pytest.fixture(scope="module", params=DIALECTS)
def server(serve, fake, request, tmp_path_factory):
    template = tmp_path_factory.mktemp("template") / "template.jinja"
    template.write_text(TEMPLATE)
    dialect = request.param
    paris = {"city": "Paris", "days": 3}
    rules = [{"when": "tool_response|sunny", "say": "It is sunny."}, {"when": "weather", "say": written(dialect, "GetWeather", paris)},
             {"when": "patch", "say": written(dialect, "patch", {"input": DIFF})}, {"when": "think", "say": thought("Hm.", "Yes.")},
             {"when": "point", "say": '{"x": 1, "y": 2}'}]
    flags = ["--chat-template", str(template)] if dialect == "hermes" else []
    return serve(*flags, model=fake(*rules, "Hello! 👋", dialect=dialect))


@pytest.fixture(scope="module")
def client(server):
    with server.openai() as client:
        yield client


def ask(text, **fields):
    return {"model": "fake", "input": text, "temperature": 0, "max_output_tokens": 2000} | fields


def test_create_gives_text_and_usage(client):
    response = client.responses.create(**ask("Hi", instructions="Be kind."))
    assert (response.output_text, response.status, response.model) == ("Hello! 👋", "completed", "fake")
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert client.responses.retrieve(response.id).output_text == "Hello! 👋"
    [item] = client.responses.input_items.list(response.id)
    assert item.content[0].text == "Hi"
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_the_stream_helper_hears_every_piece(client):
    with client.responses.stream(**ask("Hi")) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == final.output_text == "Hello! 👋"
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_the_stream_helper_parses_arguments(client):
    tools = [openai.pydantic_function_tool(GetWeather)["function"] | {"type": "function"}]
    with client.responses.stream(**ask("weather?", tools=tools)) as stream:
        events = list(stream)
        [call] = stream.get_final_response().output
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert json.loads("".join(pieces)) == {"city": "Paris", "days": 3} and len(pieces) > 3
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "GetWeather", {"city": "Paris", "days": 3})


def test_parse_gives_the_model_of_the_text(client):
    assert client.responses.parse(**ask("a point", text_format=Point)).output_parsed == Point(x=1, y=2)
    with client.responses.stream(**ask("a point", text_format=Point)) as stream:
        assert stream.get_final_response().output_parsed == Point(x=1, y=2)


def test_a_custom_call_is_put_together(client):
    with client.responses.stream(**ask("patch it", tools=[PATCH])) as stream:
        stream.until_done()
        [call] = stream.get_final_response().output
    assert (call.type, call.name, call.input) == ("custom_tool_call", "patch", DIFF)


def test_a_tool_loop_over_stored_responses(client):
    first = client.responses.create(**ask("weather?", tools=[WEATHER]))
    [call] = first.output
    answer = client.responses.create(**ask([{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}],
                                           tools=[WEATHER], previous_response_id=first.id))
    assert answer.output_text == "It is sunny."
    assert answer.usage.input_tokens_details.cached_tokens == first.usage.total_tokens - 1


def test_errors_are_the_sdks_own(client):
    with pytest.raises(openai.BadRequestError) as gone:
        client.responses.create(**ask("Hi", previous_response_id="resp_none"))
    assert gone.value.code == "previous_response_not_found" and gone.value.param == "previous_response_id"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.responses.create(**ask([{"role": "king", "content": "Hi"}]))
    assert wrong.value.param == "input[0].role"


def test_tokens_are_counted_and_conversations_compacted(client):
    assert client.responses.input_tokens.count(model="fake", input="Hi").input_tokens > 2
    compacted = client.responses.compact(model="fake", input=[{"role": "user", "content": "Hi"}])
    assert compacted.object == "response.compaction" and compacted.output[-1].type == "compaction"


def run(script, server, *arguments, **variables):
    done = subprocess.run(["node", script, f"{server.base_url}/v1", *map(str, arguments)], capture_output=True, text=True,
                          timeout=120, env=environment(**variables))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def node(server):
    return run(NODE, server, NODE_PATH=str(node_modules("openai")))


def test_nodes_stream_helper_puts_text_together(node):
    assert "".join(node["text"]["pieces"]) == "Hello! 👋" and len(node["text"]["pieces"]) > 3
    assert node["text"]["final"]["output_text"] == "Hello! 👋" and node["text"]["final"]["status"] == "completed"


def test_nodes_stream_helper_puts_calls_together(node):
    [call] = node["call"]["final"]["output"]
    assert (call["type"], call["name"], json.loads(call["arguments"])) == ("function_call", "GetWeather", {"city": "Paris", "days": 3})
    [custom] = node["custom"]["final"]["output"]
    assert (custom["type"], custom["input"]) == ("custom_tool_call", DIFF)


def test_nodes_stream_helper_knows_reasoning(node, server):
    final = node["thought"]["final"]
    assert final["output_text"].strip().endswith("Yes.")
    if "--chat-template" in server.process.args:
        assert [item["type"] for item in final["output"]] == ["reasoning", "message"]
        assert final["output"][0]["content"] == [{"type": "reasoning_text", "text": "Hm."}]


def test_node_parses_what_a_schema_asks_for(node):
    assert node["parsed"] == {"x": 1, "y": 2}


@pytest.fixture(scope="module")
def ai(server):
    modules = node_modules("ai")
    node_modules("@ai-sdk/openai")
    return run(AI_SDK, server, Path(modules).parent)


@pytest.mark.parametrize("store", ["stored", "unstored"])
def test_the_ai_sdk_runs_a_tool_loop(ai, store):
    seen = ai[store]
    assert seen["errors"] == [] and "error" not in seen["types"]
    first, second = seen["steps"]
    assert first["calls"] == [{"name": "GetWeather", "input": {"city": "Paris", "days": 3}}]
    assert (second["text"], second["finish"]) == ("It is sunny.", "stop") and seen["cities"] == ["Paris"]
    assert second["cached"] == first["total"] - 1


def test_the_ai_sdk_streams_text_and_objects(ai):
    assert ai["words"]["text"] == "Hello! 👋" and ai["words"]["errors"] == []
    assert ai["object"] == {"x": 1, "y": 2}
