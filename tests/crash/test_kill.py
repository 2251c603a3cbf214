"""However the server dies, the next one starts, answers right, and finds a directory without damage.

25 deaths by default, 1000 with KVERN_FULL=1.
"""

import os
import signal
import time

import pytest

from server import wait_until
from traffic import Crowd

DEATHS = 1000 if os.environ.get("KVERN_FULL") == "1" else 25
BUDGET = 1 << 20  # some dozens of records: the store evicts all the time
IDLE_S = 2.0      # a conversation idle for so long is written


def die_at_start(host, crowd, truth, dice):
    process = host.spawn()
    time.sleep(dice.uniform(0, 0.1))
    process.kill()
    process.wait()


def die_in_traffic(host, crowd, truth, dice):
    server = host.start()
    talk = crowd.start(server, truth)
    time.sleep(dice.uniform(0.05, 1.5))
    talk.expect_death()
    host.kill(server)
    talk.stop()


def die_while_idle_conversations_are_written(host, crowd, truth, dice):
    server = host.start()
    crowd.talk(server, truth, 0.5)
    time.sleep(IDLE_S + dice.uniform(-0.1, 0.4))
    host.kill(server)


def die_while_ending(host, crowd, truth, dice):
    server = host.start()
    crowd.talk(server, truth, dice.uniform(0.1, 0.5))
    server.signal(signal.SIGTERM)
    time.sleep(dice.uniform(0, 0.05))
    host.kill(server)


WAYS = [die_at_start, die_in_traffic, die_in_traffic, die_while_idle_conversations_are_written, die_while_ending, die_while_ending]


def check_directory(host):
    said = host.records.verify()
    assert said["bad"] == 0, said
    assert host.records.allocated_bytes() <= BUDGET + host.records.largest_bytes()


def test_killed_at_any_moment_it_starts_again_and_answers_right(host, truth, dice, remark):
    host = host("--parallel", "4", "--cache-ram", "192K", "--cache-disk", str(BUDGET))
    crowd = Crowd(dice.random())
    from_disk = 0
    for death in range(DEATHS):
        dice.choice(WAYS)(host, crowd, truth, dice)
        check_directory(host)
        server = host.start()
        for conversation in crowd.conversations()[:4]:
            if conversation.asked:
                from_disk += server.request_log(conversation.repeat(server))["disk"]
        if death % 5 == 4:
            host.stop(server)
            check_directory(host)
        else:
            host.kill(server)
    remark(f"{DEATHS} deaths, {crowd.requests} requests, {from_disk} tokens came back from disk")
    assert from_disk > 0, "nothing survived any death, so this shows nothing"


# What the log promised to have written is there.
def test_what_was_idle_for_a_while_survives_a_kill(host, truth):
    host = host("--parallel", "4")
    crowd = Crowd(1)
    server = host.start()
    crowd.grow(server, truth, 6)
    before = wait_until(lambda: settled(host.records), 30, "written")
    host.kill(server)
    assert host.records.names() == before
    server = host.start()
    for conversation in crowd.conversations():
        line = server.request_log(conversation.repeat(server))
        assert line["computed"] <= 2, line
    host.stop(server)


def settled(records):
    """The names of the records once there have been some and none came for a second; else nothing."""
    names = records.names()
    if not names:
        return None
    time.sleep(IDLE_S + 1)
    return names if records.names() == names else None


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_folder_and_its_records_are_nobody_elses(host, truth, end):
    host = host("--parallel", "4")
    server = host.start()
    Crowd(2).grow(server, truth, 2)
    wait_until(lambda: settled(host.records), 30, "written")
    getattr(host, end)(server)
    for path in host.records.records():
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_after_a_clean_end_nothing_is_computed_again(host, truth):
    host = host("--parallel", "4")
    crowd = Crowd(3)
    server = host.start()
    crowd.grow(server, truth, 9)
    host.stop(server)
    server = host.start()
    for conversation in crowd.conversations():
        line = server.request_log(conversation.repeat(server))
        assert 1 <= line["computed"] <= 2, line
        # Of the next turn only what is new: the end of the last answer, the question, the header.
        answer = conversation.ask(server)
        line = server.request_log(answer)
        question = conversation.asked[-1]["content"]
        assert line["computed"] == len(f"E\nSuser\n{question}E\nSassistant\n"), line
        conversation.check(truth)
    host.stop(server)
