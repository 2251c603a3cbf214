"""Starts the servers a benchmark compares, and talks to them with plain HTTP."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kvern"
SMALL = CACHE / "models/SmolLM2-135M-Instruct.Q4_1.gguf"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A server process on a free port, ready when /health says so."""

    def __init__(self, name: str, command: list[str], log: Path):
        self.name = name
        self.port = free_port()
        self.command = [part.replace("{port}", str(self.port)) for part in command]
        self.log = open(log, "w")
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        self.wait_until_ready()

    def restart(self):
        """Nothing it knew is known after this, where nothing is kept on disk."""
        self.end()
        self.start()

    def wait_until_ready(self, timeout_s: float = 120):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended at start with code {self.process.returncode}; see {self.log.name}")
            try:
                if self.get("/health")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit(f"{self.name} did not get ready in {timeout_s} s; see {self.log.name}")

    def get(self, path: str):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()

    def send(self, path: str, body: dict):
        """(status, the answer's bytes)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()

    def post(self, path: str, body: dict) -> dict:
        status, text = self.send(path, body)
        if status != 200:
            raise SystemExit(f"{self.name} {path}: {status} {text[:300]!r}")
        return json.loads(text)

    def stream(self, path: str, body: dict, enough=lambda events: False):
        """Returns (seconds from sending to each data event, the events' JSON). Hangs up when it is enough."""
        raw = json.dumps(body | {"stream": True, "stream_options": {"include_usage": True}})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.connect()
        begin = time.perf_counter()
        connection.request("POST", path, raw, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise SystemExit(f"{self.name} {path}: {response.status} {response.read()[:300]!r}")
        times, events = [], []
        for line in response:
            if not line.startswith(b"data: "):
                continue
            data = line[6:].strip()
            if data == b"[DONE]":
                break
            times.append(time.perf_counter() - begin)
            events.append(json.loads(data))
            if enough(events):
                break
        connection.close()
        return times, events

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def stop(self):
        self.end()
        self.log.close()


def binary(variable: str, built: str, how: str) -> str:
    path = os.environ.get(variable, str(ROOT / built))
    if not Path(path).exists():
        raise SystemExit(f"{path} is missing; {how}")
    return path


def start_kvern(model: str, threads: int, context: int, logs: Path, *flags: str, name: str = "kvern", parallel: int = 4) -> Server:
    logs.mkdir(parents=True, exist_ok=True)
    kvern = binary("KVERN_BIN", "build/dev/kvern", "./dev build")
    return Server(name, [kvern, "serve", "--model", model, "--port", "{port}", "--threads", str(threads),
                         "--context", str(context), "--parallel", str(parallel), "--cache-disk", "0",
                         "--log-format", "json", *flags], logs / f"{name.replace(', ', '-').replace(' ', '-')}.log")


def start_pair(model: str, threads: int, context: int, logs: Path, template: Path | None = None,
               their_context: int = 0, parallel: int = 4, flags: tuple = ()) -> tuple[Server, Server]:
    """kvern and llama-server on the same model, threads, context, KV type and, when it is not the model's, template.
    flags: more of kvern's."""
    llama = binary("LLAMA_SERVER_BIN", "build/llama-server/bin/llama-server", "./dev bench builds it")
    own, other = (["--chat-template", str(template)], ["--chat-template-file", str(template)]) if template else ([], [])
    ours = start_kvern(model, threads, context, logs, *own, *flags, parallel=parallel)
    theirs = Server("llama-server", [llama, "-m", model, "--port", "{port}", "-t", str(threads), "-c", str(their_context or context),
                                     "-fa", "on", "-np", str(parallel), "-kvu", "--jinja", *other], logs / "llama-server.log")
    return ours, theirs
