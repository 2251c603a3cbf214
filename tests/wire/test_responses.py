"""/v1/responses over a bare socket: events, whole answers, what is stored, errors, clients that leave."""

import json
import random

import pytest

from responses_client import (body, cached, call_text, calls_of, create, events, function_tool, held, output, plain, stream,
                              text_of, thought, user, TEMPLATE)
from server import wait_until

READ = function_tool("read", {"path": {"type": "string"}})
SAYS = {
    "words": "Hello! 👋 \"quoted\"\n",
    "nothing": "",
    "think": thought("Hm, a 🦊.", "Yes."),
    "call": call_text("read", path='a "b".txt'),
    "both": "I look.\n" + call_text("read", path="a") + "\n" + call_text("read", path="b"),
    "everything": thought("First I read.", "I look.\n" + call_text("read", path="a")),
}
RULES = [{"when": f"{name}$", "say": say} for name, say in SAYS.items()] + [{"when": "long", "say": "word " * 400}, "Plain."]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("template") / "template.jinja"
    path.write_text(TEMPLATE)
    return str(path)


@pytest.fixture(scope="module")
def server(serve, fake, template):
    return serve("--chat-template", template, model=fake(*RULES, dialect="hermes", context=20_000))


@pytest.mark.parametrize("name", SAYS)
@pytest.mark.parametrize("limit", [None, 1, 9, 30, 60])
def test_an_unstreamed_answer_is_the_collected_stream(server, name, limit):
    fields = {"tools": [READ], "include": ["reasoning.encrypted_content"]} | ({"max_output_tokens": limit} if limit else {})
    whole = create(server, name, **fields)
    assert plain(stream(server, name, **fields)) == plain(whole)
    assert whole["status"] == ("incomplete" if whole["incomplete_details"] else "completed")


def test_a_turn_is_reasoning_message_and_call(server):
    found = events(server, "everything", tools=[READ])
    response = found[-1]["response"]
    assert [item["type"] for item in response["output"]] == ["reasoning", "message", "function_call"]
    reasoning, message, call = response["output"]
    assert reasoning["summary"] == [] and reasoning["content"] == [{"type": "reasoning_text", "text": "First I read."}]
    assert message["role"] == "assistant" and message["content"][0]["annotations"] == []
    assert text_of(response).strip() == "I look."
    assert call["name"] == "read" and json.loads(call["arguments"]) == {"path": "a"} and "namespace" not in call
    kinds = [event["type"].removeprefix("response.") for event in found if not event["type"].endswith("delta")]
    assert kinds == ["created", "in_progress",
                     "output_item.added", "content_part.added", "reasoning_text.done", "content_part.done", "output_item.done",
                     "output_item.added", "content_part.added", "output_text.done", "content_part.done", "output_item.done",
                     "output_item.added", "function_call_arguments.done", "output_item.done", "completed"]


def test_a_response_has_every_field_its_types_require(server):
    fields = {"instructions": "Be brief.", "metadata": {"a": "b"}, "max_output_tokens": 90, "top_p": 0.5, "user": "me",
              "reasoning": {"effort": "low", "summary": "auto"}, "text": {"verbosity": "low"}, "truncation": "auto",
              "max_tool_calls": 3, "service_tier": "auto", "safety_identifier": "x", "client_metadata": {"n": 1}}
    response = create(server, "words", tools=[READ], **fields)
    assert response["object"] == "response" and response["id"].startswith("resp_") and response["created_at"] > 1.7e9
    assert (response["status"], response["error"], response["incomplete_details"]) == ("completed", None, None)
    assert (response["instructions"], response["metadata"], response["max_output_tokens"]) == ("Be brief.", {"a": "b"}, 90)
    assert (response["temperature"], response["top_p"], response["model"]) == (0, 0.5, "fake")
    assert response["reasoning"] == {"effort": "low", "summary": "auto"}
    assert response["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert response["tools"] == [READ] and response["tool_choice"] == "auto" and response["parallel_tool_calls"] is True
    assert response["truncation"] == "disabled" and response["store"] is True and response["previous_response_id"] is None


def test_usage_counts_what_was_reused_and_what_was_thought(server):
    first = create(server, "think")
    usage = first["usage"]
    assert usage["output_tokens"] == len(SAYS["think"].encode()) + 1
    assert len("Hm, a 🦊.".encode()) <= usage["output_tokens_details"]["reasoning_tokens"] < len(SAYS["think"].encode())
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    again = create(server, "think")
    assert cached(again) == again["usage"]["input_tokens"] - 1 and again["usage"]["kvern"]["why"] == "end"
    assert create(server, "words")["usage"]["output_tokens_details"]["reasoning_tokens"] == 0


def test_a_warm_up_may_ask_nothing(server):
    response = create(server, "", max_output_tokens=1)
    assert response["status"] == "incomplete" and response["incomplete_details"] == {"reason": "max_output_tokens"}


def test_a_cut_call_is_incomplete(server):
    found = events(server, "call", tools=[READ], max_output_tokens=50)
    response = found[-1]["response"]
    assert found[-1]["type"] == "response.incomplete" and response["status"] == "incomplete"
    [call] = calls_of(response)
    assert call["status"] == "incomplete" and call["arguments"]


def test_the_next_turn_of_a_stored_response_computes_only_what_is_new(server):
    first = create(server, [user("everything")], tools=[READ])
    [call] = calls_of(first)
    second = create(server, [output(call, "42")], previous_response_id=first["id"], tools=[READ])
    assert cached(second) == held(first) and second["previous_response_id"] == first["id"]
    third = stream(server, "words", previous_response_id=second["id"], tools=[READ])
    assert cached(third) == held(second)
    listed = server.http.get(f"/v1/responses/{third['id']}/input_items?order=asc&limit=50").json()
    kinds = [item["type"] for item in listed["data"]]
    assert kinds == ["message", "reasoning", "message", "function_call", "function_call_output", "message", "message"]
    assert listed["has_more"] is False and listed["first_id"] == listed["data"][0]["id"]
    assert all(item["id"] for item in listed["data"])


def test_input_items_come_in_pages(server):
    response = create(server, [user(f"item {i}") for i in range(5)])
    path = f"/v1/responses/{response['id']}/input_items"
    texts = []
    after = ""
    while True:
        page = server.http.get(f"{path}?limit=2{after}").json()
        texts += [item["content"][0]["text"] for item in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert texts == [f"item {i}" for i in (4, 3, 2, 1, 0)]
    for query, field in (("limit=0", "limit"), ("limit=x", "limit"), ("order=up", "order"), ("after=none", "after")):
        refused = server.http.get(f"{path}?{query}")
        assert refused.status_code == 400 and refused.json()["error"]["param"] == field


def test_a_stored_response_is_found_and_deleted(server):
    response = create(server, "words")
    path = f"/v1/responses/{response['id']}"
    assert server.http.get(path).json() == response
    assert server.http.get(f"{path}?stream=true").json()["error"]["param"] == "stream"
    assert server.http.post(f"{path}/cancel").status_code == 400
    assert server.http.delete(path).json() == {"id": response["id"], "object": "response", "deleted": True}
    for gone in (server.http.get(path), server.http.delete(path), server.http.get(f"{path}/input_items"),
                 server.http.post(f"{path}/cancel")):
        assert gone.status_code == 404 and response["id"] in gone.json()["error"]["message"]
    error = create(server, "words", status=400, previous_response_id=response["id"])
    assert error["code"] == "previous_response_not_found" and error["param"] == "previous_response_id"


def test_what_is_not_to_be_stored_is_not(server):
    response = create(server, "words", store=False)
    assert server.http.get(f"/v1/responses/{response['id']}").status_code == 404


def test_a_stored_response_is_its_keys_alone(serve, fake):
    server = serve("--api-key", "one", "--api-key", "two", model=fake("Plain."))
    one, two = ({"Authorization": f"Bearer {key}"} for key in ("one", "two"))
    response = server.post("/v1/responses", body("Hi"), headers=one).json()
    path = f"/v1/responses/{response['id']}"
    assert server.http.get(path).status_code == 401
    assert server.http.get(path, headers=two).status_code == 404 and server.http.delete(path, headers=two).status_code == 404
    refused = server.post("/v1/responses", body("Hi", previous_response_id=response["id"]), headers=two)
    assert refused.json()["error"]["code"] == "previous_response_not_found"
    assert server.http.get(path, headers=one).json() == response


def test_an_item_reference_is_the_stored_item(server):
    first = create(server, [user("By reference: everything")], tools=[READ])
    references = [{"type": "item_reference", "id": item["id"]} for item in first["output"]]
    [call] = calls_of(first)
    items = [user("By reference: everything"), *references, output(call, "42")]
    assert cached(create(server, items, tools=[READ])) == held(first)
    gone = {"type": "item_reference", "id": "msg_AAAAAAAAAAAAAAAAAAAAAAAA_0"}
    assert text_of(create(server, [gone, user("anything")])) == "Plain."


def test_tokens_are_counted_without_a_turn(server):
    items = [user("everything")]
    counted = server.post("/v1/responses/input_tokens", body(items, tools=[READ])).json()
    assert counted == {"object": "response.input_tokens",
                       "input_tokens": create(server, items, tools=[READ])["usage"]["input_tokens"]}


def test_a_compacted_conversation_goes_on_from_its_summary(serve, fake):
    server = serve(model=fake({"when": "shortened", "say": "We counted to 3."}, {"when": "replaced by this summary", "say": "no"},
                              "Plain."))
    items = [user("Count."), {"type": "message", "role": "assistant", "content": "1 2 3"}, user("On.")]
    compacted = server.post("/v1/responses/compact", {"model": "fake", "input": items}).json()
    assert compacted["object"] == "response.compaction" and compacted["usage"]["output_tokens"] > 0
    kinds = [(item["type"], item.get("role")) for item in compacted["output"]]
    assert kinds == [("message", "user"), ("message", "user"), ("compaction", None)]
    sealed = compacted["output"][-1]["encrypted_content"]
    assert sealed and "counted" not in sealed
    counted = [server.post("/v1/responses/input_tokens", body(given)).json()["input_tokens"] for given in
               (compacted["output"], compacted["output"][:-1])]
    # One byte is one token: the summary is in the prompt again.
    assert counted[0] - counted[1] >= len("We counted to 3.")
    foreign = {"type": "compaction", "encrypted_content": "gAAAAfromelsewhere"}
    assert text_of(create(server, [user("Count."), foreign, user("And?")])) == "Plain."


@pytest.mark.parametrize("fields, field", [
    ({"input": 5}, "input"), ({"input": [5]}, "input[0]"), ({"input": [{"role": "king", "content": ""}]}, "input[0].role"),
    ({"input": [{"role": "user", "content": 5}]}, "input[0].content"), ({"input": [{"role": "user"}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
    ({"input": []}, "input"), ({"input": None}, "input"), ({"tools": 1}, "tools"), ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tools": [{"type": "namespace", "name": "n"}]}, "tools[0].tools"), ({"tools": [READ, READ]}, "tools[1].name"),
    ({"tools": [{"type": "namespace", "name": "n", "tools": [READ, READ]}]}, "tools[0].tools[1].name"),
    ({"tool_choice": "maybe"}, "tool_choice"), ({"tool_choice": {"type": "function", "name": "x"}}, "tool_choice.name"),
    ({"tool_choice": {"type": "web_search"}}, "tool_choice.type"), ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"max_output_tokens": "many"}, "max_output_tokens"), ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
    ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"), ({"temperature": 9}, "temperature"),
    ({"reasoning": 5}, "reasoning"), ({"metadata": []}, "metadata"), ({"include": "all"}, "include"), ({"store": 1}, "store"),
    ({"stream": "yes"}, "stream"), ({"instructions": 5}, "instructions"), ({"conversation": "c"}, "conversation"),
    ({"prompt": {"id": "p"}}, "prompt"), ({"previous_response_id": "resp_x"}, "previous_response_id"),
    ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
])
def test_wrong_input_is_a_400_that_names_the_field(server, fields, field):
    error = server.post("/v1/responses", body("Hi") | fields)
    assert error.status_code == 400, error.text
    assert error.json()["error"]["param"] == field and error.json()["error"]["type"] == "invalid_request_error"


def test_a_prompt_that_does_not_fit_is_told_by_its_code(server):
    for text in ("x" * 19_999, "x" * 30_000):
        for streamed in (False, True):
            error = create(server, text, status=400, stream=streamed)
            assert error["code"] == "context_length_exceeded"


def test_who_leaves_costs_nothing_more_and_is_not_stored(serve, fake):
    server = serve(model=fake("word " * 400, tokens_per_second=200))
    with server.http.stream("POST", "/v1/responses", json=body("Hi", stream=True)) as response:
        lines = response.iter_lines()
        created = next(json.loads(line[6:]) for line in lines if line.startswith("data: "))
        wait_until(lambda: server.health()["running"] == 1, 5, "running")
    server.wait_until_idle(2)
    assert server.wait_for_log("request", finish="cancelled")
    assert server.http.get(f"/v1/responses/{created['response']['id']}").status_code == 404


RICH = {
    "model": "fake", "instructions": "i", "max_output_tokens": 1, "stream": False, "store": True, "include": ["reasoning.encrypted_content"],
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"}, "metadata": {"a": "b"}, "prompt_cache_key": "k", "parallel_tool_calls": True,
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f", "namespace": "n"}]},
    "tools": [READ, {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "regex", "definition": "a"}},
              {"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "function", "name": "f"}]},
              {"type": "tool_search", "execution": "client", "parameters": {"type": "object"}}, {"type": "local_shell"}],
    "input": [
        {"role": "developer", "content": "d"}, {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "u"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}], "content": [{"type": "reasoning_text", "text": "r"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "namespace": "n", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "c", "input": "a"},
        {"type": "local_shell_call", "call_id": "c3", "action": {"type": "exec", "command": ["ls"], "env": {}}},
        {"type": "tool_search_call", "call_id": "c4", "arguments": {"q": 1}},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "o"}]},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "o"},
        {"type": "local_shell_call_output", "id": "c3", "output": "o"},
        {"type": "tool_search_output", "call_id": "c4", "tools": [READ]},
        {"type": "additional_tools", "role": "developer", "tools": [READ]},
        {"type": "compaction", "encrypted_content": "kvern1.YQ"}, {"type": "item_reference", "id": "msg_1"},
    ],
}
ODD = [None, 0, -1, 1.5, True, "", "x", [], {}, [None], [[]], {"type": "function"}, {"type": None}, "🦊", "a" * 300]


def spoiled(value, rng):
    """One value somewhere inside replaced, removed or doubled."""
    value = json.loads(json.dumps(value))
    place = value
    while True:
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if isinstance(inner, (dict, list)) and inner and rng.random() < 0.8:
            place = inner
            continue
        if rng.random() < 0.2:
            del place[key]
        else:
            place[key] = rng.choice([*ODD, [inner, inner]])
        return value


def test_a_spoiled_request_is_answered_or_refused_but_never_a_500(server):
    rng = random.Random(11)
    assert server.post("/v1/responses", RICH).status_code == 200
    seen = set()
    for _ in range(400):
        bad = spoiled(RICH, rng)
        for path in ("", "/input_tokens"):
            response = server.post(f"/v1/responses{path}", bad)
            seen.add(response.status_code)
            assert response.status_code in (200, 400), (response.text, bad)
            if response.status_code == 400:
                assert response.json()["error"]["message"], bad
    assert seen == {200, 400}
