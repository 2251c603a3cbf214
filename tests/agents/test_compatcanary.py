"""An independent check of "OpenAI-compatible": the probes of CompatCanary's profile `modern`."""

import json

import pytest

from clients import CompatCanary, missing
from harness import Household

if why := missing():
    pytest.skip(why, allow_module_level=True)



# Its tool and its schema force the rest: the model only ever says this.
RULES = [{"say": "CANARY_OK"}]


@pytest.mark.parametrize("profile", ["chat", "modern"])
def test_every_probe_passes(kvern, isolation, tmp_path, profile):
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"context": 65536, "dialect": "hermes", "rules": RULES}))
    with Household(CompatCanary(), tmp_path, model=f"fake:{path}") as house:
        run = house.ask(profile)
        assert run.code == 0, run
        report = json.loads(run.stdout)
        assert report["score"] == 100 and report["compatible"], run
        assert not house.server.log("refused"), run
