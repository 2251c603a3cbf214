"""A decode beside a thousand clients that only listen and one that asks for the server's health all the time."""

import http.client
import resource
import selectors
import socket
import threading
import time

STREAMS = 1000
HEALTH_PER_S = 200
WINDOW_S = 6
EVENT_PATHS = ("/kvern/events", "/ui/events")  # a stream that lasts and says little
SETTLE_S = 1
LISTEN_EVERY_S = 0.5


def raise_file_limit():
    """For this process and the servers it starts: a connection is a file on both sides."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def resident_mib(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def event_path(server):
    """The route of the server's events, or none."""
    for path in EVENT_PATHS:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", path, headers={"Accept": "text/event-stream"})
        response = connection.getresponse()
        found = response.status == 200 and (response.getheader("Content-Type") or "").startswith("text/event-stream")
        connection.close()
        if found:
            return path
    return None


class Listeners:
    """Idle connections: event streams where the server has a route for them, else ones kept alive after an answer.
    What comes is read and thrown away, now and then: waking up for each text would cost more than the text does."""

    def __init__(self, server, count):
        self.path = event_path(server)
        self.selector = selectors.DefaultSelector()
        self.open = 0
        self.ending = False
        request = f"GET {self.path or '/health'} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode()
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            connection.sendall(request)
            if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
                connection.close()
                continue
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ)
            self.open += 1
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while not self.ending:
            time.sleep(LISTEN_EVERY_S)
            for key, _ in self.selector.select(0):
                try:
                    gone = not key.fileobj.recv(65536)
                except OSError:
                    gone = True
                if gone:
                    self.drop(key.fileobj)

    def drop(self, connection):
        self.selector.unregister(connection)
        connection.close()
        self.open -= 1

    def close(self):
        self.ending = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()


class HealthChecks:
    """So many requests a second on one connection; a late answer is made up for. Plain sockets: what the client takes
    of the cores is taken from the server."""

    REQUEST = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    def __init__(self, server, per_second):
        self.server, self.per_second = server, per_second
        self.times_ms, self.failed, self.ending, self.connection = [], 0, False, None
        self.begin = time.perf_counter()
        self.thread = threading.Thread(target=self.ask, daemon=True)
        self.thread.start()

    def ask(self):
        while not self.ending:
            asked = time.perf_counter()
            try:
                self.failed += not self.one().startswith(b"HTTP/1.1 200")
            except OSError:
                self.failed += 1
                self.forget()  # the next request opens another
            self.times_ms.append(1000 * (time.perf_counter() - asked))
            due = self.begin + len(self.times_ms) / self.per_second
            time.sleep(max(0.0, due - time.perf_counter()))
        self.forget()

    def one(self):
        if not self.connection:
            self.connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.sendall(self.REQUEST)
        answer = b""
        while not is_whole(answer):
            piece = self.connection.recv(4096)
            if not piece:
                raise OSError("the server closed the connection")
            answer += piece
        return answer

    def forget(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def stop(self):
        self.ending = True
        self.thread.join()
        return len(self.times_ms) / (time.perf_counter() - self.begin)


def is_whole(answer):
    """Of an answer with a Content-Length."""
    head, end, body = answer.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= (int(lengths[0]) if lengths else 0)


def rate(ticks, begin, end):
    return sum(begin < tick <= end for tick in ticks) / (end - begin)


def measure(server, body, shown, streams=STREAMS, window_s=WINDOW_S):
    """One stream in three windows: alone, beside the listeners and health checks, alone again. That it slows down as
    it grows long is the same in the mean of the first and the last as in the one between."""
    ended, taken = threading.Event(), {}

    def decode():
        begin = time.perf_counter()
        times, events = server.stream("/v1/completions", body, lambda _: ended.is_set())
        taken["ticks"] = [begin + tick for tick in shown(times, events)]

    before_mib = resident_mib(server)
    stream = threading.Thread(target=decode, daemon=True)
    stream.start()
    try:
        time.sleep(SETTLE_S)
        alone = window(window_s)
        listeners = Listeners(server, streams)
        checks = HealthChecks(server, HEALTH_PER_S)
        time.sleep(SETTLE_S)
        used_s = time.process_time()
        beside = window(window_s)
        used_s = time.process_time() - used_s
        per_second = checks.stop()
        beside_mib, still_open = resident_mib(server), listeners.open
        listeners.close()
        time.sleep(SETTLE_S)
        again = window(window_s)
    finally:
        ended.set()
        stream.join()
    ticks = taken["ticks"]
    if ticks[-1] < again[1] - 1:
        raise SystemExit("the stream ended before the measurement did")
    alone_rate, beside_rate = (rate(ticks, *alone) + rate(ticks, *again)) / 2, rate(ticks, *beside)
    return {"idle connections": float(still_open), "of them event streams": float(still_open if listeners.path else 0),
            "health checks per s": per_second, "health checks failed": float(checks.failed),
            "health check p99 ms": sorted(checks.times_ms)[int(0.99 * (len(checks.times_ms) - 1))],
            "decode alone tok/s": alone_rate, "decode beside tok/s": beside_rate,
            "decode slower %": 100 * (1 - beside_rate / alone_rate), "client's use of a core %": 100 * used_s / window_s,
            "RSS before MiB": before_mib,
            "RSS beside MiB": beside_mib, "RSS after MiB": resident_mib(server)}


def window(seconds):
    begin = time.perf_counter()
    time.sleep(seconds)
    return begin, time.perf_counter()
