"""Runs `kvern serve` as a process of its own and talks to it over real sockets.

A Server reads its log as JSON lines, knows its address from the line "ready", and is stopped by its
pid. stop() asserts that it ended cleanly: exit code 0, no error in the log, nothing on stdout.
"""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import anthropic
import httpx
import openai

ROOT = Path(__file__).resolve().parents[1]
BINARY = Path(os.environ.get("KVERN_BIN", ROOT / "build/dev/kvern")).absolute()


class DidNotStart(Exception):
    def __init__(self, code, stderr):
        super().__init__(f"kvern ended at start with code {code}: {stderr}")
        self.code = code
        self.stderr = stderr


def environment(**extra):
    """Ours without KVERN_*: those are settings of the server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KVERN_")}
    return kept | {"NO_COLOR": "1"} | extra


def run_kvern(*arguments, timeout_s=30, stdin="", **extra):
    """A command that ends by itself."""
    return subprocess.run([BINARY, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          timeout=timeout_s, env=environment(**extra))


def wait_until(condition, timeout_s, what):
    """What condition() gave as soon as that is true."""
    deadline = time.monotonic() + timeout_s
    while True:
        if got := condition():
            return got
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout_s} s still not: {what}")
        time.sleep(0.01)


class Server:
    running = []  # those not stopped yet, for the report of a failed test

    def __init__(self, *flags, model=None, unix_socket=None, start_timeout_s=60, timeout_s=60, log_format="json",
                 through=(), **extra):
        self.unix_socket = unix_socket
        self.timeout_s = timeout_s  # of one answer
        where = ["--unix-socket", unix_socket] if unix_socket else ["--port", "0"]
        if not any(str(flag).startswith("--cache-d") for flag in flags):
            flags = (*flags, "--cache-disk", "0")  # what other tests left there would be reused
        command = [BINARY, "serve", *where, "--log-format", log_format, *(["--model", model] if model else []), *flags]
        self.lines = []
        command = [str(part) for part in (*through, *command)]  # through: a command that runs this one
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=environment(**extra))
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        Server.running.append(self)
        try:
            self.ready = self._wait_until_ready(start_timeout_s)
        except BaseException:
            self._end()
            raise
        self.base_url = "http://kvern" if unix_socket else self.ready["address"]
        self.http = self.client()

    def _read_log(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def _wait_until_ready(self, timeout_s):
        def ready():
            if self.process.poll() is not None:
                self._reader.join(5)
                raise DidNotStart(self.process.returncode, "\n".join(self.lines))
            return self.log("ready")

        return wait_until(ready, timeout_s, "ready")[0]

    # Talking to it.

    def client(self, **options):
        transport = httpx.HTTPTransport(uds=str(self.unix_socket)) if self.unix_socket else None
        return httpx.Client(base_url=self.base_url, transport=transport, timeout=self.timeout_s, **options)

    def openai(self, api_key="none", **options):
        """The official client, as it is but for retries: they would hide errors."""
        return openai.OpenAI(base_url=f"{self.base_url}/v1", api_key=api_key, max_retries=0, timeout=self.timeout_s, **options)

    def anthropic(self, api_key="none", **options):
        return anthropic.Anthropic(base_url=self.base_url, api_key=api_key, max_retries=0, timeout=self.timeout_s, **options)

    def connect(self, receive_buffer_bytes=None):
        """A bare socket."""
        if self.unix_socket:
            sock = socket.socket(socket.AF_UNIX)
            address = str(self.unix_socket)
        else:
            sock = socket.socket()
            address = ("127.0.0.1", int(self.base_url.rsplit(":", 1)[1]))
        if receive_buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        sock.settimeout(30)
        sock.connect(address)
        return sock

    def post(self, path, body, **options):
        return self.http.post(path, json=body, **options)

    def chat(self, messages, **fields):
        """The whole answer of one greedy chat completion; messages may be one user's text."""
        body = chat_body(messages, **fields)
        response = self.post("/v1/chat/completions", body)
        assert response.status_code == 200, response.text
        return response.json()

    def stream(self, messages, **fields):
        """The chunks of one greedy streamed chat completion, the one with usage last."""
        body = chat_body(messages, stream=True, **({"stream_options": {"include_usage": True}} | fields))
        with self.http.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.status_code != 200:
                raise AssertionError(response.read())
            assert response.headers["content-type"].startswith("text/event-stream")
            return read_chunks(response.iter_lines())

    def message(self, messages, headers=None, **fields):
        """The whole answer of one greedy request to /v1/messages; messages may be one user's text."""
        response = self.post("/v1/messages?beta=true", message_body(messages, **fields), headers=headers)
        assert response.status_code == 200, response.text
        return response.json()

    def message_events(self, messages, headers=None, **fields):
        """The events of one greedy streamed request to /v1/messages, each checked to be named as its data says."""
        body = message_body(messages, stream=True, **fields)
        with self.http.stream("POST", "/v1/messages?beta=true", json=body, headers=headers) as response:
            if response.status_code != 200:
                raise AssertionError(response.read())
            assert response.headers["content-type"].startswith("text/event-stream")
            return read_events(response.iter_lines())

    def count_tokens(self, messages, **fields):
        response = self.post("/v1/messages/count_tokens?beta=true", chat_body(messages, **fields))
        assert response.status_code == 200, response.text
        return response.json()["input_tokens"]

    def prompt(self, messages, **fields):
        """The tokens a chat completion would be asked with."""
        text = self.post("/apply-template", chat_body(messages, **fields)).json()["prompt"]
        return self.post("/tokenize", {"content": text}).json()["tokens"]

    # Looking at it.

    def health(self):
        return self.http.get("/health").json()

    def log(self, event, **fields):
        """The log's entries of one kind so far."""
        entries = [read_entry(line) for line in list(self.lines)]
        return [e for e in entries if e["event"] == event and all(e.get(key) == value for key, value in fields.items())]

    def wait_for_log(self, event, timeout_s=5, count=1, **fields):
        return wait_until(lambda: len(found := self.log(event, **fields)) >= count and found, timeout_s,
                          f"{count} x {event} {fields} in the log")

    def request_log(self, completion):
        """The log line of a finished completion."""
        return self.wait_for_log("request", id=completion["id"])[0]

    def wait_until_idle(self, timeout_s):
        def idle():
            health = self.health()
            return health["running"] == 0 and health["waiting"] == 0

        wait_until(idle, timeout_s, "idle")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    # Ending it.

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, timeout_s=15):
        code = self.process.wait(timeout_s)
        self._reader.join(5)
        return code

    def stop(self):
        try:
            if self.process.poll() is None:
                self.signal()
            code = self.wait()
            assert code == 0, f"exit code {code}\n" + "\n".join(self.lines[-20:])
            assert self.process.stdout.read() == ""
            self.check_log()
        finally:
            self._end()

    def check_log(self):
        """Every line is an entry (a sanitizer's or an assertion's is not), and none is an error."""
        for line in self.lines:
            assert read_entry(line)["level"] in ("info", "warn"), line

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self in Server.running:
            Server.running.remove(self)
        if hasattr(self, "http"):
            self.http.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self._end()


def read_entry(line):
    """A line of either log format; anything else has the level "noise"."""
    if line.startswith("{"):
        return json.loads(line)
    if not re.match(r"\d\d:\d\d:\d\d ", line):
        return {"level": "noise", "event": ""}
    _, event, *fields = shlex.split(line)
    level = "info"
    if event.endswith(":"):
        level, event, *fields = event[:-1], *fields
    return {"level": level, "event": event} | dict(field.split("=", 1) for field in fields)


def chat_body(messages, **fields):
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return {"messages": messages, "temperature": 0} | fields


def message_body(messages, **fields):
    return chat_body(messages, **({"model": "local", "max_tokens": 4000} | fields))


def read_events(lines):
    """The data of an Anthropic stream; its events come in the order its clients need."""
    events = []
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            events.append(json.loads(line[6:]))
            assert events[-1]["type"] == name
        else:
            assert line == "", line
    return events


def read_chunks(lines):
    """The data of a server-sent event stream that ends with [DONE]."""
    data = [line[6:] for line in lines if line.startswith("data: ")]
    assert data[-1] == "[DONE]", data[-1]
    return [json.loads(text) for text in data[:-1]]


def function(name, properties, required=None, **schema):
    """A tool as clients send it."""
    parameters = {"type": "object", "properties": properties,
                  "required": list(properties) if required is None else required} | schema
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def called(message):
    """[(name, arguments)] of a message, its arguments read as JSON."""
    return [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message.get("tool_calls") or []]


def joined(chunks):
    """The choices of a stream, by index, put together as the unstreamed answer has them."""
    choices = {}
    for chunk in chunks:
        for piece in chunk["choices"]:
            choice = choices.setdefault(piece["index"], {"finish_reason": None, "message": {"content": "", "tool_calls": []}})
            assert choice["finish_reason"] is None, "a piece after the end"
            choice["finish_reason"] = piece["finish_reason"]
            add_delta(choice["message"], piece["delta"])
    return [choices[index] for index in sorted(choices)]


def add_delta(message, delta):
    message["content"] += delta.get("content") or ""
    if "reasoning_content" in delta:
        message["reasoning_content"] = message.get("reasoning_content", "") + delta["reasoning_content"]
    for piece in delta.get("tool_calls", []):
        calls = message["tool_calls"]
        if piece["index"] == len(calls):
            assert piece["id"] and piece["type"] == "function" and piece["function"]["name"]
            calls.append({"id": piece["id"], "type": "function", "function": {"name": piece["function"]["name"], "arguments": ""}})
        else:
            assert piece["index"] == len(calls) - 1, "calls interleaved"
            assert "id" not in piece and "name" not in piece["function"], "a call's beginning came twice"
        calls[-1]["function"]["arguments"] += piece["function"]["arguments"]


def plain(choice):
    """A choice without what differs from run to run: call ids, and how "no text" is written."""
    message = choice["message"]
    calls = [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or []]
    return {"finish": choice["finish_reason"], "content": message["content"] or "", "calls": calls,
            "reasoning": message.get("reasoning_content", "")}
