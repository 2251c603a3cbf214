"""GET /kvern/events and /kvern/requests: what the server does, for who watches (docs/events.md)."""

import json
import resource
import threading
import time
from contextlib import contextmanager

import pytest

from server import Server, chat_body, wait_until

LONG = "word " * 400
WATCHERS_MAX = 2048
PER_EVENT_S = 0.25


@pytest.fixture(scope="module", autouse=True)
def many_files():
    """A connection is a file here, too."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture(scope="module")
def slow(serve, fake):
    """20 tokens a second: an answer takes 20 s."""
    return serve("--parallel", "2", model=fake(LONG, tokens_per_second=20, prefill_tokens_per_second=2000))


class Watch:
    """A stream of events that is read on demand."""

    def __init__(self, server, path="/kvern/events", headers=(), receive_buffer_bytes=None):
        self.socket = server.connect(receive_buffer_bytes)
        lines = [f"GET {path} HTTP/1.0", "Host: localhost", *headers, "", ""]  # 1.0: no chunks to take apart
        self.socket.sendall("\r\n".join(lines).encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while line := self.file.readline().decode().strip():
            name, value = line.split(": ", 1)
            self.headers[name.lower()] = value

    def next(self):
        """(name, data); (None, None) at the end; a comment is (":", {})."""
        name = None
        while line := self.file.readline().decode().rstrip("\n"):
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            else:
                assert line.startswith(": ")
                name, data = ":", {}
        return (name, data) if name else (None, None)

    def until(self, wanted):
        """All events up to the first that is wanted(name, data)."""
        seen = []
        while not seen or not wanted(*seen[-1]):
            seen.append(self.next())
            assert seen[-1][0], f"the stream ended: {seen}"
        return seen

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextmanager
def request_running(server, text="Go on.", **fields):
    """A streamed request that is left at the end."""
    body = json.dumps(chat_body(text, stream=True, **fields)).encode()
    with server.connect() as sock:
        sock.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        sock.recv(100)
        yield sock


@pytest.fixture
def idle(slow):
    slow.wait_until_idle(5)
    yield slow
    slow.wait_until_idle(5)


def requests_of(data):
    return {request["id"]: request for request in data["requests"]}


def test_a_snapshot_comes_first_and_says_what_there_is(idle):
    with Watch(idle) as watch:
        assert watch.status == 200 and watch.headers["content-type"] == "text/event-stream"
        name, data = watch.next()
    assert name == "snapshot" and data["version"] == 1 and data["model"] == "fake" and data["requests"] == []
    assert data["parallel"] == 2 and abs(data["time"] - time.time()) < 60
    totals = data["totals"]
    assert totals["running"] == totals["waiting"] == 0 and 0 <= totals["cells_used"] < totals["cells"]
    assert totals["disk_budget_bytes"] == 0 < totals["ram_budget_bytes"]


def test_the_same_can_be_asked_for_once(idle):
    with Watch(idle) as watch:
        _, told = watch.next()
    with request_running(idle, session_id="s"):
        wait_until(lambda: idle.health()["running"] == 1, 5, "running")
        answer = idle.http.get("/kvern/requests")
        assert answer.headers["content-type"] == "application/json"
        data = answer.json()
    assert set(data) == set(told) and len(data["requests"]) == 1 == data["totals"]["running"]
    request = data["requests"][0]
    assert request["state"] in ("prefill", "decode") and request["model"] == "fake" and request["prompt_tokens"] > 0


def test_the_progress_of_a_request_and_its_end_are_told(idle):
    with Watch(idle) as watch:
        watch.next()
        begin = time.monotonic()
        answer = idle.chat("x" * 2000, max_tokens=30)
        seen = watch.until(lambda name, _: name == "end")
        took_s = time.monotonic() - begin
    changes = [requests_of(data)[answer["id"]] for name, data in seen if name == "change" and data["requests"]]
    states = [request["state"] for request in changes]
    assert states == sorted(states, key=["queued", "prefill", "decode"].index) and {"prefill", "decode"} <= set(states)
    for counted in ("computed_tokens", "completion_tokens", "age_s"):
        counts = [request[counted] for request in changes]
        assert counts == sorted(counts)
    decoding = [request for request in changes if request["state"] == "decode"]
    assert len({request["completion_tokens"] for request in decoding}) > 2
    assert 10 < decoding[-1]["tokens_per_s"] < 25 and decoding[-1]["tokens_max"] == 30
    assert len(seen) <= took_s / PER_EVENT_S + 2, "more often than is said"
    end = seen[-1][1]
    assert end["id"] == answer["id"] and end["finish"] == "length"
    assert end["usage"]["completion_tokens"] == 30 and end["usage"]["prompt_tokens"] == answer["usage"]["prompt_tokens"]
    assert end["why"] == answer["usage"]["kvern"]["why"]
    assert idle.http.get("/kvern/requests").json()["requests"] == []


def test_who_waits_is_seen_to_wait(idle):
    with request_running(idle, "1"), request_running(idle, "2"), Watch(idle) as watch:
        with idle.connect() as third:
            body = json.dumps(chat_body("3")).encode()
            third.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            seen = watch.until(lambda _, data: data.get("totals", {}).get("waiting") == 1)
            waits = [one for one in seen[-1][1]["requests"] if one["state"] == "queued"]
            assert len(waits) == 1 and waits[0]["computed_tokens"] == waits[0]["completion_tokens"] == 0
        end = watch.until(lambda name, _: name == "end")[-1][1]
        assert end["id"] == waits[0]["id"] and end["finish"] == "cancelled"


# Agents' names for their sessions are paths and account ids at times.
def test_a_session_is_told_by_a_word_that_says_nothing(idle):
    headers = {"x-claude-code-session-id": "/home/me/secret", "x-claude-code-agent-id": "agent-7"}
    with Watch(idle) as watch:
        watch.next()
        idle.message("Hi", headers=headers, max_tokens=2)
        idle.message("Hi", headers={"x-claude-code-session-id": "/home/me/secret"}, max_tokens=2)
        ends = [watch.until(lambda name, _: name == "end")[-1][1] for _ in range(2)]
    assert len(ends[0]["session"]) == len(ends[0]["agent"]) == 8 and ends[0]["class"] == "sub_agent"
    assert ends[1]["session"] == ends[0]["session"] and ends[1]["agent"] is None
    assert "secret" not in json.dumps(ends) and "agent-7" not in json.dumps(ends)


def test_a_key_is_required(serve, fake):
    server = serve("--api-key", "k", model=fake("Hello."))
    for path in ("/kvern/events", "/kvern/requests"):
        answer = server.http.get(path)
        assert answer.status_code == 401 and "API key" in answer.json()["error"]["message"]
    with Watch(server, headers=["Authorization: Bearer k"]) as watch:
        assert watch.status == 200 and watch.next()[0] == "snapshot"
    assert server.http.get("/kvern/requests", headers={"x-api-key": "k"}).status_code == 200


def test_a_page_of_another_site_may_not_watch(idle):
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        for path in ("/kvern/events", "/kvern/requests"):
            assert idle.http.get(path, headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/kvern/events", "/kvern/requests"])
def test_what_is_asked_in_the_wrong_way_is_told_so(idle, path):
    answer = idle.http.post(path, json={})
    assert answer.status_code == 405 and answer.headers["allow"] == "GET"
    answer = idle.http.get(path + "?version=2")
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "version"
    head = idle.http.head(path + "?version=1&_=5")
    assert head.status_code == 200 and head.content == b""
    assert idle.http.get(path + "/more").status_code == 404


# That it skips what it was too slow for is shown with more bytes than this takes, in http_test_feed.cc.
def test_a_watcher_that_does_not_read_stalls_nobody_and_is_told_the_newest_state(serve, fake):
    server = serve("--parallel", "20", model=fake(LONG, tokens_per_second=400))
    with Watch(server, receive_buffer_bytes=4096) as stuck, Watch(server) as quick:
        assert stuck.next()[0] == quick.next()[0] == "snapshot"
        for round_ in range(5):
            threads = [threading.Thread(target=server.chat, args=(f"{round_} {i}",), kwargs={"max_tokens": 40})
                       for i in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        def all_ended(_, data):
            return data.get("totals", {}).get("ended") == 100

        ended = {data["id"] for name, data in quick.until(all_ended) if name == "end"}
        assert len(ended) == 100, "who reads misses none"
        last = stuck.until(all_ended)[-1][1]
    assert last["totals"]["running"] == last["totals"]["waiting"] == 0


def test_three_hundred_watchers_come_and_go(idle):
    files = idle.open_files()
    for _ in range(2):  # each of so many hears every 0.6 s
        watchers = [Watch(idle) for _ in range(300)]
        assert all(watch.next()[0] == "snapshot" for watch in watchers)
        answer = idle.chat("Hi", max_tokens=4)
        for watch in watchers:
            assert watch.until(lambda name, _: name == "end")[-1][1]["id"] == answer["id"]
        for watch in watchers:
            watch.close()
        wait_until(lambda: idle.open_files() <= files, 5, "all sockets closed")


def test_there_is_room_for_so_many_and_requests_have_theirs(serve, fake, remark):
    server = serve(model=fake("Hello."), start_timeout_s=60)
    request = b"GET /kvern/events HTTP/1.1\r\nHost: a\r\n\r\n"
    watchers, status = [], 200
    before = resident_kib(server)
    while status == 200 and len(watchers) <= WATCHERS_MAX + 64:
        sock = server.connect()
        sock.sendall(request)
        answer = sock.recv(4096)
        status = int(answer.split()[1])
        watchers.append(sock)
    answer = answer.partition(b"\r\n\r\n")
    assert status == 503 and b"\r\nRetry-After: " in answer[0] + b"\r\n", answer
    assert "/kvern/requests" in json.loads(answer[2])["error"]["message"]
    assert WATCHERS_MAX <= len(watchers) - 1 <= WATCHERS_MAX + 8
    remark(f"an idle watcher takes {(resident_kib(server) - before) / (len(watchers) - 1):.1f} KiB of the server")
    for _ in range(3):
        assert server.chat("Hi")["choices"][0]["message"]["content"] == "Hello."
    for sock in watchers[:5]:
        sock.close()
    wait_until(lambda: server.http.head("/kvern/events").status_code == 200, 5, "room again")
    for sock in watchers:
        sock.close()


def resident_kib(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def test_a_stop_ends_the_streams_and_does_not_wait_for_them(kvern, fake):
    server = Server(model=fake("Hello."))
    watchers = [Watch(server) for _ in range(20)]
    stuck = Watch(server, receive_buffer_bytes=4096)
    for watch in watchers:
        watch.next()
    begin = time.monotonic()
    server.stop()
    assert time.monotonic() - begin < 5
    for watch in watchers:
        assert watch.next()[0] == "stop"
        assert watch.next() == (None, None)
    stuck.close()


def test_silence_is_filled_with_comments(idle):
    with Watch(idle) as watch:
        watch.next()
        begin = time.monotonic()
        assert watch.next()[0] == ":"
        assert 10 < time.monotonic() - begin < 20
