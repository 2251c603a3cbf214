"""At temperature 1 a small model is wild; every call it finishes is valid all the same.

60 calls by default, 200 with KVERN_FULL=1: 20 schemas, half required among four tools, half named.
A call cut by max_tokens is not counted as valid; how many there were is told at the end of the run.
"""

import datetime
import json
import os
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import pytest

from schemas import REQUESTS, SCHEMAS, TOOLS
from server import called

pytestmark = pytest.mark.model

SEEDS = range(10 if os.environ.get("KVERN_FULL") == "1" else 3)
FORMATS = jsonschema.FormatChecker()


@FORMATS.checks("date-time", raises=ValueError)
def is_date_time(value):
    """Python knows no leap second, RFC 3339 does."""
    datetime.datetime.fromisoformat(value.upper().replace(":60", ":59"))
    return "T" in value.upper()


@pytest.fixture(scope="module")
def server(serve_model):
    return serve_model("--parallel", "4")


def group(name):
    """Four tools with this one among them; five such sets share their prompts' heads."""
    index = next(i for i, tool in enumerate(TOOLS) if tool["function"]["name"] == name)
    return TOOLS[index // 4 * 4:][:4]


def call(server, name, seed, named):
    choice = {"type": "function", "function": {"name": name}} if named else "required"
    fields = {"temperature": 1.0, "seed": seed, "max_tokens": 1024, "parallel_tool_calls": False}
    answer = server.chat(REQUESTS[name], tools=group(name), tool_choice=choice, **fields)
    return answer["choices"][0]


def problem(name, named, choice):
    """What is wrong with a finished call; None when nothing is."""
    if choice["finish_reason"] != "tool_calls":
        return f"finish_reason {choice['finish_reason']}"
    calls = choice["message"]["tool_calls"]
    if len(calls) != 1:
        return f"{len(calls)} calls"
    used = calls[0]["function"]["name"]
    if used not in ([name] if named else [tool["function"]["name"] for tool in group(name)]):
        return f"called {used}"
    try:
        [(_, arguments)] = called(choice["message"])
        jsonschema.Draft202012Validator(SCHEMAS[used], format_checker=FORMATS).validate(arguments)
    except (ValueError, jsonschema.ValidationError) as e:
        return f"{e}".splitlines()[0]
    return None


def test_every_schema_is_a_schema():
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_finished_call_is_valid(server, remark):
    asked = [(name, seed, (i + seed) % 2 == 0) for seed in SEEDS for i, name in enumerate(SCHEMAS)]
    with ThreadPoolExecutor(4) as pool:
        choices = list(pool.map(lambda one: call(server, *one), asked))
    cut, wrong = [], []
    for (name, seed, named), choice in zip(asked, choices):
        if choice["finish_reason"] == "length":
            cut.append((name, seed))
        elif why := problem(name, named, choice):
            wrong.append(f"{name} seed {seed} {'named' if named else 'required'}: {why}: {json.dumps(choice['message'])[:300]}")
    finished = len(asked) - len(cut)
    remark(f"tool calls: {finished - len(wrong)} of {len(asked)} valid, {len(wrong)} invalid, {len(cut)} cut by max_tokens {cut}")
    for entry in server.log("schema relaxed"):
        remark(f"schema relaxed: {entry['what']}")
    assert wrong == []
    assert len(cut) <= len(asked) / 10, "so many that they hide something"


def test_auto_lets_the_model_speak_and_what_it_calls_is_valid(server):
    for seed in range(6):
        answer = server.chat(REQUESTS["get_weather"], tools=TOOLS[4:8], temperature=1.0, seed=seed, max_tokens=100)
        [choice] = answer["choices"]
        if choice["finish_reason"] == "length":
            continue
        for name, arguments in called(choice["message"]):
            jsonschema.Draft202012Validator(SCHEMAS[name], format_checker=FORMATS).validate(arguments)
