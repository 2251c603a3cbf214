"""Fixtures for the tests with real coding agents."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clients import CLIENTS  # noqa: E402
from errands import rules  # noqa: E402
from harness import Household  # noqa: E402
from network import Network, NoNetwork  # noqa: E402


@pytest.fixture(scope="session")
def isolation():
    try:
        Network().close()
    except NoNetwork as e:
        pytest.skip(f"agents are only run where they reach nobody: {e}")


@pytest.fixture
def household(kvern, isolation, tmp_path):
    """Starts a client's server with the fake engine, which knows every errand in this dialect."""
    houses = []

    def start(name, dialect):
        client = CLIENTS[name]
        script = {"context": 400_000, "dialect": dialect, "rules": rules(client, Household.place_in(tmp_path), dialect)}
        path = tmp_path / "script.json"
        path.write_text(json.dumps(script))
        houses.append(Household(client, tmp_path, model=f"fake:{path}"))
        return houses[-1]

    yield start
    for house in houses:
        house.close()
