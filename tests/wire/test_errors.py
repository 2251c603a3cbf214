"""Bad input gets an answer that says what is wrong where, and the server lives."""

import json
import re
import socket

import openai
import pytest

from server import chat_body, function

USER = [{"role": "user", "content": "Hi"}]
TOOL = function("get_time", {})


@pytest.fixture(scope="module")
def server(serve, fake):
    return serve("--name", "tiny", model=fake("Hello.", context=2048, dialect="hermes"))


@pytest.fixture(autouse=True)
def alive(server):
    yield
    assert server.health() == {"status": "ok", "model": "tiny", "running": 0, "waiting": 0}


def refused(response, status):
    """The error object, which always has these four keys."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/json")
    error = response.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert error["message"]
    return error


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize", "/apply-template"])
@pytest.mark.parametrize("body", [b"", b"{", b"{'messages': []}", b"[]", b"null", b"\xff\xfe{}", b"[" * 100_000, b'{"a":' * 10_000,
                                  b'{"messages": [{"role": "user", "content": "\xc3"}]}'],
                         ids=["empty", "cut", "python", "list", "null", "utf16", "deep_lists", "deep_objects", "half_character"])
def test_a_body_that_is_no_json_object(server, path, body):
    error = refused(server.http.post(path, content=body), 400)
    assert error["type"] == "invalid_request_error"
    assert "JSON" in error["message"]


WRONG_FIELDS = [
    ({"messages": None}, "messages"),
    ({"messages": "Hi"}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": ["Hi"]}, "messages[0]"),
    ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
    ({"messages": [*USER, {"role": "emperor", "content": "Hi"}]}, "messages[1].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text"}]}]}, "messages[0].content[1].text"),
    ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages[0].content[0].type"),
    ({"messages": [*USER, {"role": "assistant", "tool_calls": {}}]}, "messages[1].tool_calls"),
    ({"messages": [*USER, {"role": "assistant", "tool_calls": [{"id": "1"}]}]}, "messages[1].tool_calls[0].function"),
    ({"model": 5}, "model"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": True}, "stream_options"),
    ({"temperature": "hot"}, "temperature"),
    ({"temperature": 2.5}, "temperature"),
    ({"temperature": -1}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"top_k": 1.5}, "top_k"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": "many"}, "max_tokens"),
    ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
    ({"n": 0}, "n"),
    ({"n": 1000}, "n"),
    ({"seed": "x"}, "seed"),
    ({"stop": 5}, "stop"),
    ({"stop": ["a", 5]}, "stop[1]"),
    ({"stop": ""}, "stop"),
    ({"logit_bias": {"hello": 1}}, "logit_bias"),
    ({"logit_bias": {"5": 1000}}, "logit_bias.5"),
    ({"logprobs": 3}, "logprobs"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"tools": {}}, "tools"),
    ({"tools": ["get_time"]}, "tools[0]"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "function", "function": {"name": "get time"}}]}, "tools[0].function.name"),
    ({"tools": [TOOL, TOOL]}, "tools[1].function.name"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "nope"}}}, "tool_choice.function.name"),
    ({"tools": [TOOL], "parallel_tool_calls": 1}, "parallel_tool_calls"),
    ({"response_format": "json"}, "response_format"),
    ({"response_format": {"type": "yaml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": 5}}}}, "response_format.json_schema.schema"),
]


@pytest.mark.parametrize("fields, param", WRONG_FIELDS, ids=[f"{param}-{i}" for i, (_, param) in enumerate(WRONG_FIELDS)])
def test_a_wrong_field_is_named(server, fields, param):
    error = refused(server.post("/v1/chat/completions", {"messages": USER} | fields), 400)
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert param in error["message"], "clients that show only the message"


# Schemas take milliseconds each, and none of them matters when the prompt does not fit.
def test_a_prompt_too_long_is_told_before_its_tools_are_compiled(server):
    hard = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?!x)[a-z]{2,30}$"}}}
    tools = [{"type": "function", "function": {"name": f"hard{i}", "parameters": hard}} for i in range(200)]
    before = len(server.log("schema relaxed"))
    error = refused(server.post("/v1/chat/completions", {"messages": USER, "tools": tools}), 400)
    assert error["message"].startswith("prompt is too long: "), error
    assert len(server.log("schema relaxed")) == before


def test_an_image_is_refused_as_such(server):
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    error = refused(server.post("/v1/chat/completions", chat_body([{"role": "user", "content": image}])), 400)
    assert "image" in error["message"] and error["param"] == "messages[0].content[0]"


@pytest.mark.parametrize("fields, param", [
    ({"prompt": None}, "prompt"), ({"prompt": 5}, "prompt"), ({"prompt": ""}, "prompt"), ({"prompt": ["a", ""]}, "prompt[1]"),
    ({"prompt": [1, "a"]}, "prompt[1]"), ({"prompt": [1, 9_999_999]}, "prompt[0]"), ({"prompt": "a", "logprobs": 30}, "logprobs"),
    ({"prompt": "a", "suffix": "b"}, "suffix"),
])
def test_a_wrong_field_of_a_text_completion_is_named(server, fields, param):
    assert refused(server.post("/v1/completions", fields), 400)["param"] == param


def test_an_unknown_model_is_told_which_one_there_is(server):
    error = refused(server.http.get("/v1/models/gpt-5"), 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "gpt-5" in error["message"] and "tiny" in error["message"]


@pytest.mark.parametrize("path, fields", [("/v1/chat/completions", chat_body("Hi")), ("/v1/completions", {"prompt": "Hi"})])
def test_a_request_may_use_any_name_as_the_side_requests_of_agents_do(server, path, fields):
    response = server.post(path, fields | {"model": "gpt-5", "max_tokens": 3})
    assert response.status_code == 200 and response.json()["model"] == "gpt-5"


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_longer_than_the_context_is_refused_with_the_code_clients_compact_on(server, stream):
    error = refused(server.post("/v1/chat/completions", chat_body("x" * 3000, stream=stream)), 400)
    assert error["code"] == "context_length_exceeded"
    prompt = len(server.prompt("x" * 3000))
    assert str(prompt) in error["message"] and "--context" in error["message"]


def test_a_prompt_that_just_fits_is_answered(server):
    room = 2048 - len(server.prompt(""))
    answer = server.chat("x" * (room - 1))
    assert (answer["usage"]["completion_tokens"], answer["choices"][0]["finish_reason"]) == (1, "length")
    refused(server.post("/v1/chat/completions", chat_body("x" * room)), 400)


def test_an_unknown_route_and_a_wrong_method(server):
    assert "/v1" in refused(server.http.get("/v2/chat"), 404)["message"]
    refused(server.http.post("/v1/chat/completions/5", json={}), 404)
    for method, path, right in (("GET", "/v1/chat/completions", "POST"), ("POST", "/v1/models", "GET"), ("DELETE", "/health", "GET")):
        response = server.http.request(method, path)
        assert right in refused(response, 405)["message"]
        assert right in response.headers["allow"]


# Clients rarely show an error; whoever runs the server sees that there was one, and none of what was asked.
def test_a_refusal_is_in_the_log(server):
    server.post("/v1/no/such/route", {"secret": "words"})
    assert server.wait_for_log("refused", request="POST /v1/no/such/route")[0]["status"] == 404
    server.post("/v1/chat/completions", {"messages": "secret words"})
    assert server.wait_for_log("refused", request="POST /v1/chat/completions", status=400)
    assert "secret" not in "\n".join(server.lines)


def test_head_is_get_without_a_body(server):
    response = server.http.head("/health")
    assert response.status_code == 200 and response.content == b"" and int(response.headers["content-length"]) > 0


def test_an_api_key_is_needed_where_one_is_set(serve, fake):
    server = serve("--api-key", "secret one", "--api-key", "two", model=fake("Hello."))
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic two"}, {"x-api-key": ""}, {"Authorization": "Bearer"}):
        for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("POST", "/tokenize")):
            error = refused(server.http.request(method, path, json=chat_body("Hi"), headers=headers), 401)
            assert error["code"] == "invalid_api_key"
    for headers in ({"Authorization": "Bearer two"}, {"authorization": "bearer secret one"}, {"x-api-key": "two"}):
        assert server.post("/v1/chat/completions", chat_body("Hi"), headers=headers).status_code == 200
    assert server.openai(api_key="two").models.list().data
    with pytest.raises(openai.AuthenticationError):
        server.openai(api_key="three").models.list()
    assert server.http.get("/health").status_code == 200, "a load balancer has no key"
    assert "secret one" not in "\n".join(server.lines)


def test_a_key_may_come_from_the_environment(serve, fake):
    server = serve(model=fake("Hello."), KVERN_API_KEY="hush")
    assert server.http.get("/v1/models").status_code == 401
    assert server.http.get("/v1/models", headers={"Authorization": "Bearer hush"}).status_code == 200


# HTTP itself.

def exchange(server, data):
    """Sends bytes, reads until the server closes."""
    with server.connect() as sock:
        try:
            sock.sendall(data)
        except OSError:
            pass  # it answered before it had read everything
        answer = b""
        try:
            while part := sock.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
        return answer


def post(body, *headers):
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: kvern", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize("data, status", [
    (b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"a" * 100) for i in range(1000)) + b"\r\n", 431),
    (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{", 413),
    (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{", 400),
    (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n{", 400),
    (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"GET /health HTTP/1.1\r\n\r\n", 400),
    (b"GET /health HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    (b"hello, anybody there?\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 400),
    (bytes(range(256)) * 10, 400),
], ids=["long_header", "many_headers", "long_path", "huge_body", "negative_length", "smuggling", "unknown_coding", "bad_chunk",
        "no_host", "http2", "words", "tls", "noise"])
def test_what_is_no_request_is_told_so_and_closed(server, data, status):
    head, _, body = exchange(server, data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), head[:100]
    assert b"connection: close" in head.lower()
    assert json.loads(body)["error"]["message"]


# It is told before it has sent 64 MiB for nothing, and also when no length announced them.
def test_a_chunked_body_without_end_is_cut_off(server):
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchange(server, head + chunk * 1100).startswith(b"HTTP/1.1 413 ")


def test_a_connection_goes_on_after_a_refused_request(server):
    good = post(json.dumps(chat_body("Hi")).encode(), "Connection: close")
    answer = exchange(server, post(b"{") + post(b"[]") + good)
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answer) == [b"400", b"400", b"200"]


def test_a_request_may_arrive_byte_by_byte_and_chunked(server):
    body = json.dumps(chat_body("Hi")).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, body[i:i + 1]) for i in range(len(body))) + b"0\r\n\r\n"
    data = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    with server.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(data)):
            sock.send(data[i:i + 1])
        answer = sock.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 ") and b"Hello." in answer


def test_a_client_that_asks_first_is_told_to_go_on(server):
    body = json.dumps(chat_body("Hi")).encode()
    with server.connect() as sock:
        sock.sendall(post(body, "Connection: close", "Expect: 100-continue")[:-len(body)])
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert sock.makefile("rb").read().startswith(b"HTTP/1.1 200 ")


def test_too_many_waiting_requests_are_told_to_come_back(serve, fake):
    server = serve("--parallel", "1", model=fake("Hello.", tokens_per_second=1))
    body = post(json.dumps(chat_body("Hi")).encode())
    socks = [server.connect() for _ in range(300)]
    for sock in socks:
        sock.sendall(body)
    refusals = 0
    for sock in socks[290:]:
        head = sock.recv(4096)
        refusals += head.startswith(b"HTTP/1.1 503 ") and b"retry-after:" in head.lower()
    for sock in socks:
        sock.close()
    assert refusals == 10
    server.wait_until_idle(5)
