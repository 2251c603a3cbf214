"""The official Anthropic Node SDK, unchanged, with its stream helper."""

import json
import subprocess
from pathlib import Path

import pytest

from server import ROOT, environment
from test_openai_node import node_modules
from test_tool_calls import written

SCRIPT = Path(__file__).with_name("anthropic_node.mjs")
PARIS = {"city": "Paris"}


@pytest.fixture(scope="module")
def seen(serve, fake):
    modules = node_modules("@anthropic-ai/sdk")
    server = serve(model=fake(
        {"when": "tool_response", "say": "It is sunny."}, {"when": "weather", "say": written("hermes", "get_weather", PARIS)},
        {"when": "think", "say": "<think>\nhm\n</think>\n\nDone."}, {"when": "nothing", "say": ""}, "Hello! 👋",
        dialect="hermes", template=str(ROOT / "tests/templates/tools.jinja")))
    run = subprocess.run(["node", SCRIPT, server.base_url], capture_output=True, text=True, timeout=60,
                         env=environment(NODE_PATH=str(modules)))
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_whole_answer(seen):
    assert [block["text"] for block in seen["whole"]["content"]] == ["Hello! 👋"] and seen["whole"]["stop_reason"] == "end_turn"


def test_the_stream_helper_hears_every_piece(seen):
    assert "".join(seen["streamed"]["pieces"]) == "Hello! 👋" and len(seen["streamed"]["pieces"]) > 3
    assert seen["streamed"]["message"]["content"][0]["text"] == "Hello! 👋"
    assert seen["streamed"]["message"]["usage"]["output_tokens"] == len("Hello! 👋".encode()) + 1


def test_thinking_is_a_signed_block(seen):
    thinking, text = seen["thought"]["message"]["content"]
    assert (thinking["type"], thinking["thinking"].strip(), text["text"].strip()) == ("thinking", "hm", "Done.")
    assert thinking["signature"]


def test_an_empty_answer_is_a_message(seen):
    assert seen["empty"]["message"]["content"] == [] and seen["empty"]["message"]["stop_reason"] == "end_turn"


@pytest.mark.parametrize("choice", ["auto", "any", "tool"])
def test_a_streamed_call_is_put_together(seen, choice):
    message = seen["choices"][choice]
    assert message["stop_reason"] == "tool_use"
    [call] = message["content"]
    assert (call["type"], call["name"], call["input"]) == ("tool_use", "get_weather", PARIS)


def test_with_the_choice_none_there_is_no_call(seen):
    message = seen["choices"]["none"]
    assert message["stop_reason"] == "end_turn" and [block["type"] for block in message["content"]] == ["text"]


def test_a_tool_loop_comes_to_its_answer(seen):
    assert seen["toolLoop"] == "It is sunny."


def test_counts_models_and_errors(seen):
    assert seen["tokens"] == {"input_tokens": len("Suser\nHiE\nSassistant\n")}  # E and S are one token each
    assert seen["models"] == ["fake"]
    assert seen["refusal"] == {"kind": "BadRequestError", "status": 400, "type": "invalid_request_error"}
