"""Fixtures for the tests that drive the real binary. KVERN_BIN names another one than build/dev/kvern."""

import json
import os
from contextlib import ExitStack

import pytest

import server as servers
from server import DidNotStart, Server

THREADS = os.environ.get("KVERN_TEST_THREADS", "2")  # on a busy machine 1 is faster than 2

remarks = []


@pytest.fixture(scope="session")
def kvern():
    """The binary."""
    if not servers.BINARY.is_file():
        pytest.skip(f"there is no binary {servers.BINARY}: build it, or name one with KVERN_BIN")
    return servers.BINARY


@pytest.fixture(scope="module")
def serve(kvern):
    """Starts servers that live as long as the module, and ends them cleanly."""
    with ExitStack() as stack:
        yield lambda *flags, **options: stack.enter_context(Server(*flags, **options))


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    """Writes a script for the fake engine; gives what --model wants."""

    def write(*rules, **settings):
        script = {"rules": [{"say": rule} if isinstance(rule, str) else rule for rule in rules]} | settings
        path = tmp_path_factory.mktemp("script") / "script.json"
        path.write_text(json.dumps(script))
        return f"fake:{path}"

    return write


@pytest.fixture(scope="module")
def serve_model(kvern):
    """Starts servers with the default model; skips where it can be neither found nor fetched."""
    with ExitStack() as stack:

        def start(*flags):
            try:
                server = Server("--threads", THREADS, *flags, start_timeout_s=300, timeout_s=300)
            except DidNotStart as e:
                if "could not be fetched" not in e.stderr:
                    raise
                pytest.skip(f"no model: {e.stderr.splitlines()[-1]}")
            return stack.enter_context(server)

        yield start


@pytest.fixture
def remark():
    """Adds a line to the end of the run: numbers a reader wants that are neither right nor wrong."""
    return remarks.append


def pytest_terminal_summary(terminalreporter):
    for line in remarks:
        terminalreporter.write_line(f"remark: {line}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for server in Server.running:
            report.sections.append((f"log of kvern {server.process.pid}", "\n".join(server.lines[-8:])))
    return report
