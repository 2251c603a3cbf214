"""`kvern status --watch`: in a terminal, in a pipe, as JSON, and what becomes of it when the server goes."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import threading
import time

import pytest

from server import BINARY, Server, environment, run_kvern, wait_until
from test_launch import loading_server, no_server  # noqa: F401

LONG = "word " * 400
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def server(serve, fake):
    """20 tokens a second."""
    return serve("--name", "coder", model=fake(LONG, tokens_per_second=20, prefill_tokens_per_second=2000))


class Watching:
    """The command with its output in a pipe, read as it comes."""

    def __init__(self, address, *flags, **extra):
        self.process = subprocess.Popen([BINARY, "status", "--watch", "--server", address, *flags], text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment(**extra))
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, text):
        return wait_until(lambda: next((line for line in self.lines if text in line), None), 20, f"{text} in {self.lines}")

    def end(self, number=signal.SIGINT):
        if number:
            self.process.send_signal(number)
        code = self.process.wait(10)
        self.reader.join(10)
        return code, self.process.stderr.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def test_in_a_pipe_each_step_of_a_request_is_a_line_without_colours(server):
    with Watching(server.base_url) as watching:
        assert "kvern coder · idle" in watching.wait_for("kvern coder")
        answer = server.chat("x" * 2000, max_tokens=20)
        end = watching.wait_for(f"{answer['id']} length ")
        assert re.search(r"prompt=\d+ reused=\d+ % \(\w+\) ttft=\S+ s out=20 @\d+\.\d tok/s", end)
        assert watching.end() == (130, "")
    assert not any("\x1b" in line for line in watching.lines)
    of_it = [line for line in watching.lines if answer["id"][:17] in line]
    words = ["prefill", "decode", "length"]
    seen = [word for line in of_it for word in words if f" {word} " in line]
    assert seen == sorted(seen, key=words.index) and {"decode", "length"} <= set(seen)


def test_as_json_every_event_is_a_line(server):
    with Watching(server.base_url, "--json") as watching:
        assert json.loads(watching.wait_for("snapshot"))["data"]["version"] == 1
        answer = server.chat("Hi", max_tokens=3)
        watching.wait_for('"end"')
        assert watching.end(signal.SIGTERM) == (143, "")
    events = [json.loads(line) for line in watching.lines]
    assert {event["event"] for event in events} == {"snapshot", "change", "end"}
    assert next(event for event in events if event["event"] == "end")["data"]["id"] == answer["id"]


def test_json_without_watching_is_the_state_once(server):
    run = run_kvern("status", "--json", "--server", server.base_url)
    assert run.returncode == 0 and run.stderr == "" and json.loads(run.stdout)["model"] == "coder"


def test_who_reads_no_more_is_no_error(server):
    command = f"{BINARY} status --watch --json --server {server.base_url} | head -1; echo ${{PIPESTATUS[0]}}"
    piped = subprocess.Popen(["bash", "-c", command], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert json.loads(piped.stdout.readline())["event"] == "snapshot"
    server.chat("Hi", max_tokens=3)
    assert piped.communicate(timeout=30) == ("0\n", "")


def test_ctrl_c_is_heard_while_nobody_reads(server):
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    process = subprocess.Popen([BINARY, "status", "--watch", "--json", "--server", server.base_url], text=True,
                               stdin=subprocess.DEVNULL, stdout=write_end, stderr=subprocess.PIPE, env=environment())
    os.close(write_end)
    try:
        select.select([read_end], [], [], 20)
        server.chat("Hi", max_tokens=80)  # 16 events
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130 and process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()
        os.close(read_end)


def test_a_server_that_stops_is_told_with_an_exit_status(kvern, fake):
    server = Server(model=fake("Hello."))
    with Watching(server.base_url) as watching:
        watching.wait_for("idle")
        server.stop()
        code, said = watching.end(None)
    assert code == 1 and said == f"error: the server at {server.base_url} has stopped\n"


def test_a_server_that_is_killed_is_told_too(kvern, fake):
    server = Server(model=fake("Hello."))
    with Watching(server.base_url) as watching:
        watching.wait_for("idle")
        server.process.kill()
        code, said = watching.end(None)
    server._end()
    assert code == 1 and said.startswith("error: the server is gone: ") and server.base_url in said


def test_nobody_to_watch_and_no_key_are_told(serve, fake, no_server):  # noqa: F811
    run = run_kvern("status", "--watch", "--server", no_server)
    assert run.returncode == 3 and "kvern serve" in run.stderr and run.stdout == ""
    locked = serve("--api-key", "k", model=fake("x"))
    run = run_kvern("status", "--watch", "--server", locked.base_url)
    assert run.returncode == 3 and "--api-key" in run.stderr
    with Watching(locked.base_url, KVERN_API_KEY="k") as watching:
        watching.wait_for("idle")
    run = run_kvern("status", "--watch", "--line", "--server", locked.base_url)
    assert run.returncode == 2 and "--line" in run.stderr


def test_a_model_that_loads_is_waited_for_and_a_server_without_events_is_told():
    with loading_server(is_done=lambda asked: asked > 2) as address:
        run = run_kvern("status", "--watch", "--server", address)
    assert "loads its model" in run.stderr
    assert run.returncode != 0 and "error: " in run.stderr, "it says that it has no such stream, or ends it"


class Terminal:
    """kvern as the leader of a terminal of its own; what it draws is read all the time."""

    def __init__(self, *words, columns=100, rows=30):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            variables = environment(TERM="xterm", COLUMNS="", LINES="")
            variables.pop("NO_COLOR")
            os.execve(BINARY, [str(BINARY), *words], variables)
        termios.tcsetwinsize(self.fd, (rows, columns))
        self.modes = termios.tcgetattr(self.fd)
        self.output = ""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        try:
            while piece := os.read(self.fd, 65536):
                self.output += piece.decode(errors="replace")
        except OSError:
            pass

    def wait_for(self, text):
        wait_until(lambda: text in self.output, 20, f"{text} on the screen")

    def status(self):
        _, status = os.waitpid(self.pid, 0)
        self.reader.join(10)
        return os.waitstatus_to_exitcode(status)


def test_a_terminal_is_redrawn_line_by_line_and_left_as_it_was(server):
    terminal = Terminal("status", "--watch", "--server", server.base_url)
    terminal.wait_for("kvern coder")
    answer = server.chat("Hi", max_tokens=20)
    terminal.wait_for(f"{answer['id']} length")
    assert termios.tcgetattr(terminal.fd) == terminal.modes
    os.write(terminal.fd, b"\x03")
    assert terminal.status() == 130
    os.close(terminal.fd)
    drawn = terminal.output
    assert "\x1b[32m" in drawn and "decode" in drawn
    modes = set(re.findall(r"\x1b\[\?(\d+)[hl]", drawn))
    assert modes == {"2026"}, "the cursor is not hidden, no other screen is used"
    assert drawn.count("\x1b[?2026h") == drawn.count("\x1b[?2026l")
    assert "\x1b[2J" not in drawn, "nothing is cleared before it is drawn"
    assert not re.search(r"\x1b\[\d*m[^\x1b]*$", drawn), "colours end"


def test_lines_fit_a_narrow_terminal(server):
    terminal = Terminal("status", "--watch", "--server", server.base_url, columns=100)
    terminal.wait_for("kvern coder")
    termios.tcsetwinsize(terminal.fd, (10, 30))
    time.sleep(0.5)
    begin = len(terminal.output)
    server.chat("Hi", max_tokens=10)
    terminal.wait_for("1 running")
    os.write(terminal.fd, b"\x03")
    assert terminal.status() == 130
    os.close(terminal.fd)
    echoed = "^C"  # by the terminal, wherever the cursor was
    lines = ESCAPE.sub("", terminal.output[begin:]).replace("\r", "").replace(echoed, "").split("\n")
    assert max(map(len, lines)) == 30
