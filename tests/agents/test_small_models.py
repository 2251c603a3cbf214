"""The same clients on models too small for them: whatever nonsense is said and called, nothing breaks.

Every answer is well-formed for its client, which goes on until it is content or out of turns.
"""

import os
from pathlib import Path

import pytest

from clients import ClaudeBare, OpenCode, missing
from harness import Household

if why := missing():
    pytest.skip(why, allow_module_level=True)

pytestmark = pytest.mark.model

MODELS = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kvern/models"
CASES = {
    "claude-smollm2": (ClaudeBare, MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"),  # 8k
    "opencode-gemma3": (OpenCode, MODELS / "gemma-3-270m-Q4_K_M.gguf"),  # 32k, sliding
}
RUN_TIMEOUT_S = 400  # prompts of some thousand tokens, on cores that may be busy


# Codex and Cline set no limit to an answer: such a model would fill the window, which is no test of them. The
# prompts of the others are too long for these models, or for a test's time.
@pytest.mark.parametrize("case", CASES)
def test_a_client_gets_along_with_a_model_that_cannot_do_it(kvern, isolation, tmp_path, case):
    kind, file = CASES[case]
    if not file.is_file():
        pytest.skip(f"there is no {file.name} in {MODELS}")
    client = kind(turns=3, answer_tokens=96)
    threads = os.environ.get("KVERN_TEST_THREADS", "2")
    with Household(client, tmp_path, RUN_TIMEOUT_S, model=file, flags=("--threads", threads)) as house:
        run = house.ask("List the files of this folder.")
        assert run.code is not None, f"it never ended\n{run}"
        assert run.requests, run
        assert not house.server.log("refused"), f"{house.server.log('refused')}\n{run}"
        assert {r["finish"] for r in run.requests} <= {"stop", "length"}, run
        assert not house.server.log("invalid tool call"), run
