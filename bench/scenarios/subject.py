"""The servers a benchmark puts through the scenarios: kvern, and llama-server beside it."""

import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from scenarios.talk import Answer
from servers import ROOT, Server

KVERN = os.environ.get("KVERN_BIN", str(ROOT / "build/dev/kvern"))
LLAMA = os.environ.get("LLAMA_SERVER_BIN", str(ROOT / "build/llama-server/bin/llama-server"))


class Options:
    def __init__(self, model, threads, context=8192, parallel=4, ram_mib=None, logs=None, disk=True):
        self.model, self.threads, self.context, self.parallel, self.ram_mib = model, threads, context, parallel, ram_mib
        self.disk = disk  # whether kvern keeps what it knows there, too
        self.logs = logs or Path(tempfile.gettempdir()) / "kvern-bench"
        self.logs.mkdir(parents=True, exist_ok=True)


class Subject:
    """Either server; what differs is its command, and whether it keeps anything on disk."""

    name = ""
    is_kvern = False

    def __init__(self, options, folder=None):
        self.options = options
        self.sequences = options.parallel
        self.folder = folder
        self.server = None
        self.start()

    def start(self, folder=None):
        self.server = Server(self.name, self.command(folder or self.folder), self.options.logs / f"{self.name}.log")

    def stop(self):
        self.server.stop()

    def kill(self):
        self.server.process.kill()
        self.server.process.wait()
        self.server.log.close()

    def close(self):
        if self.server.process.poll() is None:
            self.stop()

    def post(self, path, body):
        return self.server.post(path, body)

    def complete(self, body):
        """An Answer, put together from its stream, with the time its first token took to come."""
        times, events = self.server.stream("/v1/chat/completions", body)
        usage = next(event["usage"] for event in reversed(events) if event.get("usage"))
        message, finish, first = {"role": "assistant", "content": ""}, "", None
        for at, event in zip(times, events):
            for choice in event.get("choices") or []:
                finish = choice.get("finish_reason") or finish
                if add(message, choice["delta"]) or choice.get("finish_reason"):
                    first = first or at
        why = (usage.get("kvern") or {}).get("why", "")
        return Answer(message, finish, usage["prompt_tokens"],
                      (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0), 1000 * first, why)

    def gaps_ms(self, body):
        """(when each token after the first came, milliseconds since the one before it)"""
        begin = time.perf_counter()
        times, events = self.server.stream("/v1/chat/completions", body)
        shown = [t for t, e in zip(times, events) if any(c["delta"].get("content") for c in e.get("choices") or [])]
        return [(begin + b, 1000 * (b - a)) for a, b in zip(shown, shown[1:])]


def add(message, delta):
    """Whether the delta said anything."""
    for name in ("content", "reasoning_content"):
        if delta.get(name):
            message[name] = message.get(name, "") + delta[name]
    for piece in delta.get("tool_calls") or []:
        calls = message.setdefault("tool_calls", [])
        while len(calls) <= piece["index"]:
            calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        call = calls[piece["index"]]
        call["id"] += piece.get("id") or ""
        for name, text in (piece.get("function") or {}).items():
            call["function"][name] += text or ""
    return any(delta.get(name) for name in ("content", "reasoning_content", "tool_calls"))


class Kvern(Subject):
    name = "kvern"
    is_kvern = True

    def __init__(self, options, folder=None):
        self.made = None if folder else tempfile.mkdtemp(prefix="kvern-cache-")
        super().__init__(options, Path(folder or self.made))

    def command(self, folder):
        o = self.options
        limits = ["--cache-ram", f"{o.ram_mib}M"] if o.ram_mib else []
        limits += [] if o.disk else ["--cache-disk", "0"]
        return [KVERN, "serve", "--model", o.model, "--port", "{port}", "--threads", str(o.threads), "--context", str(o.context),
                "--parallel", str(o.parallel), "--cache-dir", str(folder), "--log-format", "json", *limits]

    @contextmanager
    def second(self):
        other = Kvern(self.options, self.folder)
        try:
            yield other
        finally:
            other.close()

    def close(self):
        super().close()
        if self.made:
            shutil.rmtree(self.made, ignore_errors=True)


class Llama(Subject):
    name = "llama-server"

    def command(self, _):
        o = self.options
        ram = ["--cache-ram", str(o.ram_mib)] if o.ram_mib else []
        return [LLAMA, "-m", o.model, "--port", "{port}", "-t", str(o.threads), "-c", str(o.context * 2), "-fa", "on",
                "-np", str(o.parallel), "-kvu", "--jinja", *ram]
