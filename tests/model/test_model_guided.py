"""Guided answers of a wild model: a JSON value, one of some choices, a regular expression, a grammar.

The answer is what was asked for whenever the model ended it, in each spelling that clients know.
"""

import json
import re

import pytest

pytestmark = pytest.mark.model

SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12},
                                           "age": {"type": "integer", "minimum": 0, "maximum": 150}},
          "required": ["name", "age"], "additionalProperties": False}
LARK = 'start: "add " NUMBER (" and " NUMBER)?\nNUMBER: /[0-9]{1,3}/'
GBNF = 'root ::= verb " " [a-z]{2,6}\nverb ::= "open" | "close"'


@pytest.fixture(scope="module")
def server(serve_model):
    return serve_model("--parallel", "4")


def answers(server, path="/v1/chat/completions", seeds=3, **fields):
    """The texts a wild model ended by itself."""
    texts = []
    for seed in range(seeds):
        body = {"messages": [{"role": "user", "content": "Give me an answer."}]} if "chat" in path else {"prompt": "An answer:"}
        response = server.post(path, body | {"temperature": 1.5, "seed": seed, "max_tokens": 100} | fields)
        assert response.status_code == 200, response.text
        [choice] = response.json()["choices"]
        if choice["finish_reason"] == "stop":
            texts.append(choice["text"] if "text" in choice else choice["message"]["content"])
    assert texts, "none came to an end"
    return texts


def is_person(text):
    value = json.loads(text)
    return list(value) == ["name", "age"] and len(value["name"]) <= 12 and value["age"] in range(151)


def is_like(pattern):
    return lambda text: re.fullmatch(pattern, text)


ADDITION, ORDER = is_like(r"add \d{1,3}( and \d{1,3})*"), is_like("(open|close) [a-z]{2,6}")
WAYS = {
    "response_format": ({"response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": SCHEMA}}}, is_person),
    "guided_json": ({"guided_json": SCHEMA}, is_person),
    "guided_json_text": ({"guided_json": json.dumps(SCHEMA)}, is_person),
    "structured_outputs_json": ({"structured_outputs": {"json": SCHEMA}}, is_person),
    "json_schema": ({"json_schema": SCHEMA}, is_person),
    "whitespace": ({"guided_json": SCHEMA, "guided_whitespace_pattern": "[ ]?"}, is_person),
    "guided_choice": ({"guided_choice": ["yes", "no", "perhaps \"so\""]}, is_like('yes|no|perhaps "so"')),
    "structured_outputs_choice": ({"structured_outputs": {"choice": ["ä", "ö"]}}, is_like("ä|ö")),
    "guided_regex": ({"guided_regex": "[a-z]{3}-[0-9]{2}"}, is_like("[a-z]{3}-[0-9]{2}")),
    "regex": ({"regex": "(foo|bar){1,3}!"}, is_like("(foo|bar){1,3}!")),
    "guided_grammar_lark": ({"guided_grammar": LARK}, ADDITION),
    "guided_grammar_gbnf": ({"guided_grammar": GBNF}, ORDER),
    "grammar": ({"grammar": GBNF}, ORDER),
    "ebnf": ({"ebnf": GBNF}, ORDER),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_guided_answer_is_what_was_asked_for(server, way):
    fields, fits = WAYS[way]
    for text in answers(server, **fields):
        assert fits(text), text


@pytest.mark.parametrize("way", ["guided_json", "guided_choice", "guided_regex", "guided_grammar_lark"])
def test_text_completions_are_guided_too(server, way):
    fields, fits = WAYS[way]
    for text in answers(server, "/v1/completions", **fields):
        assert fits(text), text


@pytest.mark.parametrize("fields", [{"guided_json": {"type": 5}}, {"guided_regex": "(unclosed"}, {"guided_choice": []},
                                    {"guided_grammar": 'start: "unclosed'}, {"grammar": "root ::= missing"}], ids=str)
def test_what_is_no_rule_is_refused_and_named(server, fields):
    response = server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "?"}], "max_tokens": 1} | fields)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"].split(".")[0].split("[")[0] in fields
