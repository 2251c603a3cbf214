"""At temperature 1.5 a small model is wild; every call it finishes is valid all the same, in every dialect.

By default 50 of the 120 schemas in each of two dialects; with KVERN_FULL=1 all of them in every dialect, and nine
times in those two.
What the server said it cannot enforce ("schema relaxed" in its log) is counted apart, and so is what max_tokens cut.
"""

import json
import os
import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from judge import invalid
from schemas import ALL_TOOLS, BAD, REQUESTS, SCHEMAS, TOOLS, as_tool
from server import run_kvern

pytestmark = pytest.mark.model

FULL = os.environ.get("KVERN_FULL") == "1"
TOKENS_MAX = 512 if FULL else 192
SAMPLE = 50
ALWAYS = ["hermes", "qwen3-coder"]  # arguments as JSON, and as tagged raw strings


def dialects():
    """Those the binary knows; it tells them when it is asked for another one."""
    if not FULL:
        return ALWAYS
    try:
        told = re.search(r"known are (.*)", run_kvern("serve", "--dialect", "?", "--port", "0").stderr)
    except OSError:
        return ALWAYS  # no binary: the tests say so
    return told[1].split(", ")


@pytest.fixture(scope="module", params=dialects())
def server(request, serve_model):
    # Four at once, and nobody watches: prompts need not be slow for the others' sake.
    started = serve_model("--parallel", "4", "--latency-target", "20", "--dialect", request.param)
    started.dialect = request.param
    yield started
    started.stop()


def ask(server, name, tools, seed, **fields):
    """The one choice of an answer, which must be one, and in time."""
    body = {"messages": [{"role": "user", "content": REQUESTS[name]}], "tools": tools, "seed": seed}
    response = server.post("/v1/chat/completions", body | {"temperature": 1.5, "max_tokens": TOKENS_MAX} | fields)
    assert response.status_code == 200, f"{name} seed {seed}: {response.status_code} {response.text[:300]}"
    assert response.json()["usage"]["completion_tokens"] <= TOKENS_MAX
    return response.json()["choices"][0]


def ask_all(server, asked, **fields):
    """[(choice, the names of its tools)] for [(name, tools, seed)]."""
    with ThreadPoolExecutor(4) as pool:
        choices = list(pool.map(lambda one: ask(server, *one, **fields), asked))
    return [(choice, [tool["function"]["name"] for tool in tools]) for choice, (_, tools, _) in zip(choices, asked)]


def relaxed(server):
    """{tool: what the server said it cannot enforce}"""
    found = {}
    for entry in server.log("schema relaxed"):
        tool, what = re.match(r"tool (\S+): (.*)", entry["what"], re.DOTALL).groups()
        found.setdefault(tool, set()).add(what)
    return found


def problems(choice, names):
    """(tool, what is wrong) of each call; the tool is None where it is the turn that is wrong."""
    if choice["finish_reason"] != "tool_calls":
        yield None, f"finish_reason {choice['finish_reason']}"
    for call in choice["message"].get("tool_calls") or []:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        if name not in names:
            yield None, f"called {name}"
        elif why := invalid(name, arguments):
            yield name, f"{why} in {arguments[:200]}"


def group(name):
    """Four of the everyday tools with this one among them; five such sets share their prompts' heads."""
    index = next(i for i, tool in enumerate(TOOLS) if tool["function"]["name"] == name)
    return TOOLS[index // 4 * 4:][:4]


def assert_valid(server, results, calls_max=1):
    """Every finished turn holds calls, of tools it was given, and valid ones. How many were cut."""
    cut = 0
    for choice, names in results:
        if choice["finish_reason"] == "length":
            cut += 1
            continue
        wrong = [why for name, why in problems(choice, names) if name not in relaxed(server)]
        assert wrong == [], choice
        assert 1 <= len(choice["message"]["tool_calls"]) <= calls_max
    return cut


def test_every_finished_call_is_valid(server, remark):
    names = list(SCHEMAS) if FULL else random.Random(server.dialect).sample(list(SCHEMAS), SAMPLE)
    seeds = range(9 if FULL and server.dialect in ALWAYS else 1)
    asked = [(name, [ALL_TOOLS[name]], seed) for seed in seeds for name in names]
    results = ask_all(server, asked, tool_choice="required", parallel_tool_calls=False)
    known = relaxed(server)
    counts, wrong = Counter(), []
    for (name, _, seed), (choice, tools) in zip(asked, results):
        if choice["finish_reason"] == "length":
            counts["cut by max_tokens"] += 1
            continue
        found = list(problems(choice, tools))
        if len(choice["message"].get("tool_calls") or []) != 1:
            found.append((None, "not one call"))
        counts["finished"] += 1
        counts["of relaxed tools"] += name in known
        counts["of those invalid"] += any(tool in known for tool, _ in found)
        wrong += [f"{name} seed {seed}: {why}" for tool, why in found if tool not in known]
    remark(f"tool calls, {server.dialect}: {len(asked)} asked, {len(wrong)} invalid, {dict(counts)}")
    told = json.dumps({tool: sorted(what)[:3] for tool, what in known.items()})
    remark(f"tools relaxed, {server.dialect}: {len(known)}: {told}")
    assert wrong == []
    assert counts["finished"] > len(asked) / 2, "so many were cut that they hide something"


def test_what_is_no_schema_costs_its_tool_its_exactness_and_the_request_nothing(server):
    first = TOOLS[0]["function"]["name"]
    for name, schema in BAD.items():
        tools = [TOOLS[0], as_tool(name, "?", schema)]
        choice = ask(server, first, tools, 0, tool_choice={"type": "function", "function": {"name": name}}, max_tokens=24)
        for call in choice["message"].get("tool_calls", []) if choice["finish_reason"] == "tool_calls" else []:
            assert isinstance(json.loads(call["function"]["arguments"]), dict), name
        told = [line for line in server.log("schema relaxed") if line["what"].startswith(f"tool {name}: /: everything")]
        assert told, name
    bad = [as_tool(name, "?", schema) for name, schema in BAD.items()]
    choice = ask(server, first, [TOOLS[0], *bad], 0, tool_choice={"type": "function", "function": {"name": first}})
    assert_valid(server, [(choice, [first])])


def test_a_named_tool_is_the_one_called(server):
    for name in ("Bash", "get_weather", "add_host", "finish"):
        choice = {"type": "function", "function": {"name": name}}
        results = ask_all(server, [(name, group(name), seed) for seed in range(2)], tool_choice=choice, max_tokens=96)
        assert_valid(server, [(answer, [name]) for answer, _ in results])


@pytest.mark.parametrize("mode", ["required", "auto"])
def test_only_allowed_tools_are_called(server, mode):
    """Of tools without long strings, which a wild model ends by itself; in "auto" it may say something, and never end."""
    tools = [ALL_TOOLS[name] for name in ("Bash", "finish", "log_metric", "ListShells")]
    allowed = ["finish", "ListShells"]
    names = [{"type": "function", "function": {"name": name}} for name in allowed]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": names}}
    asked = [("log_metric", tools, seed) for seed in range(6)]
    answers = ask_all(server, asked, tool_choice=choice, parallel_tool_calls=False, temperature=1.0)
    called = [call["function"]["name"] for answer, _ in answers for call in answer["message"].get("tool_calls") or []]
    assert set(called) <= set(allowed)
    finished = [answer for answer, _ in answers if mode == "required" or answer["finish_reason"] == "tool_calls"]
    cut = assert_valid(server, [(answer, allowed) for answer in finished])
    assert mode == "auto" or cut < len(asked)


def test_none_means_no_calls(server):
    for choice, _ in ask_all(server, [("Bash", group("Bash"), seed) for seed in range(4)], tool_choice="none", max_tokens=40):
        assert not choice["message"].get("tool_calls")
        assert choice["finish_reason"] in ("stop", "length")


def test_auto_lets_the_model_speak_and_what_it_calls_is_valid(server):
    asked = [("get_weather", group("get_weather"), seed) for seed in range(6)]
    results = ask_all(server, asked, temperature=1.0, max_tokens=100)
    assert_valid(server, [result for result in results if result[0]["finish_reason"] == "tool_calls"], calls_max=99)


def test_several_calls_in_a_turn_are_valid_each(server):
    """Turns that a wild model ends by itself, hence of tools without long strings."""
    tools = [ALL_TOOLS[name] for name in ("finish", "log_metric", "ListShells")]
    results = ask_all(server, [("finish", tools, seed) for seed in range(6)], tool_choice="required", parallel_tool_calls=True)
    assert_valid(server, results, calls_max=99)


def test_a_response_format_beside_tools_forces_neither(server):
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}, "n": {"type": "integer", "minimum": 0, "maximum": 9}},
              "required": ["ok", "n"], "additionalProperties": False}
    format_ = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    asked = [("get_weather", [ALL_TOOLS["finish"], ALL_TOOLS["ListShells"]], seed) for seed in range(4)]
    for choice, names in ask_all(server, asked, response_format=format_, max_tokens=96):
        if choice["finish_reason"] == "stop":
            answer = json.loads(choice["message"]["content"])
            assert list(answer) == ["ok", "n"] and isinstance(answer["ok"], bool) and answer["n"] in range(10)
        else:
            assert_valid(server, [(choice, names)], calls_max=99)
