"""An answer has the form that was asked for, in every spelling, and a form that is none is refused by name."""

import json
import re

import jsonschema
import pytest

from server import chat_body, function, joined

PERSON = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
          "required": ["name", "age"], "additionalProperties": False}
LARK = 'start: "yes" | "no" (" " /[a-z]{2,5}/)?\n'
GBNF = 'root ::= ("yes" | "no") " sir"?\n'
ADA = '{"name": "Ada", "age": 36}'


@pytest.fixture(scope="module")
def server(serve, fake):
    return serve(model=fake({"when": "Ada", "say": ADA}, {"when": "agree", "say": "yes"}, "Plain words.", dialect="hermes"))


SCHEMAS = [
    {"response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}},
    {"response_format": {"type": "json_object", "schema": PERSON}},
    {"json_schema": PERSON}, {"guided_json": PERSON}, {"guided_json": json.dumps(PERSON)},
    {"structured_outputs": {"json": PERSON}},
]
RULES = [
    ({"guided_choice": ["yes", "no"]}, r"yes|no"), ({"structured_outputs": {"choice": ["yes", "no"]}}, r"yes|no"),
    ({"guided_regex": "yes( sir)?|no"}, r"yes( sir)?|no"), ({"regex": "[0-9]{3}|yes"}, r"[0-9]{3}|yes"),
    ({"structured_outputs": {"regex": "yes|[0-9]{1,9}x"}}, r"yes|[0-9]{1,9}x"),
    ({"guided_grammar": LARK}, r"yes|no( [a-z]{2,5})?"), ({"guided_grammar": GBNF}, r"(yes|no)( sir)?"),
    ({"structured_outputs": {"grammar": GBNF}}, r"(yes|no)( sir)?"),
    ({"ebnf": GBNF}, r"(yes|no)( sir)?"), ({"grammar": GBNF}, r"(yes|no)( sir)?"),
]


def key(fields):
    [(name, value)] = fields.items()
    return f"{name}.{next(iter(value))}" if isinstance(value, dict) and name in ("structured_outputs", "response_format") else name


@pytest.mark.parametrize("wish", ["Ada", "hello"])
@pytest.mark.parametrize("fields", SCHEMAS, ids=key)
def test_an_answer_obeys_the_schema(server, fields, wish):
    [choice] = server.chat(wish, max_tokens=500, **fields)["choices"]
    jsonschema.validate(json.loads(choice["message"]["content"]), PERSON)
    if wish == "Ada":
        assert choice["message"]["content"] == ADA, "what the model wanted was allowed"
    text = server.post("/v1/completions", {"prompt": wish, "temperature": 0, "max_tokens": 500} | fields).json()["choices"][0]["text"]
    jsonschema.validate(json.loads(text), PERSON)


@pytest.mark.parametrize("wish", ["agree", "hello"])
@pytest.mark.parametrize("fields, pattern", RULES, ids=lambda value: key(value) if isinstance(value, dict) else "")
def test_an_answer_obeys_the_rule(server, fields, pattern, wish):
    [choice] = server.chat(wish, max_tokens=500, **fields)["choices"]
    assert re.fullmatch(pattern, choice["message"]["content"]) and choice["finish_reason"] == "stop"
    if wish == "agree":
        assert choice["message"]["content"] == "yes"
    [streamed] = joined(server.stream(wish, max_tokens=500, **fields))
    assert streamed["message"]["content"] == choice["message"]["content"]
    text = server.post("/v1/completions", {"prompt": wish, "temperature": 0, "max_tokens": 500} | fields).json()["choices"][0]["text"]
    assert re.fullmatch(pattern, text)


def test_whitespace_is_as_asked_for(server):
    [choice] = server.chat("hello", guided_json=PERSON, guided_whitespace_pattern="", max_tokens=500)["choices"]
    jsonschema.validate(json.loads(choice["message"]["content"]), PERSON)
    [choice] = server.chat("hello", guided_json=PERSON, guided_whitespace_pattern=r"\n?", max_tokens=500)["choices"]
    jsonschema.validate(json.loads(choice["message"]["content"]), PERSON)
    assert " " not in re.sub(r'"[^"]*"', "", choice["message"]["content"])


def test_tools_and_a_format_go_together(server):
    tool = function("get_time", {})
    [choice] = server.chat("agree", tools=[tool], guided_choice=["yes", "no"])["choices"]
    assert choice["message"]["content"] == "yes"
    [choice] = server.chat("agree", tools=[tool], tool_choice="required", guided_choice=["yes", "no"], max_tokens=500)["choices"]
    assert choice["finish_reason"] == "tool_calls"


REFUSED = [
    ({"guided_regex": "(a"}, "guided_regex"), ({"regex": "(a"}, "regex"),
    ({"structured_outputs": {"regex": "(a"}}, "structured_outputs.regex"),
    ({"guided_grammar": "start: nothing"}, "guided_grammar"), ({"ebnf": 'root ::= nothing'}, "ebnf"),
    ({"grammar": "no grammar"}, "grammar"), ({"structured_outputs": {"grammar": "start: ("}}, "structured_outputs.grammar"),
    ({"guided_json": {"type": "nothing"}}, "guided_json"), ({"json_schema": {"type": 5}}, "json_schema"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": 5}}}}, "response_format.json_schema.schema"),
    ({"response_format": {"type": "json_object"}, "guided_choice": ["a"]}, "guided_choice"),
]


@pytest.mark.parametrize("fields, param", REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_a_form_that_is_none_is_refused_by_name(server, fields, param):
    for path, body in (("/v1/chat/completions", chat_body("Hi")), ("/v1/completions", {"prompt": "Hi"})):
        response = server.post(path, body | fields)
        assert response.status_code == 400, response.text
        error = response.json()["error"]
        assert error["param"] == param and error["type"] == "invalid_request_error", error


def test_two_forms_are_refused_by_both_names(server):
    message = server.post("/v1/chat/completions", chat_body("Hi", guided_json=PERSON, regex="a")).json()["error"]["message"]
    assert "guided_json" in message and "regex" in message
