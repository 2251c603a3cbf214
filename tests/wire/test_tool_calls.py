"""Whatever the model wants to say, a call that comes out is valid, in every dialect listed here."""

import json

import jsonschema
import pytest

from server import called, function

READ = function("read_file", {"path": {"type": "string"}, "limit": {"type": "integer"}}, required=["path"])
PLAN = function("update_plan", {
    "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
    "priority": {"type": "integer", "minimum": 1, "maximum": 5},
    "steps": {"type": "array", "items": {"type": "object", "properties": {"title": {"type": "string"}, "done": {"type": "boolean"}},
                                         "required": ["title", "done"], "additionalProperties": False}, "minItems": 1},
    "owner": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    "kind": {"const": "plan"},
}, additionalProperties=False)
REFS = function("set_point", {"from": {"$ref": "#/$defs/point"}, "to": {"$ref": "#/$defs/point"}}, **{
    "$defs": {"point": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
                        "required": ["x", "y"], "additionalProperties": False}}})
TOOLS = [READ, PLAN, REFS]
SCHEMAS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}


def hermes(name, arguments):
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def qwen(name, **parameters):
    tags = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in parameters.items())
    return f"<tool_call>\n<function={name}>\n{tags}</function>\n</tool_call>"


PLAN_STEPS = '[{"title": "a", "done": true}, {"title": "b", "done": false}]'
# What the model wants to write, and the arguments a client must get.
VALID = {
    "string_and_integer": ("read_file", {"path": "src/main.cc", "limit": 20}),
    "a_number_as_string": ("read_file", {"path": "42"}),
    "hard_string": ("read_file", {"path": 'a "b" \\n\\ <c> & ü 🦊\nline 2\n\tline 3 </param> {}'}),
    "nested": ("update_plan", {"status": "pending", "priority": 5, "steps": json.loads(PLAN_STEPS), "owner": None, "kind": "plan"}),
    "refs": ("set_point", {"from": {"x": 1, "y": -2.5}, "to": {"x": 1e3, "y": 0}}),
}
# Calls no schema above allows.
INVALID = {
    "hermes": {
        "unknown_tool": hermes("delete_everything", '{"path": "/"}'),
        "wrong_type": hermes("read_file", '{"path": 5, "limit": "many"}'),
        "missing_required": hermes("read_file", '{"limit": 5}'),
        "not_in_enum": hermes("update_plan", '{"status": "maybe", "priority": 9, "steps": [], "owner": "me", "kind": "?"}'),
        "extra_key": hermes("set_point", '{"from": {"x": 1, "y": 2, "z": 3}, "to": {}}'),
        "no_json": hermes("read_file", "path = a.cc"),
        "never_closed": '<tool_call>\n{"name": "read_file", "arguments": {"path": "a.cc"',
        "python": "<tool_call>\nread_file('a.cc')\n</tool_call>",
    },
    "qwen3-coder": {
        "unknown_tool": qwen("delete_everything", path="/"),
        "wrong_type": qwen("read_file", path="a.cc", limit="many"),
        "missing_required": qwen("read_file", limit="5"),
        "not_in_enum": qwen("update_plan", status="maybe", priority="9", steps="none", owner="me", kind="?"),
        "extra_key": qwen("set_point", **{"from": '{"x": 1, "y": 2, "z": 3}', "to": "{}"}),
        "no_tags": "<tool_call>\n<function=read_file>\npath = a.cc\n</function>\n</tool_call>",
        "never_closed": "<tool_call>\n<function=read_file>\n<parameter=path>\na.cc",
        "python": "<tool_call>\nread_file('a.cc')\n</tool_call>",
    },
}


def hermes_call(name, arguments):
    return hermes(name, json.dumps(arguments, ensure_ascii=False))


def qwen_call(name, arguments):
    return qwen(name, **{key: value if isinstance(value, str) else json.dumps(value) for key, value in arguments.items()})


# How a model of each dialect writes a call, by the name its script gives. Other files take them from here.
WRITERS = {"hermes": hermes_call, "qwen3-coder": qwen_call}
DIALECTS = list(WRITERS)


def written(dialect, name, arguments):
    return WRITERS[dialect](name, arguments)


@pytest.fixture(scope="module", params=DIALECTS)
def server(serve, fake, request):
    rules = [{"when": f"^{name}$", "say": written(request.param, *call)} for name, call in VALID.items()]
    rules += [{"when": f"^{name}$", "say": say} for name, say in INVALID[request.param].items()]
    rules += [{"when": "^empty_call$", "say": written(request.param, "get_time", {})}]
    server = serve(model=fake(*rules, "Plain words, no call.", dialect=request.param))
    server.dialect = request.param
    return server


def check(choice, schemas=SCHEMAS):
    assert choice["finish_reason"] == "tool_calls"
    calls = called(choice["message"])
    assert calls
    for name, arguments in calls:
        jsonschema.validate(arguments, schemas[name])
    return calls


def test_the_dialect_is_the_one_the_script_names(server):
    assert server.ready["dialect"] == server.dialect


@pytest.mark.parametrize("choice", ["auto", "required"])
@pytest.mark.parametrize("name", VALID)
def test_a_valid_call_comes_through_unchanged(server, name, choice):
    answer = server.chat(name, tools=TOOLS, tool_choice=choice)
    assert check(answer["choices"][0]) == [VALID[name]]
    # Nothing was forced: every token is the model's own, and the end.
    assert answer["usage"]["completion_tokens"] == len(written(server.dialect, *VALID[name]).encode()) + 1


@pytest.mark.parametrize("choice", ["auto", "required"])
@pytest.mark.parametrize("name", ["unknown_tool", "wrong_type", "missing_required", "not_in_enum", "extra_key", "never_closed", "python"])
def test_an_invalid_call_is_forced_to_be_valid(server, name, choice):
    check(server.chat(name, tools=TOOLS, tool_choice=choice, max_tokens=2000)["choices"][0])


def test_arguments_in_the_wrong_form_are_forced_to_be_valid(server):
    name = "no_json" if server.dialect == "hermes" else "no_tags"
    [(tool, _)] = check(server.chat(name, tools=TOOLS, max_tokens=2000)["choices"][0])
    assert tool == "read_file"


@pytest.mark.parametrize("tool", SCHEMAS)
def test_plain_words_become_the_named_call(server, tool):
    named = {"type": "function", "function": {"name": tool}}
    [(name, _)] = check(server.chat("say something", tools=TOOLS, tool_choice=named, max_tokens=2000)["choices"][0])
    assert name == tool


def test_plain_words_become_some_call_when_one_is_required(server):
    answer = server.chat("say something", tools=TOOLS, tool_choice="required", max_tokens=2000)["choices"][0]
    check(answer)
    assert not answer["message"]["content"]


def test_plain_words_stay_words_under_auto(server):
    [choice] = server.chat("say something", tools=TOOLS)["choices"]
    assert choice["message"]["content"] == "Plain words, no call." and choice["finish_reason"] == "stop"


def test_a_tool_without_parameters_is_called_with_an_empty_object(server):
    bare = {"type": "function", "function": {"name": "get_time"}}
    for tools in ([bare], [function("get_time", {})]):
        [choice] = server.chat("empty_call", tools=tools)["choices"]
        assert called(choice["message"]) == [("get_time", {})]


def test_functions_of_the_old_api_are_tools(server):
    functions = [tool["function"] for tool in TOOLS]
    [choice] = server.chat("string_and_integer", functions=functions)["choices"]
    assert called(choice["message"]) == [VALID["string_and_integer"]]


# A file a tool has read may hold anything, also what ends a turn.
def test_control_tokens_inside_a_message_are_text(server):
    marker = "<|im_end|>"
    assert len(server.prompt(f"a{marker}b")) + len(marker) - 1 == server.chat(f"a{marker}b")["usage"]["prompt_tokens"]
