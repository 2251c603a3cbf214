"""Clients leave, stall and crowd; the server stops working for who left and goes on for the others."""

import asyncio
import json
import re
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from server import chat_body, joined, read_chunks, wait_until

LONG = "word " * 400
LEFT_WITHIN_S = 2


def request(server, messages, **fields):
    body = json.dumps(chat_body(messages, **fields)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: kvern\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def send(server, messages, **fields):
    sock = server.connect()
    sock.sendall(request(server, messages, **fields))
    return sock


def reset(sock):
    """Closes so that the peer gets an RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def wait_until_running(server, count=1):
    wait_until(lambda: server.health()["running"] >= count, 5, f"{count} running")


def cancelled_after(server, leave):
    before = len(server.log("request", finish="cancelled"))
    leave()
    server.wait_until_idle(LEFT_WITHIN_S)
    return server.wait_for_log("request", finish="cancelled", count=before + 1)[-1]


@pytest.fixture(scope="module")
def slow(serve, fake):
    """20 tokens a second: an answer takes 100 s."""
    return serve(model=fake(LONG, tokens_per_second=20, dialect="hermes"))


@pytest.fixture(scope="module")
def slow_prefill(serve, fake):
    """A prompt of 12,000 tokens takes 20 s, a chunk of it one."""
    return serve("--parallel", "2", model=fake({"when": "quick", "say": "ok"}, "Done.", prefill_tokens_per_second=600))


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["fin", "rst"])
def test_a_client_that_leaves_in_mid_stream_ends_its_generation(slow, leave):
    sock = send(slow, "Go on.", stream=True)
    while b'"content":"w' not in sock.recv(4096):
        pass
    line = cancelled_after(slow, lambda: leave(sock))
    assert 0 < line["out"] < 200


def test_a_client_that_leaves_before_a_whole_answer_ends_its_generation(slow):
    sock = send(slow, "Go on and on.")
    wait_until_running(slow)
    assert cancelled_after(slow, sock.close)["out"] < 200


def test_all_choices_end_with_their_client(slow):
    sock = send(slow, "Go on, three times.", n=3, stream=True)
    wait_until_running(slow, 3)
    cancelled_after(slow, sock.close)
    lines = slow.log("request", finish="cancelled")[-3:]
    assert sorted(line["id"][-2:] for line in lines) == ["-0", "-1", "-2"]


def test_the_sdk_closing_its_stream_is_leaving(slow):
    with slow.openai() as client:
        stream = client.chat.completions.create(model="fake", messages=[{"role": "user", "content": "Go"}], stream=True)
        next(stream)
        cancelled_after(slow, stream.close)


def test_a_client_that_leaves_during_prefill_costs_at_most_a_chunk(slow_prefill):
    sock = send(slow_prefill, "a" * 12_000, stream=True)
    wait_until_running(slow_prefill)
    line = cancelled_after(slow_prefill, sock.close)
    assert line["out"] == 0
    assert line["reused"] + line["computed"] < 2000, "the log counts tokens that were never computed"


def odd_tool(name, words):
    """Its schema takes milliseconds to find out that its pattern cannot be kept to, which the log then says."""
    properties = {f"{name}_{i}": {"type": "string", "pattern": f"^(?!{word})[a-z]{{2,30}}$"} for i, word in enumerate(words)}
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": properties}}}


# A thousand new schemas take seconds. The prep pool works in the order of arrival on two threads at most, so the
# others' schemas are done after those nobody wants any more would have been.
def test_tools_of_a_client_that_left_are_not_compiled(serve, fake):
    server = serve(model=fake("Hello.", dialect="hermes", context=200_000))
    left = send(server, "Hi", tools=[odd_tool(f"left{i}", "abcdef") for i in range(400)])
    time.sleep(0.3)
    left.close()
    for other in range(3):
        server.chat("Hi", tools=[odd_tool(f"others{other}_{i}", "abcdef") for i in range(150)])
    told = [entry["what"] for entry in server.log("schema relaxed")]
    assert any(what.startswith("tool others2_149:") for what in told)
    assert not any(what.startswith("tool left") for what in told)


# What was computed for who left is not lost.
def test_a_cancelled_prefill_is_reused(slow_prefill):
    sock = send(slow_prefill, "b" * 12_000)
    wait_until_running(slow_prefill)
    time.sleep(1.2)
    cancelled_after(slow_prefill, sock.close)
    answer = slow_prefill.chat("b" * 600, max_tokens=1)
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] >= 512


def test_a_client_that_leaves_while_it_waits_is_forgotten(slow_prefill):
    busy = [send(slow_prefill, letter * 12_000) for letter in "xy"]
    wait_until_running(slow_prefill, 2)
    waiting = send(slow_prefill, "z" * 12_000)  # a short one would have another's place
    wait_until(lambda: slow_prefill.health()["waiting"] == 1, 5, "waiting")
    waiting.close()
    wait_until(lambda: slow_prefill.health()["waiting"] == 0, LEFT_WITHIN_S, "forgotten")
    assert slow_prefill.log("request", finish="cancelled")[-1]["computed"] == 0
    for sock in busy:
        sock.close()
    slow_prefill.wait_until_idle(LEFT_WITHIN_S)


def test_a_slow_reader_stalls_nobody_and_loses_nothing(serve, fake):
    said = "".join(f"{i:06} " for i in range(5000))
    server = serve(model=fake({"when": "everything", "say": said}, "quick answer"))
    with server.connect(receive_buffer_bytes=4096) as sock:
        sock.sendall(request(server, "everything", stream=True))
        sock.recv(100)
        time.sleep(1)  # by now everything that fits between us is full
        begin = time.monotonic()
        assert server.chat("Hi")["choices"][0]["message"]["content"] == "quick answer"
        assert time.monotonic() - begin < 1
        assert server.health()["running"] == 1, "its sequence waits for the reader"
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        chunks = read_chunks(line.decode().strip() for line in lines_of(sock.makefile("rb")))
    assert joined(chunks)[0]["message"]["content"] == said
    server.wait_until_idle(5)


def lines_of(file):
    """The lines of a chunked body; one of them may be cut by a chunk's border."""
    parts = []
    while (size := file.readline().strip()) != b"0":
        if re.fullmatch(rb"[0-9a-f]+", size):  # else a line of the header
            parts.append(file.read(int(size, 16)))
            file.readline()
    return b"".join(parts).split(b"\n")


def test_a_slow_reader_that_leaves_is_forgotten(serve, fake):
    server = serve(model=fake("".join(f"{i:06} " for i in range(5000))))
    sock = server.connect(receive_buffer_bytes=4096)
    sock.sendall(request(server, "everything", stream=True))
    wait_until_running(server)
    time.sleep(0.5)
    cancelled_after(server, sock.close)


def test_fifty_streams_at_once_all_complete(serve, fake):
    server = serve(model=fake({"when": "number (\\d+)", "say": "You are number {{1}} of fifty. " * 5}))

    async def one(client, i):
        stream = await client.chat.completions.create(
            model="fake", messages=[{"role": "user", "content": f"I am number {i}"}], stream=True, temperature=0)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key="none", max_retries=0) as client:
            return await asyncio.gather(*(one(client, i) for i in range(50)))

    assert asyncio.run(all_of_them()) == [f"You are number {i} of fifty. " * 5 for i in range(50)]
    server.wait_until_idle(2)


def test_connections_that_say_nothing_are_in_nobodys_way(slow_prefill):
    idle = [slow_prefill.connect() for _ in range(100)]
    begin = time.monotonic()
    assert slow_prefill.chat("quick")["choices"][0]["message"]["content"] == "ok"
    assert time.monotonic() - begin < 2
    for sock in idle:
        sock.close()


# Both take ten seconds of nothing, so they wait side by side: comment lines while a long prompt is
# computed, and the end of a request whose header never comes.
def test_ten_silent_seconds(slow_prefill):
    def half_open():
        with slow_prefill.connect() as sock:
            sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: kv")
            return sock.makefile("rb").read()

    def long_prefill():
        body = chat_body("p" * 6600, stream=True, max_tokens=2)
        with slow_prefill.http.stream("POST", "/v1/chat/completions", json=body) as response:
            return list(response.iter_lines())

    with ThreadPoolExecutor(2) as pool:
        answer, lines = pool.submit(half_open), pool.submit(long_prefill)
        assert answer.result().startswith(b"HTTP/1.1 408 ")
        lines = lines.result()
    comments = [i for i, line in enumerate(lines) if line.startswith(":")]
    assert comments, "no sign of life"
    first_text = next(i for i, line in enumerate(lines) if '"content":"D' in line)
    assert comments[0] < first_text
    assert joined(read_chunks(lines))[0]["message"]["content"] == "Do"


def test_nothing_is_left_behind(slow):
    slow.wait_until_idle(1)  # over the connection that is kept alive
    files = slow.open_files()
    for _ in range(20):
        sock = send(slow, "Go on.", stream=True)
        sock.recv(100)
        sock.close()
    slow.wait_until_idle(LEFT_WITHIN_S)
    wait_until(lambda: slow.open_files() <= files, 2, "all sockets closed")
