"""What is sent to a server does not depend on what it answers, and every request leaves a row."""

import json
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from scenarios import agent_run, agent_tables, agent_traffic  # noqa: E402

FAST = agent_run.Pace(scale=500, haste=1e9)
SEED_WITH_SUB_AGENTS = 0
TURNS = 12


class Stub:
    """Stands where a servers.Server does: answers a text, and keeps who asked when."""

    def __init__(self, text="yes", timings=False, fails_at=()):
        self.text, self.timings, self.fails_at = text, timings, set(fails_at)
        self.asked, self.lock = [], threading.Lock()

    def post(self, path, body):
        assert path == "/tokenize"
        return {"tokens": [7] if body["content"] == "<|im_end|>" else [1, 2, 3]}

    def stream(self, path, body):
        assert path == "/v1/chat/completions"
        begin = time.monotonic()
        with self.lock:
            number = len(self.asked)
            self.asked.append([body, begin, None])
        time.sleep(0.001)
        self.asked[number][2] = time.monotonic()
        if number in self.fails_at:
            raise SystemExit("503")
        usage = {"prompt_tokens": 100, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 60}}
        last = {"choices": [], "usage": usage} | ({"timings": {"prompt_n": 41, "cache_n": 59}} if self.timings else {})
        return [0.1, 0.2, 0.3], [{"choices": [{"delta": {"role": "assistant"}}]}, {"choices": [{"delta": {"content": self.text}}]}, last]


def run(stub):
    return agent_run.measure(stub, SEED_WITH_SUB_AGENTS, TURNS, FAST)


def bodies(stub):
    return sorted(json.dumps(body) for body, _, _ in stub.asked)


def test_the_same_is_sent_whatever_is_answered():
    one, other = Stub("yes"), Stub("no, and here is why", timings=True)
    run(one)
    run(other)
    assert bodies(one) == bodies(other)


def test_a_server_that_counts_computed_tokens_itself_is_believed():
    assert {row["computed"] for row in run(Stub())["rows"]} == {40}
    assert {row["computed"] for row in run(Stub(timings=True))["rows"]} == {41}


def test_the_first_token_is_the_first_text():
    assert run(Stub())["rows"][0]["ttft_ms"] == pytest.approx(200)


def test_what_would_end_an_answer_is_forbidden():
    stub = Stub()
    run(stub)
    assert all(body["logit_bias"] == {"7": -100} for body, _, _ in stub.asked)


def test_a_failed_request_is_a_row_and_its_agent_goes_on():
    value = run(Stub(fails_at=(3, 5)))
    planned = len(list(agent_traffic.in_order(agent_traffic.traffic(SEED_WITH_SUB_AGENTS, turns=TURNS))))
    assert len(value["rows"]) == planned == value["planned"]["requests"]
    assert [row["failed"] for row in value["rows"] if "failed" in row] == ["SystemExit: 503"] * 2
    assert agent_tables.MEASURES["failed requests"][1](value) == 2


def test_a_parent_waits_for_its_sub_agents():
    stub = Stub()
    run(stub)
    spans = {}
    for body, begin, end in stub.asked:
        spans.setdefault(body["prompt_cache_key"], []).append((begin, end))
    subs = [who for who in spans if "/sub" in who]
    assert subs
    for who in subs:
        parent = spans[who.split("/")[0]]
        assert not any(begin < spans[who][-1][1] and end > spans[who][0][0] for begin, end in parent)
