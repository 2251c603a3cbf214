"""Conversations as AnyClaude holds them: a billing line, no ids, no session, no reasoning, calls told twice."""

import itertools

import pytest

from responses_client import cached, call_text, calls_of, create, function_tool, held, stream, text_of

MODEL = "claude-sonnet-4-5"
BASH = function_tool("Bash", {"command": {"type": "string"}})
SYSTEM = "You are an interactive agent that helps with code.\n\nBe brief."
FIELDS = {"model": MODEL, "tools": [BASH], "tool_choice": "auto", "reasoning": {"summary": "auto"}, "parallel_tool_calls": True,
          "max_output_tokens": 32000}


directories = itertools.count()


def opening(ask, billing="x-anthropic-billing-header: cc_version=2.1.330.{}; cc_entrypoint=cli;", suffix="a1b"):
    return [{"role": "system", "content": f"{billing.format(suffix)}\n{SYSTEM}"},
            {"role": "user", "content": [{"type": "input_text", "text": ask}]}]


def bare(item):
    """What the proxy makes of an item: only what a chat message knows."""
    if item["type"] == "message":
        return {"role": "assistant", "content": [{"type": "output_text", "text": part["text"]} for part in item["content"]]}
    return {key: item[key] for key in ("type", "call_id", "name", "arguments")}


@pytest.fixture(scope="module")
def server(serve, fake):
    return serve(model=fake({"when": "list (\\w+)", "say": "I look.\n" + call_text("Bash", command="ls {{1}}")},
                            {"when": "files", "say": "Two files."}, "Hello.", dialect="hermes"))


@pytest.fixture(params=["streamed", "whole"])
def ask(server, request):
    return lambda items: (stream if request.param == "streamed" else create)(server, items, **FIELDS)


def test_a_tool_loop_without_any_id_computes_every_token_once(ask):
    items = opening(f"list src{next(directories)}")
    first = ask(items)
    assert first["model"] == MODEL
    [call] = calls_of(first)
    items += [bare(item) for item in first["output"]] + [{"type": "function_call_output", "call_id": call["call_id"], "output": "files"}]
    second = ask(items)
    assert cached(second) == held(first) and text_of(second) == "Two files."
    items += [bare(item) for item in second["output"]] + [{"role": "user", "content": [{"type": "input_text", "text": "Thanks"}]}]
    third = ask(items)
    assert cached(third) == held(second)


@pytest.mark.parametrize("second_arguments", ["{}", ""])
@pytest.mark.parametrize("order", ["calls first", "pairs"])
def test_a_call_that_is_told_twice_is_one_call(ask, order, second_arguments):
    items = opening(f"list doc{next(directories)}")
    first = ask(items)
    [call] = calls_of(first)
    told = bare(call)
    twice = told | {"arguments": second_arguments}
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "files"}
    error = result | {"output": "InputValidationError: command is missing"}
    items += [bare(item) for item in first["output"] if item["type"] == "message"]
    items += [told, twice, result, error] if order == "calls first" else [told, result, twice, error]
    second = ask(items)
    assert cached(second) == held(first) and text_of(second) == "Two files."


def test_the_billing_line_costs_nothing_and_is_not_shown(server):
    counted = []
    for suffix in ("a1b", "ffff0"):
        response = create(server, opening("Hi there", suffix=suffix), **FIELDS)
        counted.append(response["usage"]["input_tokens"])
    assert counted[0] == counted[1] and cached(response) == counted[1] - 1
    plain = [{"role": "system", "content": SYSTEM}, opening("Hi there")[1]]
    assert create(server, plain, **FIELDS)["usage"]["input_tokens"] == counted[0]
