"""Real coding agents run whole errands on a fake model: their tools run, and no token is computed twice."""

import pytest

import errands
from clients import CLIENTS, missing
from judge import check_run

if why := missing():
    pytest.skip(why, allow_module_level=True)

DIALECTS = ["hermes", "qwen3-coder"]
PAIRS = [f"{name}-{dialect}" for name in CLIENTS for dialect in DIALECTS] + ["opencode-glm-4.5"]


@pytest.fixture(params=PAIRS)
def house(request, household):
    name, dialect = request.param.split("-", 1)
    house = household(name, dialect)
    house.dialect = dialect
    return house


def test_a_file_is_written_and_read_back_and_the_session_resumed(house):
    marker = house.place.work / "notes/marker.txt"
    last = check_run(house, house.ask("Please do errand-one."), errands.WRITE_AND_READ, house.dialect)
    assert marker.read_text() == "amber-7431\n"
    if house.client.go_on(house.place, "") is None:
        return  # only its terminal interface resumes a session
    check_run(house, house.go_on("Now errand-four."), errands.RESUMED, house.dialect, before=last)
    assert marker.read_text() == "amber-7431\nteal-902\n"


def test_two_calls_of_one_turn_both_run(house):
    check_run(house, house.ask("Please do errand-two."), errands.TWO_AT_ONCE, house.dialect)
    assert (house.place.work / "left.txt").read_text() == "left\n"
    assert (house.place.work / "right.txt").read_text() == "right\n"


def test_a_call_that_fails_comes_back_as_its_result(house):
    check_run(house, house.ask("Please do errand-three."), errands.FAILS, house.dialect)
