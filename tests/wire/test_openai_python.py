"""The official Python SDK, unchanged, gets from kvern what it gets from OpenAI."""

import asyncio
import json

import openai
import pytest
from pydantic import BaseModel

from server import function

WEATHER = function("get_weather", {"city": {"type": "string"}})
TIME = function("get_time", {"zone": {"type": "string", "enum": ["CET", "UTC"]}})
STRICT_WEATHER = json.loads(json.dumps(WEATHER))
STRICT_WEATHER["function"] |= {"strict": True}
STRICT_WEATHER["function"]["parameters"]["additionalProperties"] = False

PARIS = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
UTC = '<tool_call>\n{"name": "get_time", "arguments": {"zone": "UTC"}}\n</tool_call>'
COUNT = "one two three four five"


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture(scope="module")
def server(serve, fake):
    return serve(
        "--name", "fake,other",
        model=fake(
            {"when": "tool_response", "say": "It is sunny."},
            {"when": "weather and time", "say": f"{PARIS}\n{UTC}"},
            {"when": "look up the weather", "say": f"Let me look.\n{PARIS}"},
            {"when": "weather", "say": PARIS},
            {"when": "count", "say": COUNT},
            {"when": "as JSON", "say": '{"name": "Ada", "age": 36}'},
            {"when": "Once upon", "say": " a time."},
            "Hello! 👋",
            dialect="hermes"),
    )


@pytest.fixture(scope="module")
def client(server):
    with server.openai() as client:
        yield client


@pytest.fixture
def ask(client):
    def ask(text, **fields):
        messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
        return client.chat.completions.create(model="fake", messages=messages, **({"temperature": 0} | fields))

    return ask


def test_a_chat_completion_has_every_field(server, ask):
    completion = ask("Hi")
    assert completion.id.startswith("chatcmpl-")
    assert (completion.object, completion.model) == ("chat.completion", "fake")
    [choice] = completion.choices
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert (choice.message.role, choice.message.content, choice.message.tool_calls) == ("assistant", "Hello! 👋", None)
    # One byte is one token; the last one is the end of the turn.
    assert completion.usage.completion_tokens == len("Hello! 👋".encode()) + 1
    assert completion.usage.prompt_tokens == len(server.prompt("Hi"))
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


def test_a_stream_brings_the_same_text_in_pieces(ask):
    chunks = list(ask("Hi", stream=True))
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello! 👋"
    assert [chunk.choices[0].finish_reason for chunk in chunks][-2:] == [None, "stop"]
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_comes_in_a_last_chunk_without_choices_when_asked_for(ask):
    *pieces, last = ask("Hi", stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage.completion_tokens == len("Hello! 👋".encode()) + 1
    assert all(piece.choices and piece.usage is None for piece in pieces)


def test_the_stream_helper_fires_its_events(client):
    messages = [{"role": "user", "content": "Hi"}]
    with client.chat.completions.stream(model="fake", messages=messages, temperature=0) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    deltas = [event.delta for event in events if event.type == "content.delta"]
    assert "".join(deltas) == "Hello! 👋" and len(deltas) > 3
    assert [event.content for event in events if event.type == "content.done"] == ["Hello! 👋"]
    assert final.choices[0].message.content == "Hello! 👋" and final.choices[0].finish_reason == "stop"


def test_a_tool_is_called(ask):
    [choice] = ask("What is the weather?", tools=[WEATHER, TIME]).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    [call] = choice.message.tool_calls
    assert call.id and call.type == "function"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}


def test_a_tool_call_is_streamed_in_pieces_that_join_to_valid_json(ask):
    chunks = list(ask("What is the weather?", tools=[WEATHER], stream=True))
    pieces = [piece for chunk in chunks for piece in chunk.choices[0].delta.tool_calls or []]
    first, *rest = pieces
    assert first.index == 0 and first.id and first.type == "function" and first.function.name == "get_weather"
    assert all(piece.index == 0 and piece.id is None and piece.function.name is None for piece in rest)
    assert len(rest) > 3, "the arguments came at once"
    assert json.loads("".join(piece.function.arguments for piece in pieces)) == {"city": "Paris"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_the_stream_helper_parses_the_arguments(client):
    messages = [{"role": "user", "content": "Please look up the weather."}]
    with client.chat.completions.stream(model="fake", messages=messages, tools=[STRICT_WEATHER], temperature=0) as stream:
        events = list(stream)
        [choice] = stream.get_final_completion().choices
    deltas = [event for event in events if event.type == "tool_calls.function.arguments.delta"]
    assert json.loads("".join(event.arguments_delta for event in deltas)) == {"city": "Paris"}
    [done] = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert (done.name, done.parsed_arguments) == ("get_weather", {"city": "Paris"})
    assert choice.message.content == "Let me look."
    assert choice.message.tool_calls[0].function.parsed_arguments == {"city": "Paris"}


def test_two_tools_are_called_at_once(ask):
    [choice] = ask("weather and time?", tools=[WEATHER, TIME]).choices
    assert [call.function.name for call in choice.message.tool_calls] == ["get_weather", "get_time"]
    assert len({call.id for call in choice.message.tool_calls}) == 2


def test_parallel_tool_calls_false_allows_one(ask):
    [choice] = ask("weather and time?", tools=[WEATHER, TIME], parallel_tool_calls=False).choices
    assert [call.function.name for call in choice.message.tool_calls] == ["get_weather"]
    assert choice.finish_reason == "tool_calls"


def test_tool_choice_required_forces_a_call_out_of_plain_text(ask):
    [choice] = ask("Hi", tools=[WEATHER, TIME], tool_choice="required").choices
    assert choice.finish_reason == "tool_calls" and not choice.message.content
    assert choice.message.tool_calls[0].function.name in ("get_weather", "get_time")


def test_a_named_tool_is_the_one_that_is_called(ask):
    named = {"type": "function", "function": {"name": "get_time"}}
    [choice] = ask("What is the weather?", tools=[WEATHER, TIME], tool_choice=named).choices
    [call] = choice.message.tool_calls
    assert call.function.name == "get_time"
    assert json.loads(call.function.arguments)["zone"] in ("CET", "UTC")
    assert choice.finish_reason == "tool_calls"


def test_tool_choice_none_leaves_what_looks_like_a_call_as_text(ask):
    [choice] = ask("What is the weather?", tools=[WEATHER], tool_choice="none").choices
    assert choice.message.content == PARIS
    assert not choice.message.tool_calls and choice.finish_reason == "stop"


def test_tools_and_auto_leave_free_text_alone(ask):
    [choice] = ask("Hi", tools=[WEATHER], tool_choice="auto").choices
    assert choice.message.content == "Hello! 👋"
    assert not choice.message.tool_calls and choice.finish_reason == "stop"


def test_a_tool_result_is_answered_and_nothing_before_it_is_computed_again(ask):
    messages = [{"role": "user", "content": "What is the weather?"}]
    first = ask(messages, tools=[WEATHER])
    [call] = first.choices[0].message.tool_calls
    messages.append(first.choices[0].message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 degrees"})
    second = ask(messages, tools=[WEATHER])
    assert second.choices[0].message.content == "It is sunny."
    # All of turn 1 but its last token, which was drawn and never computed.
    held = first.usage.prompt_tokens + first.usage.completion_tokens - 1
    assert second.usage.prompt_tokens_details.cached_tokens == held


def test_parse_gives_a_pydantic_model(client):
    completion = client.chat.completions.parse(
        model="fake", messages=[{"role": "user", "content": "Ada as JSON"}], response_format=Person, temperature=0)
    assert completion.choices[0].message.parsed == Person(name="Ada", age=36)


def test_parse_reads_the_arguments_of_a_pydantic_tool(client):
    completion = client.chat.completions.parse(
        model="fake", messages=[{"role": "user", "content": "Hi"}], temperature=0,
        tools=[openai.pydantic_function_tool(Person)], tool_choice="required")
    [call] = completion.choices[0].message.tool_calls
    assert call.function.name == "Person" and isinstance(call.function.parsed_arguments, Person)


def test_the_stream_helper_parses_a_response_format(client):
    messages = [{"role": "user", "content": "Ada as JSON"}]
    with client.chat.completions.stream(model="fake", messages=messages, response_format=Person, temperature=0) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == Person(name="Ada", age=36)


def test_json_object_is_an_object_whatever_the_model_wanted_to_say(ask):
    [choice] = ask("Hi", response_format={"type": "json_object"}).choices
    assert isinstance(json.loads(choice.message.content), dict)


def test_n_gives_that_many_choices_and_counts_them_all(ask):
    completion = ask("Hi", n=3)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    assert {choice.message.content for choice in completion.choices} == {"Hello! 👋"}
    assert completion.usage.completion_tokens == 3 * (len("Hello! 👋".encode()) + 1)


def test_n_streams_choices_side_by_side(ask):
    texts = {0: "", 1: ""}
    ends = {}
    for chunk in ask("Hi", n=2, stream=True):
        [choice] = chunk.choices
        texts[choice.index] += choice.delta.content or ""
        if choice.finish_reason:
            ends[choice.index] = choice.finish_reason
    assert texts == {0: "Hello! 👋", 1: "Hello! 👋"} and ends == {0: "stop", 1: "stop"}


def test_a_stop_string_ends_the_text_before_it(ask):
    [choice] = ask("count", stop=["four", "three"]).choices
    assert (choice.message.content, choice.finish_reason) == ("one two ", "stop")
    chunks = list(ask("count", stop="three", stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two "
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_token_limit_cuts_the_text(ask, limit):
    completion = ask("count", **{limit: 7})
    assert (completion.choices[0].message.content, completion.choices[0].finish_reason) == ("one two", "length")
    assert completion.usage.completion_tokens == 7


def test_logprobs_tell_each_token_and_its_rivals(ask):
    [choice] = ask("count", logprobs=True, top_logprobs=3).choices
    tokens = choice.logprobs.content
    assert b"".join(bytes(token.bytes) for token in tokens).decode() == choice.message.content
    for token in tokens:
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].token == token.token, "greedy draws the best one"
        values = [rival.logprob for rival in token.top_logprobs]
        assert values == sorted(values, reverse=True) and values[0] == token.logprob <= 0


def test_streamed_logprobs_are_the_same(ask):
    whole = ask("count", logprobs=True, top_logprobs=2).choices[0].logprobs.content
    pieces = []
    for chunk in ask("count", logprobs=True, top_logprobs=2, stream=True):
        if chunk.choices[0].logprobs:
            pieces += chunk.choices[0].logprobs.content
    assert pieces == whole


def test_logit_bias_reaches_the_sampler(ask):
    assert ask("Hi", logit_bias={str(ord("H")): -100}, max_tokens=1).choices[0].message.content != "H"


def test_the_other_sampling_fields_are_accepted(ask):
    completion = ask("Hi", temperature=0.1, top_p=0.9, seed=7, presence_penalty=0.1, frequency_penalty=0.1, user="me",
                     metadata={"a": "b"}, store=False, reasoning_effort="low", service_tier="auto",
                     extra_body={"top_k": 5, "min_p": 0.1, "repeat_penalty": 1.01, "no_such_field": {}})
    assert completion.choices[0].message.content.startswith("Hello")


def test_text_parts_and_the_developer_role_make_the_same_prompt_as_strings_and_system(server):
    plain = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi there"}]
    parts = [{"role": "developer", "content": "Be brief."},
             {"role": "user", "content": [{"type": "text", "text": "Hi "}, {"type": "text", "text": "there"}]}]
    assert server.prompt(plain) == server.prompt(parts)


def test_text_completions(client):
    completion = client.completions.create(model="fake", prompt="Once upon", temperature=0)
    assert (completion.object, completion.choices[0].text, completion.choices[0].finish_reason) == (
        "text_completion", " a time.", "stop")
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (len("Once upon"), len(" a time.") + 1)
    echoed = client.completions.create(model="fake", prompt="Once upon", echo=True, max_tokens=2, temperature=0)
    assert (echoed.choices[0].text, echoed.choices[0].finish_reason) == ("Once upon a", "length")


def test_text_completions_stream(client):
    chunks = list(client.completions.create(model="fake", prompt="Once upon", stream=True, temperature=0,
                                            stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == " a time."
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == len(" a time.") + 1


def test_text_completions_take_several_prompts_and_token_ids(client):
    completion = client.completions.create(model="fake", prompt=["Once upon", "Hi"], n=2, temperature=0)
    assert [choice.index for choice in completion.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in completion.choices] == [" a time."] * 2 + ["Hello! 👋"] * 2
    # Each prompt is counted once, each text for itself.
    assert completion.usage.prompt_tokens == len("Once upon") + len("Hi")
    assert completion.usage.completion_tokens == 2 * (len(" a time.") + 1) + 2 * (len("Hello! 👋".encode()) + 1)
    ids = list(b"Once upon")
    assert client.completions.create(model="fake", prompt=ids, temperature=0).choices[0].text == " a time."


def test_text_completions_have_logprobs(client):
    logprobs = client.completions.create(model="fake", prompt="Once upon", logprobs=2, temperature=0).choices[0].logprobs
    assert "".join(logprobs.tokens) == " a time."
    assert logprobs.text_offset == list(range(len(" a time.")))
    assert all(len(rivals) == 2 for rivals in logprobs.top_logprobs)


def test_models_are_listed_and_found(client):
    assert [model.id for model in client.models.list()] == ["fake"]
    model = client.models.retrieve("fake")
    assert (model.id, model.object, model.owned_by) == ("fake", "model", "kvern")
    assert client.models.retrieve("other").id == "other"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


def test_an_error_arrives_as_the_sdks_own_exception(client):
    with pytest.raises(openai.NotFoundError) as unknown:
        client.models.retrieve("gpt-4o")
    assert unknown.value.code == "model_not_found" and unknown.value.param == "model"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model="fake", messages=[{"role": "emperor", "content": "Hi"}])
    assert wrong.value.param == "messages[0].role" and wrong.value.type == "invalid_request_error"


def test_the_async_client_streams(server):
    async def text():
        async with openai.AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key="none", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="fake", messages=[{"role": "user", "content": "Hi"}], stream=True, temperature=0)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(text()) == "Hello! 👋"
