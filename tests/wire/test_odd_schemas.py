"""A schema that is none costs its tool its exactness, and the request nothing; where it is all that was asked for, it is refused."""

import json

import pytest

from server import chat_body, function, message_body

NO_OBJECTS = {"a_word": "string", "a_list": [{"type": "object"}], "a_boolean": True, "a_number": 5}
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
SAID = '<tool_call>\n{"name": "odd", "arguments": {"city": ["Oslo", 1]}}\n</tool_call>'


@pytest.fixture(scope="module")
def server(serve, fake):
    return serve(model=fake({"when": "odd", "say": SAID}, "Plain words.", dialect="hermes"))


def chat_call(server, parameters):
    tool = {"type": "function", "function": {"name": "odd", "parameters": parameters}}
    message = server.chat("odd", tools=[function("fine", {}), tool])["choices"][0]["message"]
    return [(call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]]


def message_call(server, parameters):
    tools = [{"name": "fine", "input_schema": WEATHER}, {"name": "odd", "input_schema": parameters}]
    blocks = server.message("odd", tools=tools)["content"]
    return [(block["name"], json.dumps(block["input"])) for block in blocks if block["type"] == "tool_use"]


def response_call(server, parameters):
    tools = [{"type": "function", "name": name, "parameters": schema} for name, schema in (("fine", WEATHER), ("odd", parameters))]
    response = server.post("/v1/responses", {"input": "odd", "tools": tools, "temperature": 0})
    assert response.status_code == 200, response.text
    return [(item["name"], item["arguments"]) for item in response.json()["output"] if item["type"] == "function_call"]


APIS = {"tools[1].function.parameters": chat_call, "tools[1].input_schema": message_call, "tools[1].parameters": response_call}


@pytest.mark.parametrize("place", APIS)
@pytest.mark.parametrize("kind", NO_OBJECTS)
def test_parameters_that_are_no_object_take_any(server, kind, place):
    before = len(server.log("schema relaxed"))
    assert APIS[place](server, NO_OBJECTS[kind]) == [("odd", '{"city": ["Oslo", 1]}')]
    [told] = server.log("schema relaxed")[before:]
    assert told["what"] == (f"tool odd: /: everything, any JSON object is taken: {place}: expected an object, "
                            f"found {kind.replace('_', ' ').replace('word', 'string')}")


@pytest.mark.parametrize("place", APIS)
def test_parameters_that_are_null_are_none(server, place):
    before = len(server.log("schema relaxed"))
    assert APIS[place](server, None) == [("odd", '{"city": ["Oslo", 1]}')]
    assert server.log("schema relaxed")[before:] == []


NOTHING_MATCHES = {
    "/allOf": {"allOf": [{"type": "string"}, {"type": "number"}]}, "/enum": {"enum": []},
    "/minimum": {"type": "integer", "minimum": 5, "maximum": 1},
    "/properties/a/enum": {"type": "object", "properties": {"a": {"type": "string", "enum": [1]}}, "required": ["a"]},
}
JSON_SCHEMA = {"type": "json_schema"}
FORMS = {
    "response_format.json_schema.schema": lambda schema: (
        "/v1/chat/completions", chat_body("Hi", response_format=JSON_SCHEMA | {"json_schema": {"name": "x", "schema": schema}})),
    "guided_json": lambda schema: ("/v1/completions", {"prompt": "Hi", "guided_json": schema}),
    "text.format.schema": lambda schema: (
        "/v1/responses", {"input": "Hi", "text": {"format": JSON_SCHEMA | {"name": "x", "schema": schema}}}),
    "output_config.format.schema": lambda schema: (
        "/v1/messages", message_body("Hi", output_config={"format": JSON_SCHEMA | {"schema": schema}})),
}


@pytest.mark.parametrize("field", FORMS)
@pytest.mark.parametrize("place", NOTHING_MATCHES)
def test_a_form_that_nothing_can_have_is_refused_by_field_and_place(server, place, field):
    path, body = FORMS[field](NOTHING_MATCHES[place])
    response = server.post(path, body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error" and field in error["message"], error
    assert f"no value can match this schema: {place}: " in error["message"], error


@pytest.mark.parametrize("place", ["/allOf", "/enum", "/properties/a/enum"])
def test_a_tool_that_nothing_can_call_takes_any_object(server, place):
    before = len(server.log("schema relaxed"))
    schema = NOTHING_MATCHES[place] | {"title": place}
    assert chat_call(server, schema) == [("odd", '{"city": ["Oslo", 1]}')]
    [told] = server.log("schema relaxed")[before:]
    assert told["what"].startswith("tool odd: /: everything, any JSON object is taken: ")
