"""Fixtures for the tests with real coding agents."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clients import CLIENTS, DETOURS  # noqa: E402
from errands import rules  # noqa: E402
from harness import Household  # noqa: E402
from network import Network, NoNetwork  # noqa: E402

# ChatML for a model that reasons; it keeps the reasoning of former turns.
TEMPLATE = """
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.reasoning_content %}{{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}{%- endif %}
{{- message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""


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
        client = (CLIENTS | DETOURS)[name]
        script = {"context": 400_000, "dialect": dialect, "template": "chat.jinja",
                  "rules": rules(client, Household.place_in(tmp_path), dialect)}
        (tmp_path / "chat.jinja").write_text(TEMPLATE)
        path = tmp_path / "script.json"
        path.write_text(json.dumps(script))
        houses.append(Household(client, tmp_path, model=f"fake:{path}"))
        houses[-1].dialect = dialect
        return houses[-1]

    yield start
    for house in houses:
        house.close()
