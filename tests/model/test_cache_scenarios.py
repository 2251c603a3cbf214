"""Every shape of agent traffic with real models: nothing is computed twice, and nothing is reused wrongly.

The scenarios are those of the benchmark (bench/scenarios). The client keeps its own account of what
it had computed; `wasted` is what a server computed beyond what was new. A model whose state cannot be
cut may compute again from the last place where a message ended. Greedy text equals that of a server
without a cache wherever the model is sure of it.

Not possible yet, and so not here: a tool that is loaded later, a model swapped out and back.
"""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from server import ROOT, Server

sys.path.insert(0, str(ROOT / "bench"))

from scenarios.lives import LIVES  # noqa: E402
from scenarios.shapes import SHAPES  # noqa: E402
from scenarios.talk import Answer, Size, Skip, Talk  # noqa: E402

pytestmark = pytest.mark.model

MODELS = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kvern/models"
THREADS = os.environ.get("KVERN_TEST_THREADS", "2")
NOISE = 0.4  # as in test_model_reuse.py
SIZE = Size(head_words=90, turn_words=16, answer_tokens=10)  # heads of more than a block, and no more
HEADER_TOKENS = 8  # a boundary may lie on either side of the tokens that open and close a message


class Model:
    def __init__(self, file, can_be_cut):
        self.path = MODELS / file
        self.can_be_cut = can_be_cut


MODEL_FILES = {
    "smollm2": Model("SmolLM2-135M-Instruct.Q4_1.gguf", can_be_cut=True),
    "gemma3": Model("gemma-3-270m-Q4_K_M.gguf", can_be_cut=False),
}


class Subject:
    """What a Talk talks to: servers one after another on one cache directory, stopped with all checks."""

    name = "kvern"
    is_kvern = True
    sequences = 3

    def __init__(self, model, folder, *flags):
        self.model, self.folder, self.flags = model, folder, flags
        self.server = None
        self.start()

    def start(self, folder=None):
        self.server = Server("--threads", THREADS, "--context", "4096", "--parallel", str(self.sequences), "--cache-dir",
                             folder or self.folder, *self.flags, model=self.model.path, start_timeout_s=300, timeout_s=300)

    def stop(self):
        self.server.stop()

    def kill(self):
        self.server.process.kill()
        self.server.wait()
        self.server.__exit__(ChildProcessError)

    def abandon(self):
        self.server.__exit__(ChildProcessError)

    @contextmanager
    def second(self):
        other = Subject(self.model, self.folder)
        try:
            yield other
            other.stop()
        finally:
            other.abandon()

    def post(self, path, body):
        response = self.server.post(path, body)
        assert response.status_code == 200, response.text
        return response.json()

    def complete(self, body):
        raw = self.post("/v1/chat/completions", body | {"logprobs": True, "top_logprobs": 2})
        [choice], usage = raw["choices"], raw["usage"]
        message = {key: value for key, value in choice["message"].items() if value and key != "refusal"}
        return Answer(message, choice["finish_reason"], usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"],
                      usage["kvern"]["ttft_ms"], usage["kvern"]["why"], raw)


@pytest.fixture(scope="module", params=MODEL_FILES)
def model(request, kvern, serve_model):
    found = MODEL_FILES[request.param]
    if request.param == "smollm2" and not found.path.exists():
        serve_model()  # fetches it
    if not found.path.exists():
        pytest.skip(f"no {found.path.name} in the cache folder; ./dev test fetches it")
    return found


@pytest.fixture(scope="module")
def plain(model, tmp_path_factory):
    """A server without a cache."""
    subject = Subject(model, tmp_path_factory.mktemp("plain"), "--no-cache")
    yield subject
    subject.stop()


class Comparison:
    """Holds the answers of a scenario against those of a server without a cache."""

    def __init__(self, plain):
        self.plain = plain
        self.sure = 0    # tokens that had to be equal, and were
        self.left = 0    # answers that could not be compared

    def check(self, step, body, answer):
        if not step:  # it prepared the ones that count
            return
        other = self.plain.complete(body)
        assert other.cached == 0
        # A turn remembered in the tokens it was written in is not the same prompt to the model.
        if other.prompt != answer.prompt:
            self.left += 1
            return
        ours, theirs = tokens_of(answer), tokens_of(other)
        sure = next((i for i, token in enumerate(theirs) if margin(token) <= NOISE), len(theirs))
        assert [token["bytes"] for token in ours[:sure]] == [token["bytes"] for token in theirs[:sure]]
        self.sure += sure


def tokens_of(answer):
    return answer.raw["choices"][0]["logprobs"]["content"]


def margin(token):
    best, second = token["top_logprobs"]
    return best["logprob"] - second["logprob"]


@pytest.mark.parametrize("scenario", SHAPES + LIVES, ids=lambda scenario: scenario.__name__)
def test_nothing_is_computed_twice_and_nothing_reused_wrongly(model, plain, tmp_path, scenario, remark):
    subject = Subject(model, tmp_path / "cache")
    talk = Talk(subject, SIZE, boundaries=not model.can_be_cut)
    compared = Comparison(plain)
    talk.on_answer = compared.check
    try:
        scenario(talk)
        subject.stop()
    except Skip as e:
        pytest.skip(str(e))
    finally:
        subject.abandon()
    wasted = sum(row.wasted for row in talk.rows if not row.excused)
    told = [f"{row.step or 'before'}: prompt {row.prompt} reused {row.reused} wasted {row.wasted} {row.why}" for row in talk.rows]
    remark(f"{model.path.stem} {scenario.__name__}: wasted {wasted} of {sum(row.prompt for row in talk.rows)}, ttft "
           f"{max(row.ttft_ms for row in talk.rows):.0f} ms, {compared.sure} sure tokens equal, {compared.left} not comparable")
    too_much = [row for row in talk.rows if not row.excused and row.wasted > allowed(model, row)]
    assert not too_much, "\n".join(told)


def allowed(model, row):
    return 0 if model.can_be_cut else row.to_boundary + HEADER_TOKENS


# The checks above are only worth something where reuse happened, and what was compared was comparable.
def test_the_scenarios_compare_something(model, plain, tmp_path):
    subject = Subject(model, tmp_path / "cache")
    try:
        talk = Talk(subject, SIZE, boundaries=not model.can_be_cut)
        compared = Comparison(plain)
        talk.on_answer = compared.check
        for scenario in SHAPES[:2]:
            scenario(talk)
        assert compared.sure > 0
        assert sum(row.reused for row in talk.rows) > 0
        subject.stop()
    finally:
        subject.abandon()
