"""The Vercel AI SDK (opencode, Cline and many others are built on it), unchanged: streamed text, calls and tool loops."""

import json
import subprocess
from pathlib import Path

import pytest

from server import environment
from test_openai_node import node_modules
from test_tool_calls import DIALECTS, written

SCRIPT = Path(__file__).with_name("ai_sdk.mjs")


@pytest.fixture(scope="module", params=DIALECTS)
def seen(serve, fake, request):
    modules = node_modules("ai")
    node_modules("@ai-sdk/openai-compatible")
    paris = written(request.param, "get_weather", {"city": "Paris"})
    server = serve(model=fake({"when": "tool_response", "say": "It is sunny."}, {"when": "weather", "say": paris},
                              "Hello! 👋", dialect=request.param))
    run = subprocess.run(["node", SCRIPT, f"{server.base_url}/v1", Path(modules).parent], capture_output=True, text=True,
                         timeout=120, env=environment())
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_nothing_was_an_error(seen):
    for name, result in seen.items():
        if name != "whole":
            assert result["errors"] == [] and "error" not in result["types"], name


def test_text_is_streamed(seen):
    [step] = seen["words"]["steps"]
    assert seen["words"]["text"] == step["text"] == "Hello! 👋" and step["finish"] == "stop"


def test_a_tool_loop_runs_to_its_answer(seen):
    loop = seen["loop"]
    assert [step["finish"] for step in loop["steps"]] == ["tool-calls", "stop"]
    assert loop["steps"][0]["calls"] == [{"name": "get_weather", "input": {"city": "Paris"}, "invalid": False}]
    assert loop["steps"][1]["text"] == "It is sunny." and loop["cities"] == ["Paris"]
    assert json.loads(loop["input"]) == {"city": "Paris"} and loop["inputs"] > 3, "arguments come in pieces"


def test_the_second_step_reuses_the_first(seen):
    assert seen["loop"]["cached"] > 0


def test_a_required_call_comes(seen):
    [step] = seen["required"]["steps"]
    assert step["finish"] == "tool-calls"
    assert step["calls"] and not any(call["invalid"] for call in step["calls"])


def test_a_named_tool_is_the_one_that_is_called(seen):
    [step] = seen["named"]["steps"]
    assert [call["name"] for call in step["calls"]] == ["get_time"]
    assert step["calls"][0]["input"]["zone"] in ("CET", "UTC") and not step["calls"][0]["invalid"]


def test_none_calls_nothing(seen):
    [step] = seen["none"]["steps"]
    assert step["calls"] == [] and step["text"] == "Hello! 👋"


def test_a_whole_answer_has_the_same_call(seen):
    assert seen["whole"]["calls"] == [{"name": "get_weather", "input": {"city": "Paris"}}]
