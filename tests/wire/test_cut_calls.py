"""A turn that max_tokens cuts in the head of a call: nobody reads half a mark, and everybody is told of the cut."""

import pytest

from server import function, joined
from test_tool_calls import DIALECTS, written

TOOL = function("get_weather", {"city": {"type": "string"}}, additionalProperties=False)
SAID = "I will look."
LIMITS = [len(SAID) + more for more in (4, 9, 14, 17, 24)]  # a token is a byte


@pytest.fixture(scope="module", params=DIALECTS)
def server(serve, fake, request):
    gap = "\n" if request.param == "hermes" else "\n\n"
    return serve(model=fake(SAID + gap + written(request.param, "get_weather", {"city": "Oslo"}), dialect=request.param))


@pytest.mark.parametrize("tokens", LIMITS)
def test_the_text_before_it_is_all_there_is(server, tokens):
    fields = {"tools": [TOOL], "max_tokens": tokens}
    [choice] = server.chat("weather", **fields)["choices"]
    [streamed] = joined(server.stream("weather", **fields))
    for one in (choice, streamed):
        assert one["message"]["content"] == SAID and not one["message"].get("tool_calls")
        assert one["finish_reason"] == "length"


@pytest.mark.parametrize("tokens", LIMITS)
def test_the_other_apis_say_the_same(server, tokens):
    schema = TOOL["function"]["parameters"]
    message = server.message("weather", tools=[{"name": "get_weather", "input_schema": schema}], max_tokens=tokens)
    assert message["content"] == [{"type": "text", "text": SAID}] and message["stop_reason"] == "max_tokens"
    response = server.post("/v1/responses", {"input": "weather", "temperature": 0, "max_output_tokens": tokens,
                                             "tools": [{"type": "function", "name": "get_weather", "parameters": schema}]}).json()
    [item] = response["output"]
    assert item["content"][0]["text"] == SAID and response["status"] == "incomplete"


# Its tokens say more than its text: put into the next prompt they would show the model a call nobody saw.
def test_the_turn_after_it_is_prompted_with_the_text(server):
    first = {"role": "user", "content": "weather"}
    [choice] = server.chat("weather", tools=[TOOL], max_tokens=LIMITS[-1])["choices"]
    then = [first, {"role": "assistant", "content": choice["message"]["content"]}, {"role": "user", "content": "go on"}]
    usage = server.chat(then, tools=[TOOL], max_tokens=1)["usage"]
    assert usage["prompt_tokens"] == len(server.prompt(then, tools=[TOOL]))


def test_a_call_cut_in_its_arguments_is_a_call(server):
    [choice] = server.chat("weather", tools=[TOOL], max_tokens=len(SAID) + 60)["choices"]
    [call] = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather" and choice["finish_reason"] == "length"
