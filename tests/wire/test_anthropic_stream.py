"""The event stream itself, as Claude Code reads it: order, pings, errors, thinking."""

import json
import time

import pytest

from server import ROOT, message_body, read_events
from test_tool_calls import written

USER = [{"role": "user", "content": "Hi"}]
READ = {"name": "read_file", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}
THOUGHTS = f"<think>\nTwo files.\n</think>\n\nI read both.\n{written('hermes', 'read_file', {'path': 'a'})}\n{written('hermes', 'read_file', {'path': 'b'})}"


@pytest.fixture(scope="module")
def server(serve, fake):
    return serve(model=fake({"when": "tool_response", "say": "<think>\nhm\n</think>\n\nBoth are there."}, {"when": "both", "say": THOUGHTS},
                            "Hello.", dialect="hermes", template=str(ROOT / "tests/templates/tools.jinja"), context=4096))


def kinds(events):
    """Without repeats: a block has as many deltas as the model had tokens."""
    names = [e["type"] if e["type"] != "content_block_delta" else e["delta"]["type"] for e in events]
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]


def test_thinking_text_and_calls_come_strictly_one_after_another(server):
    events = server.message_events("both", tools=[READ], thinking={"type": "adaptive", "display": "omitted"})
    call = ["content_block_start", "input_json_delta", "content_block_stop"]
    assert kinds(events) == ["message_start", "content_block_start", "thinking_delta", "signature_delta", "content_block_stop",
                             "content_block_start", "text_delta", "content_block_stop", *call, *call, "message_delta", "message_stop"]
    indices = [e["index"] for e in events if e["type"].startswith("content_block")]
    assert indices == sorted(indices) and set(indices) == {0, 1, 2, 3}
    starts = [e["content_block"] for e in events if e["type"] == "content_block_start"]
    assert starts[0] == {"type": "thinking", "thinking": "", "signature": ""} and starts[1] == {"type": "text", "text": ""}
    assert [(s["type"], s["name"], s["input"]) for s in starts[2:]] == [("tool_use", "read_file", {})] * 2
    [signature] = [e["delta"]["signature"] for e in events if e.get("delta", {}).get("type") == "signature_delta"]
    assert signature
    assert events[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}


def test_the_first_event_has_a_usage_of_zeros_and_the_last_the_real_one(server):
    events = server.message_events("How many are there?")
    assert events[0]["message"]["usage"] == {"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}
    assert events[0]["message"]["content"] == [] and events[0]["message"]["stop_reason"] is None
    usage = events[-2]["usage"]
    assert usage["input_tokens"] + usage["cache_read_input_tokens"] == server.count_tokens("How many are there?")
    assert usage["output_tokens"] == len("Hello.") + 1


def test_thinking_that_comes_back_is_no_new_text(server):
    """With or without its signature, and whatever display said."""
    fields = {"tools": [READ], "thinking": {"type": "adaptive"}}
    first = server.message("both", **fields)
    results = [{"type": "tool_result", "tool_use_id": b["id"], "content": "text"} for b in first["content"] if b["type"] == "tool_use"]
    content = [{k: v for k, v in block.items() if k != "signature"} for block in first["content"]]
    history = [{"role": "user", "content": "both"}, {"role": "assistant", "content": content}, {"role": "user", "content": results}]
    second = server.message(history, **fields)
    usage = first["usage"]
    held = usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["output_tokens"] - 1
    assert second["usage"]["cache_read_input_tokens"] == held
    assert [block["type"] for block in second["content"]] == ["thinking", "text"]


@pytest.mark.parametrize("thinking", [None, {"type": "disabled"}], ids=["unsaid", "disabled"])
def test_without_thinking_the_answer_begins_with_text(server, thinking):
    fields = {"thinking": thinking} if thinking else {}
    assert [block["type"] for block in server.message("Hi", **fields)["content"]] == ["text"]


def test_a_prompt_that_is_too_long_says_both_numbers(server):
    response = server.post("/v1/messages", message_body("x" * 5000, stream=True))
    assert response.status_code == 400 and response.headers["request-id"] == response.json()["request_id"]
    assert response.json()["error"]["type"] == "invalid_request_error"
    wording = f"prompt is too long: {server.count_tokens('x' * 5000)} tokens > 4095 maximum"  # Claude Code reads both
    assert response.json()["error"]["message"].startswith(wording)


@pytest.mark.parametrize("tokens", [32000, 128000, 2**31 - 1])
def test_more_tokens_than_the_context_has_are_no_error(server, tokens):
    assert server.message("x" * 3000, max_tokens=tokens)["stop_reason"] == "end_turn"


def test_an_answer_has_a_request_id_that_the_log_knows(server):
    with server.http.stream("POST", "/v1/messages", json=message_body("Hi", stream=True)) as response:
        events = read_events(response.iter_lines())
    assert response.headers["request-id"] == events[0]["message"]["id"].replace("msg_", "req_")
    assert server.wait_for_log("request", id=events[0]["message"]["id"])


WRONG = [
    ({"messages": []}, "messages: "), ({"messages": [{"role": "user"}]}, "messages[0].content: "), ({"max_tokens": "many"}, "max_tokens: "),
    ({"tools": [{"name": "a"}]}, "tools[0].input_schema: "), ({"tool_choice": {"type": "any"}}, "tool_choice.type: "),
    ({"tool_choice": "auto"}, "tool_choice: "), ({"thinking": {"type": "enabled", "budget_tokens": -5}}, "thinking.budget_tokens: "),
    ({"system": [{"type": "text"}]}, "system[0].text: "), ({"stream": "yes"}, "stream: "), ({"metadata": []}, "metadata: "),
]


@pytest.mark.parametrize("fields, message", WRONG, ids=[message for _, message in WRONG])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_a_wrong_field_is_named(server, path, fields, message):
    response = server.post(path, {"messages": USER} | fields)
    body = response.json()
    assert (response.status_code, body["type"], body["error"]["type"]) == (400, "error", "invalid_request_error")
    assert body["error"]["message"].startswith(message)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff{}", b"[" * 100_000],
                         ids=["empty", "cut", "list", "bytes", "deep"])
def test_a_body_that_is_no_json_object_is_refused_in_the_same_shape(server, body):
    response = server.http.post("/v1/messages", content=body)
    assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("method, path, status, kind", [
    ("GET", "/v1/messages", 405, "invalid_request_error"), ("POST", "/v1/messages/batches", 404, "not_found_error"),
    ("POST", "/v1/messages/count_tokens/", 404, "not_found_error")])
def test_other_paths_answer_in_the_same_shape(server, method, path, status, kind):
    response = server.http.request(method, path)
    assert (response.status_code, response.json()["type"], response.json()["error"]["type"]) == (status, "error", kind)


# Claude Code gives up a stream that says nothing for five minutes; its SDK knows pings and no comments.
def test_pings_come_while_a_long_prompt_is_computed(serve, fake):
    server = serve(model=fake("Done.", prefill_tokens_per_second=600))
    begin = time.monotonic()
    with server.http.stream("POST", "/v1/messages", json=message_body("p" * 6600, stream=True)) as response:
        lines = response.iter_lines()
        assert next(lines) == "event: message_start" and time.monotonic() - begin < 5
        events = read_events(["event: message_start", *lines])
    assert kinds(events)[:3] == ["message_start", "ping", "content_block_start"] and kinds(events)[-1] == "message_stop"


def test_a_body_of_any_shape_never_breaks_the_server(server):
    """Blocks of every documented type and some that are none, in every role."""
    types = ["image", "document", "search_result", "server_tool_use", "web_search_tool_result", "code_execution_tool_result", "container_upload",
             "mcp_tool_use", "mcp_tool_result", "compaction", "tool_reference", "tool_addition", "tool_removal", "redacted_thinking", "thinking", "x"]
    for role in ("user", "assistant", "system"):
        for extra in ({}, {"content": [{"type": "text", "text": "t"}]}, {"source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                      {"tool": {"type": "tool_reference", "name": "read_file"}}):
            messages = [*USER, {"role": role, "content": [{"type": kind} | extra for kind in types]}, *USER]
            response = server.post("/v1/messages", message_body(messages, tools=[READ], max_tokens=1))
            assert response.status_code == 200, (role, extra, response.text)
    assert json.loads(server.http.get("/health").text)["status"] == "ok"


def test_too_many_waiting_requests_are_told_that_the_server_is_overloaded(serve, fake):
    server = serve("--parallel", "1", model=fake("Hello.", tokens_per_second=1))
    data = json.dumps(message_body("Hi")).encode()
    socks = [server.connect() for _ in range(300)]
    for sock in socks:
        sock.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: kvern\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
    answers = [sock.recv(4096) for sock in socks[290:]]
    for sock in socks:
        sock.close()
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 529 ") and b"retry-after:" in answer.lower() and b'"type":"overloaded_error"' in answer
    server.wait_until_idle(5)
