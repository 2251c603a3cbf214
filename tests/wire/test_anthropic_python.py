"""The official Anthropic SDK, unchanged, gets from kvern what it gets from Anthropic."""

import asyncio
import json

import anthropic
import pytest

from server import function
from test_tool_calls import DIALECTS, written

COUNT = "one two three four five"
WEATHER = {"name": "get_weather", "description": "The weather of a city",
           "input_schema": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                            "required": ["city"], "additionalProperties": False}}
TIME = {"name": "get_time", "input_schema": {"type": "object", "properties": {"zone": {"enum": ["CET", "UTC"]}}, "required": ["zone"]}}


@pytest.fixture(scope="module", params=DIALECTS)
def server(serve, fake, request):
    paris = written(request.param, "get_weather", {"city": "Paris", "days": 3})
    utc = written(request.param, "get_time", {"zone": "UTC"})
    return serve("--name", "fake,other", model=fake(
        {"when": "tool_response", "say": "It is sunny."}, {"when": "weather and time", "say": f"{paris}\n{utc}"},
        {"when": "look up the weather", "say": f"Let me look.\n{paris}"}, {"when": "weather", "say": paris},
        {"when": "count", "say": COUNT}, {"when": "as JSON", "say": '{"name": "Ada", "age": 36}'}, {"when": "nothing", "say": ""},
        "Hello! 👋", dialect=request.param))


@pytest.fixture(scope="module")
def client(server):
    with server.anthropic() as client:
        yield client


@pytest.fixture
def ask(client):
    """The whole message, and the one the stream helper put together, which must be the same."""

    def ask(text, **fields):
        messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
        fields = {"model": "fake", "max_tokens": 2000, "messages": messages, "extra_body": {"temperature": 0}} | fields
        whole = client.messages.create(**fields)
        with client.messages.stream(**fields) as stream:
            streamed = stream.get_final_message()
        assert plain(streamed) == plain(whole)
        return whole

    return ask


def plain(message):
    """A message without what differs from request to request: ids, and what the cache held by then."""
    content = [block.model_dump(exclude={"id", "parsed_output", "caller"}, exclude_none=True) for block in message.content]
    return content, message.stop_reason, message.stop_sequence, message.usage.output_tokens


def test_a_message_has_every_field(ask):
    message = ask("Hi", system="Be brief.")
    assert message.id.startswith("msg_") and (message.type, message.role, message.model) == ("message", "assistant", "fake")
    assert [(block.type, block.text) for block in message.content] == [("text", "Hello! 👋")]
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.usage.output_tokens == len("Hello! 👋".encode()) + 1
    assert message.usage.cache_creation_input_tokens == 0


def test_usage_adds_up_to_the_prompt(client):
    fields = {"model": "fake", "messages": [{"role": "user", "content": "How many tokens are these?"}], "tools": [WEATHER]}
    prompt = client.messages.count_tokens(**fields).input_tokens
    first = client.messages.create(max_tokens=5, **fields).usage
    again = client.messages.create(max_tokens=5, **fields).usage
    assert first.input_tokens + first.cache_read_input_tokens == prompt
    assert (again.input_tokens, again.cache_read_input_tokens) == (1, prompt - 1)


def test_the_text_stream_has_every_piece(client):
    with client.messages.stream(model="fake", max_tokens=100, messages=[{"role": "user", "content": "count"}]) as stream:
        pieces = list(stream.text_stream)
    assert "".join(pieces) == COUNT and len(pieces) > 3


def test_parallel_calls_come_as_blocks_and_results_go_back(ask):
    message = ask("weather and time", tools=[WEATHER, TIME])
    assert message.stop_reason == "tool_use"
    assert [(block.type, block.name, block.input) for block in message.content] == [
        ("tool_use", "get_weather", {"city": "Paris", "days": 3}), ("tool_use", "get_time", {"zone": "UTC"})]
    assert all(block.id.startswith("toolu_") for block in message.content)
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": "sunny"} for block in message.content]
    history = [{"role": "user", "content": "weather and time"}, {"role": "assistant", "content": message.content},
               {"role": "user", "content": results}]
    assert ask(history, tools=[WEATHER, TIME]).content[0].text == "It is sunny."


def test_text_comes_before_a_call_in_a_block_of_its_own(ask):
    message = ask("look up the weather", tools=[WEATHER])
    assert [block.type for block in message.content] == ["text", "tool_use"]
    assert message.content[0].text.strip() == "Let me look."


@pytest.mark.parametrize("choice, called", [
    ({"type": "auto"}, ["get_weather", "get_time"]),
    ({"type": "any"}, ["get_weather", "get_time"]),
    ({"type": "tool", "name": "get_time"}, ["get_time"]),
    ({"type": "none"}, []),
    ({"type": "auto", "disable_parallel_tool_use": True}, ["get_weather"]),
    ({"type": "any", "disable_parallel_tool_use": True}, ["get_weather"]),
], ids=["auto", "any", "tool", "none", "auto_one", "any_one"])
def test_every_choice_of_tools_is_kept(ask, choice, called):
    message = ask("weather and time", tools=[WEATHER, TIME], tool_choice=choice)
    assert [block.name for block in message.content if block.type == "tool_use"] == called
    assert message.stop_reason == ("tool_use" if called else "end_turn")


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_time"}], ids=["any", "tool"])
def test_a_required_call_is_made_by_a_model_that_wants_none(client, choice):
    message = client.messages.create(model="fake", max_tokens=2000, messages=[{"role": "user", "content": "Hi"}],
                                     extra_body={"temperature": 0}, tools=[TIME], tool_choice=choice)
    assert [(block.name, block.input["zone"] in ("CET", "UTC")) for block in message.content] == [("get_time", True)]


def test_a_stop_sequence_is_told(ask):
    message = ask("count", stop_sequences=["three"])
    assert (message.stop_reason, message.stop_sequence, message.content[0].text) == ("stop_sequence", "three", "one two ")


def test_a_token_limit_cuts_the_text(ask):
    message = ask("count", max_tokens=7)
    assert (message.stop_reason, message.content[0].text, message.usage.output_tokens) == ("max_tokens", "one two", 7)


def test_an_empty_answer_is_a_message_without_blocks(ask):
    message = ask("nothing")
    assert (message.content, message.stop_reason) == ([], "end_turn")


# What the prompt costs is paid before the question comes.
def test_no_tokens_at_all_warms_the_cache(client):
    messages = [{"role": "user", "content": "warm this up, please"}]
    message = client.messages.create(model="fake", max_tokens=0, messages=messages)
    assert (message.content, message.stop_reason, message.usage.output_tokens) == ([], "max_tokens", 0)
    assert client.messages.create(model="fake", max_tokens=9, messages=messages).usage.input_tokens == 1


def test_a_schema_is_kept(ask):
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
              "required": ["name", "age"], "additionalProperties": False}
    message = ask("Hi", output_config={"format": {"type": "json_schema", "schema": schema}}, max_tokens=400)
    assert message.stop_reason in ("end_turn", "max_tokens")
    message = ask("as JSON", output_config={"format": {"type": "json_schema", "schema": schema}, "effort": "low"})
    assert json.loads(message.content[0].text) == {"name": "Ada", "age": 36}


def test_models_are_listed_and_found(client):
    page = client.models.list(limit=1000)
    assert [(model.id, model.type, model.display_name) for model in page] == [("fake", "model", "fake")]
    assert (page.has_more, page.first_id, page.last_id) == (False, "fake", "fake")
    model = client.models.retrieve("other")
    assert (model.id, model.max_input_tokens, model.max_tokens) == ("other", 65536, 65536) and model.created_at.year > 2024


def test_errors_are_the_sdks_own(client, server):
    with pytest.raises(anthropic.BadRequestError) as wrong:
        client.messages.create(model="fake", max_tokens=5, messages=[{"role": "emperor", "content": "Hi"}])
    assert wrong.value.body["error"]["type"] == "invalid_request_error" and "messages[0].role" in wrong.value.message
    assert wrong.value.request_id == wrong.value.body["request_id"] and wrong.value.request_id.startswith("req_")
    with pytest.raises(anthropic.NotFoundError) as unknown:
        client.models.retrieve("claude-opus-9")
    assert unknown.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.NotFoundError):
        client.post("/v1/messages/batches", body={}, cast_to=object)
    with pytest.raises(anthropic.APIStatusError) as large:
        client.post("/v1/messages", body={"system": "x" * (17 << 20)}, cast_to=object)
    assert (large.value.status_code, large.value.body["error"]["type"]) == (413, "request_too_large")


def test_a_missing_key_is_an_authentication_error(serve, fake):
    server = serve("--api-key", "secret", model=fake("Hello."))
    with server.anthropic(api_key="wrong") as client, pytest.raises(anthropic.AuthenticationError) as refused:
        client.messages.create(model="fake", max_tokens=5, messages=[{"role": "user", "content": "Hi"}])
    assert refused.value.body["error"]["type"] == "authentication_error"
    with server.anthropic(api_key="secret") as client:
        assert client.messages.create(model="fake", max_tokens=50, messages=[{"role": "user", "content": "Hi"}]).content
    # Clients ask these before they have a key.
    for path in ("/", "/api/hello"):
        assert server.http.head(path).status_code == server.http.get(path).status_code == 200


def test_the_async_client_streams(server):
    async def text():
        async with anthropic.AsyncAnthropic(base_url=server.base_url, api_key="none", max_retries=0) as client:
            async with client.messages.stream(model="fake", max_tokens=99, messages=[{"role": "user", "content": "Hi"}]) as stream:
                return "".join([piece async for piece in stream.text_stream])

    assert asyncio.run(text()) == "Hello! 👋"


def test_the_tool_runner_calls_the_function_and_answers(client):
    cities = []

    @anthropic.beta_tool
    def get_weather(city: str, days: int = 1) -> str:
        """The weather of a city.

        Args:
            city: Its name.
            days: How far ahead.
        """
        cities.append((city, days))
        return "sunny"

    runner = client.beta.messages.tool_runner(model="fake", max_tokens=2000, tools=[get_weather],
                                              messages=[{"role": "user", "content": "weather?"}])
    assert runner.until_done().content[0].text == "It is sunny." and cities == [("Paris", 3)]


def test_both_apis_make_the_same_prompt(server):
    tool = function("get_weather", WEATHER["input_schema"]["properties"], required=["city"], additionalProperties=False)
    tool["function"]["description"] = WEATHER["description"]
    messages = [{"role": "user", "content": "Hi"}]
    assert server.count_tokens(messages, system="Be brief.", tools=[WEATHER]) == len(
        server.prompt([{"role": "system", "content": "Be brief."}, *messages], tools=[tool]))
