"""Whether calls are what was asked for: 20 schemas, four ways to ask, at temperature 1."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from servers import ROOT

WAYS = ("required", "named", "allowed", "one call")
OUTCOMES = ("valid", "invalid", "other tool", "no call", "several", "cut", "4xx", "5xx")


def load_schemas():
    """The tests' own, with their judge, which needs Python's jsonschema."""
    sys.path.insert(0, str(ROOT / "tests/model"))
    try:
        import judge
        import schemas
    except ImportError as e:
        raise SystemExit(f"{e}; ./dev bench tools runs this with build/venv/bin/python, which has it") from None
    return schemas, judge


def named(name):
    return {"type": "function", "function": {"name": name}}


def request(schemas, name, way, seed):
    """(body, the tools that may be called)"""
    index = list(schemas.REQUESTS).index(name)
    tools = schemas.TOOLS[index // 4 * 4:][:4]
    names = [tool["function"]["name"] for tool in tools]
    body = {"model": "default", "messages": [{"role": "user", "content": schemas.REQUESTS[name]}], "tools": tools,
            "temperature": 1.0, "seed": seed, "max_tokens": 512, "tool_choice": "required"}
    if way == "named":
        return body | {"tool_choice": named(name)}, [name]
    if way == "allowed":
        allowed = [name, names[(index + 1) % 4]]
        choice = {"mode": "required", "tools": [named(one) for one in allowed]}
        return body | {"tool_choice": {"type": "allowed_tools", "allowed_tools": choice}}, allowed
    return body | {"parallel_tool_calls": way != "one call"}, names


def outcome(judge, way, allowed, status, text):
    if status != 200:
        return "5xx" if status >= 500 else "4xx"
    choice = json.loads(text)["choices"][0]
    if choice["finish_reason"] == "length":
        return "cut"
    calls = [call["function"] for call in choice["message"].get("tool_calls") or []]
    if not calls:
        return "no call"
    if any(call["name"] not in allowed for call in calls):
        return "other tool"
    if any(judge.invalid(call["name"], call["arguments"]) for call in calls):
        return "invalid"
    return "several" if len(calls) > 1 and way in ("named", "one call") else "valid"


def measure(server, way, count, schemas_max=20):
    """{outcome: how often} of count requests for each schema."""
    schemas, judge = load_schemas()
    names = [tool["function"]["name"] for tool in schemas.TOOLS][:schemas_max]
    asked = [request(schemas, name, way, seed) for seed in range(count) for name in names]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: server.send("/v1/chat/completions", one[0]), asked))
    found = dict.fromkeys(OUTCOMES, 0)
    for (_, allowed), (status, text) in zip(asked, answers):
        found[outcome(judge, way, allowed, status, text)] += 1
    return found
