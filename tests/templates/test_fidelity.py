"""Every chat template of llama.cpp's source tree renders with our engine as with Python's Jinja.

Model makers write their templates for transformers, so its environment is the reference; it is built here
again from Jinja2 alone. render_main.cc is our side: build/dev/render_main, or the program KVERN_RENDER_MAIN names.
A difference is mended in src/chat/template or stands in EXCEPTIONS with its reason.
"""

import datetime
import json
import os
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

jinja2 = pytest.importorskip("jinja2", reason="Jinja2 is missing: pip install -r tests/requirements.txt")
from jinja2 import nodes  # noqa: E402
from jinja2.ext import Extension, loopcontrols  # noqa: E402
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
RENDER_MAIN = Path(os.environ.get("KVERN_RENDER_MAIN", ROOT / "build/dev/render_main")).absolute()
CONSTANTS = {"bos_token": "<bos>", "eos_token": "<eos>"}

# (template, conversations): why it may differ. "*" is every conversation, "tools" every one with tools.
NO_NULL = "Python adds no None to text and looks for nothing in it; we never pass a content that is null"
EXCEPTIONS = {
    ("Bielik-11B-v3.0-Instruct", "null_content"): NO_NULL,
    ("ibm-granite-granite-3.3-2B-Instruct", "null_content"): NO_NULL,
    ("microsoft-Phi-3.5-mini-instruct", "null_content"): NO_NULL,
    ("fireworks-ai-llama-3-firefunction-v2", "*"): "adds a variable we do not set to text; to us it is empty",
    ("llama-cpp-deepseek-r1", "tools"): "writes a filter's result as JSON, which Python refuses; to us it is a list",
    ("meetkai-functionary-medium-v3.1", "tools"): "Python's `safe` escapes what is added to it as HTML",
}

# Templates that change a list of their own, which transformers' sandbox forbids: rendered without that ban.
CHANGES_LISTS = {"Kimi-K2-Instruct", "Kimi-K2-Thinking"}


class Generation(Extension):
    """{% generation %} marks what the model wrote, for training; the text is the same."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.TemplateError(message)


def make_environment(name):
    kind = SandboxedEnvironment if name in CHANGES_LISTS else ImmutableSandboxedEnvironment
    environment = kind(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    return environment


def tool(name, description, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


TOOLS = [
    tool("read_file", 'Reads a "file" – größer.\nTwo lines.', path={"type": "string", "description": "Where <it> is"},
         limit={"type": "integer", "description": "Lines", "default": 10}),
    tool("now", "Tells the time."),
    tool("edit", "Changes files.", mode={"type": "string", "enum": ["all", "one"], "description": "How"},
         edits={"type": "array", "description": "What", "items": {
             "type": "object", "properties": {"old": {"type": "string"}, "new": {"type": ["string", "null"]}}}},
         options={"type": "object", "description": "More", "additionalProperties": False,
                  "properties": {"deep": {"type": "boolean"}, "ratio": {"type": "number"}}},
         either={"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "Either"}),
]


def call(identifier, name, arguments):
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


def turn(*calls, content="I look.", **fields):
    return {"role": "assistant", "content": content, "tool_calls": list(calls)} | fields


def result(identifier, name, content):
    return {"role": "tool", "tool_call_id": identifier, "name": name, "content": content}


SYSTEM = {"role": "system", "content": "Be brief: “é”."}
ASK = {"role": "user", "content": "What is in a.txt? \"quoted\" <b>日本</b> 🙂"}
ARGUMENTS = {"path": "a \"q\" é\\n.c\nx", "limit": 3}
RESULTS = [result("call00001", "read_file", "line 1\n\"line\" 2 é"), result("call00002", "now", '{"time": 12.5}')]


def two_calls(**fields):
    calls = call("call00001", "read_file", ARGUMENTS), call("call00002", "now", {})
    return [SYSTEM, ASK, turn(*calls, **fields), *RESULTS]


def one_call(arguments, **fields):
    return [SYSTEM, ASK, turn(call("call00001", "edit", arguments), **fields), result("call00001", "edit", "done")]


THINKS = {"reasoning_content": "I think é.\nTwice.", "thinking": "I think é.\nTwice."}
ANSWER = {"role": "assistant", "content": "It says é.", "reasoning_content": "Now I know."}
NEXT = {"role": "user", "content": "  And b.txt?\n"}
NESTED = {"mode": "one", "edits": [{"old": "a'b", "new": None}, {"old": "", "new": "<x>&amp;"}],
          "options": {"deep": True, "ratio": 0.1, "none": {}, "list": []}, "either": False}
NUMBERS = {"mode": "1", "edits": [1, -2.5, 1e-7, 1e16, 1e22, 123456789012345678, 9223372036854775807, 0.1, 100.0, -0.0],
           "options": {"big": 2**60, "bigger": 2**64 - 1, "small": -(2**63)}, "either": 12345678901}

CONVERSATIONS = {
    "plain": ([SYSTEM, ASK], None),
    "no_system": ([ASK], None),
    "plain_turns": ([SYSTEM, ASK, ANSWER, NEXT], None),
    "tools_offered": ([SYSTEM, ASK], TOOLS),
    "tools_without_system": ([ASK], TOOLS),
    "two_calls": (two_calls(), TOOLS),
    "two_calls_reasoned": (two_calls(**THINKS), TOOLS),
    "one_call": (one_call({"mode": "all"}), TOOLS),
    "next_turn": ([*two_calls(**THINKS), ANSWER, NEXT], TOOLS),
    "next_turn_one_call": ([*one_call({"mode": "all"}, **THINKS), ANSWER, NEXT], TOOLS),
    "text_arguments": (one_call(json.dumps(NESTED)), TOOLS),
    "empty_content": (one_call({"mode": "é"}, content=""), TOOLS),
    "null_content": (one_call({"mode": "é"}, content=None), TOOLS),
    "no_arguments": ([ASK, turn(call("call00001", "now", {}), content=""), result("call00001", "now", "")], TOOLS),
    "nested_arguments": (one_call(NESTED), TOOLS),
    "numbers": (one_call(NUMBERS), TOOLS),
    "sliced": ([{"role": "user", "content": "é 日本 🙂 /no_think</think>é"},
                ANSWER | {"content": "<think>é</think>日本"}, NEXT], None),
    "parts": ([{"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]}], None),
}

VARIABLES = [
    {},
    {"enable_thinking": True, "thinking": True, "reasoning_effort": "high"},
    {"enable_thinking": False, "thinking": False, "reasoning_effort": "low", "add_generation_prompt": False},
]


class RenderMain:
    """Our engine, as a process."""

    def __init__(self):
        self.process = subprocess.Popen([RENDER_MAIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")

    def __call__(self, source, variables):
        job = {"template": source, "variables": variables, "constants": CONSTANTS}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0


@lru_cache
def templates_folder():
    if "KVERN_TEMPLATES" in os.environ:
        return Path(os.environ["KVERN_TEMPLATES"])
    if not RENDER_MAIN.is_file():
        return None
    return Path(subprocess.run([RENDER_MAIN, "--templates"], capture_output=True, text=True, check=True).stdout.strip())


def template_names():
    folder = templates_folder()
    return sorted(path.stem for path in folder.glob("*.jinja")) if folder and folder.is_dir() else []


@pytest.fixture(scope="module")
def render_ours():
    if not template_names():
        pytest.skip("there is no program or no template")
    ours = RenderMain()
    yield ours
    ours.end()


def render_reference(template, variables):
    try:
        return {"text": template.render(**variables, **CONSTANTS)}
    except Exception as e:  # a template fails with whatever Python raises inside of it
        return {"error": repr(e)}


def render_both(source, template, variables, ours):
    """Twice when they differ: the day may have changed between the two, and some templates write it."""
    for _ in range(2):
        pair = ours(source, variables), render_reference(template, variables)
        if pair[0] == pair[1]:
            break
    return pair


def is_exception(name, title):
    scopes = {title, "*", "tools" if CONVERSATIONS[title][1] else title}
    return any((name, scope) in EXCEPTIONS for scope in scopes)


def same(ours, reference):
    return ours == reference or ("error" in ours and "error" in reference)


def first_difference(ours, reference):
    if "error" in ours or "error" in reference:
        return f"ours {str(ours)[-200:]}, reference {str(reference)[-200:]}"
    a, b = ours["text"], reference["text"]
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"at {at}: ours {a[max(0, at - 60):at + 80]!r}, reference {b[max(0, at - 60):at + 80]!r}"


def test_there_are_templates_and_a_program_to_render_them():
    if not RENDER_MAIN.is_file():
        pytest.skip(f"there is no {RENDER_MAIN}: build it, or name one with KVERN_RENDER_MAIN")
    if not template_names():
        pytest.skip(f"there are no templates in {templates_folder()}")
    assert len(template_names()) > 50


@pytest.mark.parametrize("name", template_names())
def test_a_template_renders_as_with_python(name, render_ours):
    source = (templates_folder() / f"{name}.jinja").read_text(encoding="utf-8")
    template = make_environment(name).from_string(source)
    differences = []
    for title, (messages, tools) in CONVERSATIONS.items():
        if is_exception(name, title):
            continue
        for extra in VARIABLES:
            variables = {"messages": messages, "tools": tools, "add_generation_prompt": True} | extra
            ours, reference = render_both(source, template, variables, render_ours)
            if not same(ours, reference):
                differences.append(f"{title} {extra}: {first_difference(ours, reference)}")
    assert not differences, "\n".join(differences)


def test_every_exception_is_needed(render_ours):
    """An exception for a template that is gone, or renders alike by now, hides the next difference."""
    needed = set()
    for name, scope in EXCEPTIONS:
        source = (templates_folder() / f"{name}.jinja").read_text(encoding="utf-8")
        template = make_environment(name).from_string(source)
        for title, (messages, tools) in CONVERSATIONS.items():
            if scope in (title, "*") or (scope == "tools" and tools):
                variables = {"messages": messages, "tools": tools, "add_generation_prompt": True}
                if not same(*render_both(source, template, variables, render_ours)):
                    needed.add((name, scope))
    assert needed == set(EXCEPTIONS)
