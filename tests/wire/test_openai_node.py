"""The official Node SDK, unchanged, with its stream helper and its tool loop."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from server import ROOT, environment
from test_tool_calls import DIALECTS, written

SCRIPT = Path(__file__).with_name("openai_node.cjs")
DIFF = '-a\n+"b" 🦊\n'


def node_modules(package):
    named = os.environ.get("KVERN_NODE_MODULES") or os.environ.get("NODE_PATH") or ROOT / "build/node/node_modules"
    if not shutil.which("node"):
        pytest.skip("there is no node")
    if not (Path(named) / package).is_dir():
        pytest.skip(f"{named} has no {package}: npm install --prefix build/node with tests/package.json")
    return named


@pytest.fixture(scope="module", params=DIALECTS)
def seen(serve, fake, request):
    modules = node_modules("openai")
    paris = written(request.param, "get_weather", {"city": "Paris"})
    patch = written(request.param, "patch", {"input": DIFF})
    server = serve(model=fake({"when": "tool_response", "say": "It is sunny."}, {"when": "weather", "say": paris},
                              {"when": "patch", "say": patch}, "Hello! 👋", dialect=request.param))
    run = subprocess.run(["node", SCRIPT, f"{server.base_url}/v1"], capture_output=True, text=True, timeout=60,
                         env=environment(NODE_PATH=str(modules)))
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_whole_answer(seen):
    assert seen["whole"]["message"]["content"] == "Hello! 👋" and seen["whole"]["finish_reason"] == "stop"


def test_the_stream_helper_hears_every_piece(seen):
    assert "".join(seen["streamed"]["pieces"]) == "Hello! 👋" and len(seen["streamed"]["pieces"]) > 3
    assert seen["streamed"]["choice"]["message"]["content"] == "Hello! 👋"


def test_a_streamed_tool_call_is_put_together(seen):
    choice = seen["call"]["choice"]
    assert choice["finish_reason"] == "tool_calls"
    [call] = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather" and json.loads(call["function"]["arguments"]) == {"city": "Paris"}


@pytest.mark.parametrize("choice", ["auto", "required", "named", "allowed_auto", "allowed_required"])
def test_the_stream_helper_is_content_with_every_choice(seen, choice):
    answer = seen["choices"][choice]
    assert answer["finish_reason"] == "tool_calls"
    [call] = answer["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather" and json.loads(call["function"]["arguments"]) == {"city": "Paris"}


def test_with_the_choice_none_there_is_no_call(seen):
    answer = seen["choices"]["none"]
    assert answer["finish_reason"] == "stop" and "get_weather" in answer["message"]["content"]


def test_a_custom_call_is_put_together(seen):
    choice = seen["custom"]["choice"]
    assert choice["finish_reason"] == "tool_calls"
    [call] = choice["message"]["tool_calls"]
    assert call["type"] == "custom" and call["custom"] == {"name": "patch", "input": DIFF}


def test_run_tools_calls_the_function_and_answers(seen):
    assert seen["toolLoop"] == {"answer": "It is sunny.", "cities": ["Paris"]}


def test_models_and_text_completions(seen):
    assert seen["models"] == ["fake"] and seen["text"] == "Hello! 👋"


def test_an_error_is_the_sdks_own(seen):
    assert seen["refusal"] == {"kind": "NotFoundError", "status": 404, "code": "model_not_found", "param": "model"}
