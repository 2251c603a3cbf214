"""The agents' traffic is the same for the same seed, and has the shape of the sessions it stands for."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from scenarios import agent_run, agent_traffic  # noqa: E402
from scenarios.agent_traffic import in_order, new_tokens, traffic  # noqa: E402

SEEDS = range(6)
PACE = agent_run.Pace(scale=16, haste=20)


def requests_of(seed):
    return list(in_order(traffic(seed)))


def quantile(values, part):
    return sorted(values)[int(part * len(values))]


def test_a_seed_always_says_the_same():
    assert traffic(3) == traffic(3)
    first, again = (agent_run.body_of(requests_of(3)[40], PACE, {}) for _ in range(2))
    assert first == again


def test_another_seed_begins_with_other_words():
    heads = [agent_run.body_of(requests_of(seed)[0], PACE, {})["messages"][0]["content"].split()[:10] for seed in SEEDS]
    assert len({tuple(head) for head in heads}) == len(heads)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_new_in_a_request_has_the_recorded_quantiles(seed):
    new = list(new_tokens(requests_of(seed)))
    assert quantile(new, 0.5) == pytest.approx(agent_traffic.NEW_P50, rel=0.15)
    assert quantile(new, 0.9) == pytest.approx(agent_traffic.NEW_P90, rel=0.15)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_recorded_share_was_sent_before(seed):
    requests = requests_of(seed)
    resent = 1 - sum(new_tokens(requests)) / sum(request.prompt for request in requests)
    assert resent == pytest.approx(agent_traffic.RESENT, abs=0.007)


@pytest.mark.parametrize("seed", SEEDS)
def test_pauses_have_the_recorded_quantiles(seed):
    pauses = [request.think_s for request in requests_of(seed) if request.think_s > 0]
    assert quantile(pauses, 0.5) == pytest.approx(agent_traffic.THINK_P50_S, rel=0.2)
    assert quantile(pauses, 0.9) == pytest.approx(agent_traffic.THINK_P90_S, rel=0.2)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_request_fits_its_context_with_its_answer(seed):
    assert max(request.prompt + request.answer for request in requests_of(seed)) <= agent_traffic.CONTEXT


# Templates of some models refuse anything else.
@pytest.mark.parametrize("seed", SEEDS)
def test_users_and_assistants_take_turns(seed):
    for request in requests_of(seed):
        roles = [message.role for message in request.messages]
        assert roles == ["system", *("user", "assistant") * len(roles)][:len(roles)]
        assert roles[-1] == "user"


def test_every_kind_of_request_is_there():
    kinds = [request.kind for seed in SEEDS for request in requests_of(seed)]
    assert set(kinds) == {"start", "tool", "user", "sub", "fork", "compact"}


def test_a_session_only_grows_until_it_is_summed_up():
    for steps in traffic(3):
        before = None
        for step in steps:
            request = step.request
            if before and before.kind != "compact":
                assert request.messages[:len(before.messages)] == before.messages
            before = request


def test_a_parent_goes_on_without_its_fork():
    pairs = [(step, after) for seed in SEEDS for steps in traffic(seed) for step, after in zip(steps, steps[1:])
             if step.beside and step.beside[0][0].kind == "fork" and after.request.kind != "compact"]
    assert pairs
    for step, after in pairs:
        fork = step.beside[0][0]
        assert fork.messages[:len(step.request.messages)] == step.request.messages
        assert fork.messages[-1] not in after.request.messages


def test_messages_are_shrunk_by_the_scale():
    request = requests_of(0)[100]
    sent = agent_run.body_of(request, PACE, {})
    told = sum(len(message["content"].split()) + agent_run.TEMPLATE_TOKENS for message in sent["messages"])
    assert told == pytest.approx(request.prompt / PACE.scale, rel=0.02)
