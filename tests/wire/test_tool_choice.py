"""Every tool_choice means what it says, streamed and whole, in every dialect."""

import json
import re

import pytest

from server import called, function, joined, plain, wait_until
from test_tool_calls import DIALECTS, written

WEATHER = function("get_weather", {"city": {"type": "string"}}, additionalProperties=False)
TIME = function("get_time", {"zone": {"type": "string", "enum": ["CET", "UTC"]}}, additionalProperties=False)
STOP = function("stop", {}, additionalProperties=False)
PATCH = {"type": "custom", "custom": {"name": "patch", "description": "Edits a file."}}
DATE = {"type": "custom", "custom": {"name": "set_date", "format": {
    "type": "grammar", "grammar": {"syntax": "regex", "definition": "[0-9]{4}-[0-9]{2}-[0-9]{2}"}}}}
TOOLS = [WEATHER, TIME, STOP]

PARIS = ("get_weather", {"city": "Paris"})
UTC = ("get_time", {"zone": "UTC"})
DIFF = '*** Begin Patch\n-a "b"\\n\n+é 🦊\n*** End Patch\n'


@pytest.fixture(scope="module", params=DIALECTS)
def server(serve, fake, request):
    dialect = request.param
    server = serve(model=fake(
        {"when": "tool_response", "say": "Done."},
        {"when": "^weather$", "say": written(dialect, *PARIS)},
        {"when": "^time$", "say": written(dialect, *UTC)},
        {"when": "^patch$", "say": written(dialect, "patch", {"input": DIFF})},
        {"when": "^date$", "say": written(dialect, "set_date", {"input": "next monday"})},
        "Plain words.", dialect=dialect))
    server.dialect = dialect
    return server


def allowed(mode, *names):
    return {"type": "allowed_tools", "allowed_tools": {
        "mode": mode, "tools": [{"type": "function", "function": {"name": name}} for name in names]}}


def named(name):
    return {"type": "function", "function": {"name": name}}


def names(choice):
    return [name for name, _ in called(choice["message"])]


# (what the model wants, the choice, the tools it may have called; None: none at all)
CHOICES = {
    "auto": ("weather", "auto", {"get_weather"}),
    "auto_words": ("hello", "auto", None),
    "required": ("weather", "required", {"get_weather"}),
    "required_words": ("hello", "required", {"get_weather", "get_time", "stop"}),
    "named": ("weather", named("get_weather"), {"get_weather"}),
    "named_other": ("weather", named("get_time"), {"get_time"}),
    "named_words": ("hello", named("stop"), {"stop"}),
    "none": ("weather", "none", None),
    "allowed_auto": ("weather", allowed("auto", "get_weather", "stop"), {"get_weather"}),
    "allowed_auto_others": ("weather", allowed("auto", "get_time", "stop"), {"get_time", "stop"}),
    "allowed_auto_words": ("hello", allowed("auto", "stop"), None),
    "allowed_required": ("weather", allowed("required", "get_time", "stop"), {"get_time", "stop"}),
    "allowed_required_one": ("hello", allowed("required", "get_time"), {"get_time"}),
    "allowed_all": ("weather", allowed("required", "stop", "get_time", "get_weather"), {"get_weather"}),
    "allowed_none": ("weather", allowed("auto"), None),
}


@pytest.mark.parametrize("case", CHOICES)
def test_a_choice_means_what_it_says(server, case):
    wish, choice, may_call = CHOICES[case]
    answer = server.chat(wish, tools=TOOLS, tool_choice=choice, max_tokens=2000)["choices"][0]
    if may_call is None:
        assert not answer["message"].get("tool_calls") and answer["finish_reason"] == "stop"
    else:
        assert answer["finish_reason"] == "tool_calls"
        assert names(answer) and set(names(answer)) <= may_call


@pytest.mark.parametrize("case", CHOICES)
def test_a_stream_brings_the_same_answer(server, case):
    wish, choice, _ = CHOICES[case]
    fields = {"tools": TOOLS, "tool_choice": choice, "max_tokens": 2000}
    [streamed] = joined(server.stream(wish, **fields))
    [whole] = server.chat(wish, **fields)["choices"]
    assert plain(streamed) == plain(whole)


# Narrowing the choice must not cost the cached head.
def test_the_prompt_does_not_depend_on_the_choice(server):
    prompts = [server.prompt("weather", tools=TOOLS, tool_choice=choice) for _, choice, _ in CHOICES.values()]
    assert all(prompt == prompts[0] for prompt in prompts)


def test_several_choices_of_one_request_all_call(server):
    answers = server.chat("hello", tools=TOOLS, tool_choice="required", n=3, max_tokens=2000, temperature=1, seed=5)["choices"]
    assert [answer["finish_reason"] for answer in answers] == ["tool_calls"] * 3


def test_an_empty_choice_that_requires_is_refused(server):
    body = {"messages": [{"role": "user", "content": "Hi"}], "tools": TOOLS, "tool_choice": allowed("required")}
    error = server.post("/v1/chat/completions", body).json()["error"]
    assert error["param"] == "tool_choice.allowed_tools.tools"


def test_a_custom_tool_gets_its_text_as_it_was_written(server):
    [choice] = server.chat("patch", tools=[PATCH, WEATHER])["choices"]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None
    [call] = choice["message"]["tool_calls"]
    assert call["id"] and (call["type"], call["custom"]) == ("custom", {"name": "patch", "input": DIFF})


def test_a_custom_call_is_streamed_as_text(server):
    chunks = server.stream("patch", tools=[PATCH])
    pieces = [piece for chunk in chunks for choice in chunk["choices"] for piece in choice["delta"].get("tool_calls", [])]
    first, *rest = pieces
    assert first["type"] == "custom" and first["id"] and first["custom"] == {"name": "patch", "input": ""}
    assert all(set(piece) == {"index", "custom"} and set(piece["custom"]) == {"input"} for piece in rest)
    assert "".join(piece["custom"]["input"] for piece in rest) == DIFF and len(rest) > 3


def test_a_custom_tools_grammar_holds(server):
    for choice in ("auto", "required", {"type": "custom", "custom": {"name": "set_date"}}):
        [answer] = server.chat("date", tools=[DATE, WEATHER], tool_choice=choice, max_tokens=500)["choices"]
        [call] = answer["message"]["tool_calls"]
        assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", call["custom"]["input"]), choice


def test_a_custom_call_comes_back_in_the_history(server):
    messages = [{"role": "user", "content": "patch"}]
    first = server.chat(messages, tools=[PATCH])
    message = first["choices"][0]["message"]
    messages += [message, {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "applied"}]
    second = server.chat(messages, tools=[PATCH])
    assert second["choices"][0]["message"]["content"] == "Done."
    # All of turn 1 but its last token, which was drawn and never computed.
    held = first["usage"]["prompt_tokens"] + first["usage"]["completion_tokens"] - 1
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] == held


def metric(server, name):
    lines = server.http.get("/metrics").text.splitlines()
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + " "))


def test_turns_that_call_are_counted_as_that(server):
    counters = ['kvern_requests_total{finish="tool_calls"}', 'kvern_requests_total{finish="stop"}',
                'kvern_tool_calls_total{check="exact"}', 'kvern_tool_calls_total{check="cut"}',
                "kvern_tool_calls_unconstrained_total"]
    before = [metric(server, name) for name in counters]
    server.chat("weather", tools=TOOLS)
    server.chat("hello", tools=TOOLS)
    [cut] = server.chat("weather", tools=TOOLS, max_tokens=len(written(server.dialect, *PARIS).encode()) - 12)["choices"]
    assert cut["finish_reason"] == "length" and names_of_cut(cut) == ["get_weather"]
    after = [metric(server, name) for name in counters]
    assert [b - a for a, b in zip(before, after)] == [1, 1, 1, 1, 0]


def names_of_cut(choice):
    return [call["function"]["name"] for call in choice["message"]["tool_calls"]]


def test_a_call_whose_schema_no_grammar_holds_is_checked_afterwards(server):
    odd = function("odd", {"a": {"type": "array", "items": {"type": "integer"}, "contains": {"multipleOf": 7}, "uniqueItems": True}})
    counters = [f'kvern_tool_calls_total{{check="{check}"}}' for check in ("exact", "checked", "invalid")]
    before = sum(metric(server, name) for name in counters)
    server.chat("hello", tools=[odd], tool_choice="required", max_tokens=2000)
    wait_until(lambda: sum(metric(server, name) for name in counters) == before + 1, 5, "one call more")


def test_arguments_stay_valid_json_when_a_call_is_read_piece_by_piece(server):
    chunks = server.stream("time", tools=TOOLS, tool_choice=allowed("auto", "get_time"))
    text = "".join(piece["function"]["arguments"] for chunk in chunks for choice in chunk["choices"]
                   for piece in choice["delta"].get("tool_calls", []))
    assert json.loads(text) == {"zone": "UTC"}
