"""What the benchmark of idle clients counts, against a server of a few lines."""

import socketserver
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from scenarios import idle  # noqa: E402


class Handler(socketserver.StreamRequestHandler):
    """Answers every path; /kvern/events, when there are events, with a stream that says nothing."""

    disable_nagle_algorithm = True  # a head and a body that come apart

    def handle(self):
        while line := self.rfile.readline():
            path = line.split()[1].decode()
            while self.rfile.readline().strip():
                pass
            self.server.asked.append(path)
            if path in idle.EVENT_PATHS and path not in self.server.events:
                self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            elif path in self.server.events:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                self.server.over.wait()
                return
            else:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
                self.wfile.write(b"ok")


class Small(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *events):
        super().__init__(("127.0.0.1", 0), Handler)
        self.events, self.asked, self.over = events, [], threading.Event()
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def small():
    started = []

    def start(*events):
        started.append(Small(*events))
        return started[-1]

    yield start
    for server in started:
        server.over.set()
        server.shutdown()
        server.server_close()


def test_listeners_take_event_streams_where_there_is_a_route(small):
    server = small("/kvern/events")
    listeners = idle.Listeners(server, 20)
    assert (listeners.path, listeners.open) == ("/kvern/events", 20)
    listeners.close()


def test_without_one_they_keep_connections(small):
    listeners = idle.Listeners(small(), 20)
    assert (listeners.path, listeners.open) == (None, 20)
    listeners.close()


def test_a_connection_that_the_server_closed_is_not_counted(small):
    server = small("/kvern/events")
    listeners = idle.Listeners(server, 5)
    server.over.set()
    deadline = time.monotonic() + 5
    while listeners.open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert listeners.open == 0
    listeners.close()


def test_health_checks_keep_their_rate_on_one_connection(small):
    server = small()
    checks = idle.HealthChecks(server, 100)
    time.sleep(0.5)
    per_second = checks.stop()
    assert checks.failed == 0
    assert 50 < per_second < 110  # a busy machine may fall behind, nothing runs ahead
    assert server.asked.count("/health") == len(checks.times_ms)


@pytest.mark.parametrize("answer, whole", [
    (b"HTTP/1.1 200 OK\r\nContent-Le", False),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", False),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", True),
    (b"HTTP/1.1 204 No Content\r\n\r\n", True),
])
def test_an_answer_is_read_to_its_end(answer, whole):
    assert idle.is_whole(answer) == whole


def test_a_rate_counts_what_came_in_its_window():
    assert idle.rate([0.5, 1.5, 2.0, 2.5, 3.5], 1, 3) == 1.5
