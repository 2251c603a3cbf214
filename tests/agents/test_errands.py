"""Real coding agents run whole errands on a fake model: their tools run, and no token is computed twice."""

import pytest

import errands
from clients import CLIENTS, DETOURS, missing
from verdict import check_run

if why := missing():
    pytest.skip(why, allow_module_level=True)

PAIRS = [(name, dialect) for name in CLIENTS for dialect in ("hermes", "qwen3-coder")] + [("opencode", "glm-4.5")]


@pytest.fixture(params=PAIRS, ids="-".join)
def house(request, household):
    return household(*request.param)


@pytest.fixture(params=DETOURS)
def detour(request, household):
    return household(request.param, "hermes")


def write_read_and_resume(house):
    marker = house.place.work / "notes/marker.txt"
    last = check_run(house, house.ask("Please do errand-one."), errands.WRITE_AND_READ)
    assert marker.read_text() == "amber-7431\n"
    if house.client.go_on(house.place, "") is None:
        return  # only its terminal interface resumes a session
    check_run(house, house.go_on("Now errand-four."), errands.RESUMED, before=last)
    assert marker.read_text() == "amber-7431\nteal-902\n"


def test_a_file_is_written_and_read_back_and_the_session_resumed(house):
    write_read_and_resume(house)


def test_the_same_over_another_format_than_the_clients_own(detour):
    write_read_and_resume(detour)


def test_two_calls_of_one_turn_both_run(house):
    check_run(house, house.ask("Please do errand-two."), errands.TWO_AT_ONCE)
    assert (house.place.work / "left.txt").read_text() == "left\n"
    assert (house.place.work / "right.txt").read_text() == "right\n"


def test_a_call_that_fails_comes_back_as_its_result(house):
    check_run(house, house.ask("Please do errand-three."), errands.FAILS)


# Its definition appears where it was asked for: the tools at the head of the prompt stay as they are.
@pytest.mark.parametrize("dialect", ["hermes", "qwen3-coder"])
def test_a_tool_that_is_loaded_later_costs_no_token_before_it(household, dialect):
    house = household("claude", dialect)
    check_run(house, house.ask("Please do errand-seven."), errands.LOADS_A_TOOL)


# Whether or not a client sends reasoning back, and in whichever field. Not so Qwen Code over Responses: it sends
# it back as a message of the assistant, so the conversation means something else than it was.
@pytest.mark.parametrize("name", [name for name in (*CLIENTS, *DETOURS) if name != "qwen+responses"])
def test_reasoning_comes_back_as_it_was(household, name):
    house = household(name, "hermes")
    last = check_run(house, house.ask("Please do errand-five."), errands.THINKS)
    if house.client.go_on(house.place, "") is not None:
        check_run(house, house.go_on("And errand-six."), errands.THINKS_ON, before=last)
