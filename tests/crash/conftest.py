"""Servers on one cache directory, ended by force as well as by signal."""

import random
import subprocess
from contextlib import contextmanager

import pytest

import server as servers
from records import Records
from server import Server
from traffic import LIMITS, PREFILL_TOKENS_S, RULE


def let_go(server):
    """Of one that is dead, or shall be: without the checks of a clean end."""
    server.__exit__(ChildProcessError)


class Host:
    """Starts one server after another on the same directory."""

    def __init__(self, folder, model, *flags):
        self.records = Records(folder)
        self.flags = ["--cache-dir", folder, *flags]
        self.model = model
        self.alive = []

    def start(self, *flags, **options):
        server = Server(*self.flags, *flags, model=self.model, **options)
        self.alive.append(server)
        return server

    def stop(self, server):
        self.alive.remove(server)
        server.stop()

    def kill(self, server):
        """As a power cut is to the process. What it had logged until then has to be clean all the same."""
        self.alive.remove(server)
        server.process.kill()
        server.wait()
        let_go(server)
        server.lines = server.lines[:-1] + [line for line in server.lines[-1:] if line.endswith("}")]
        server.check_log()

    def spawn(self):
        """A start nobody waits for."""
        command = [servers.BINARY, "serve", "--port", "0", "--model", self.model, *self.flags]
        return subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, env=servers.environment())

    def end(self):
        for server in self.alive:
            let_go(server)


@pytest.fixture(scope="module")
def script(fake):
    return fake(RULE, prefill_tokens_per_second=PREFILL_TOKENS_S, **LIMITS)


@pytest.fixture(scope="module")
def truth(serve, fake):
    """A server without a cache."""
    return serve("--no-cache", model=fake(RULE, **LIMITS))


@pytest.fixture
def host(kvern, script, tmp_path):
    """Gives hosts: host(flags...) on the test's own directory, host(flags..., folder=F) on another."""
    with hosting(script, tmp_path / "cache") as make:
        yield make


@contextmanager
def hosting(script, default_folder):
    hosts = []

    def make(*flags, folder=default_folder, **options):
        hosts.append(Host(folder, options.get("model", script), *flags))
        return hosts[-1]

    try:
        yield make
    finally:
        for made in hosts:
            made.end()


@pytest.fixture
def dice(request):
    """Another sequence for each test, the same in every run."""
    return random.Random(request.node.name)
