"""`kvern AGENT` in a terminal: Ctrl-C, Ctrl-Z, and the pages that describe what is set."""

import json
import os
import pty
import re
import signal
import time

import pytest

from server import BINARY, ROOT, wait_until
from test_launch import CLIENTS, Desk

PAGES = {"claude": "claude-code", "qwen": "qwen-code"}
HEADINGS = ["Start it", "What it sets", "By hand", "What to expect", "When something is off", "Undo"]


@pytest.fixture
def desk(tmp_path, kvern):
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def server(serve, fake):
    return serve("--name", "Coder", "--context", "64k", model=fake("x"))


class Terminal:
    """kvern as the leader of a terminal of its own."""

    def __init__(self, desk, *words, **extra):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(desk.project)
            os.execve(BINARY, [str(BINARY), *words], desk.variables(STUB_DO="wait", **extra))

    def type(self, text):
        os.write(self.fd, text)

    def state(self, pid):
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]

    def status(self):
        """Its exit status, once it has ended; what it wrote is read, so that it can."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                os.read(self.fd, 65536)
            except OSError:
                break
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def test_ctrl_c_is_for_the_client_alone(desk, server):
    terminal = Terminal(desk, "claude", "--server", server.base_url)
    desk.reported()
    terminal.type(b"\x03")
    assert terminal.status() == 77  # the client's own answer to it
    assert desk.left_over() == []


def test_stopping_the_client_stops_us_and_going_on_goes_on(desk, server):
    terminal = Terminal(desk, "claude", "--server", server.base_url)
    client = desk.reported()["pid"]
    os.kill(client, signal.SIGSTOP)  # as a client does that reads Ctrl-Z itself
    wait_until(lambda: terminal.state(terminal.pid) == "T", 10, "kvern stopped, so that the shell has the terminal")
    os.kill(terminal.pid, signal.SIGCONT)
    wait_until(lambda: terminal.state(client) != "T", 10, "the client goes on")
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.status() == 143
    assert desk.left_over() == []


@pytest.mark.parametrize("client", CLIENTS)
def test_the_page_of_a_client_names_all_that_is_set(desk, server, client):
    page = (ROOT / f"docs/clients/{PAGES.get(client, client)}.md").read_text()
    plan = json.loads(desk.run(client, "--server", server.base_url, "--dry-run", "--json").stdout)
    keys = [word.split("=", 1)[0] for word in plan["argv"] if re.match(r"[a-z_.]+=", word)]
    for name in [*plan["set"], *[key for key in keys if not key.endswith(".name")]]:
        assert f"`{name}`" in page, f"{name} is missing"
    if client != "anyclaude":
        for name in plan["unset"]:
            assert f"`{name}`" in page, f"{name}, which is left out, is missing"


@pytest.mark.parametrize("page", sorted((ROOT / "docs/clients").glob("*.md")), ids=lambda path: path.stem)
def test_every_page_has_the_same_headings(page):
    assert re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE) == HEADINGS
