"""Scenarios in which a server ends, or shares its directory, or loses it. Each starts what it needs."""

import random
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from scenarios.account import Account
from scenarios.talk import Skip, Talk

KINDS = (".block", ".tail", ".snapshot", ".turn")


def restart(talk):
    chat = talk.turns(talk.opening(), 2)
    talk.subject.stop()
    talk.subject.start()
    talk.turns(chat, 2, "after restart")


def kill_9(talk):
    chat = talk.turns(talk.opening(), 2)
    talk.settle()
    talk.subject.kill()
    talk.subject.start()
    talk.turns(chat, 2, "after kill -9")


def damaged_directory(talk):
    if not talk.subject.folder:
        raise Skip("it keeps nothing on disk")
    chat = talk.turns(talk.opening(), 2)
    talk.subject.stop()
    records = sorted(path for path in talk.subject.folder.rglob("*") if path.suffix in KINDS)
    assert records, "nothing was kept on disk"
    dice = random.Random(7)
    for path in dice.sample(records, (len(records) + 1) // 2):
        flip_bit(path, dice)
    talk.subject.start()
    message = talk.ask([*chat, talk.user(200)], "after damage", excused=True)
    talk.turns([*chat, talk.user(200), message], 1, "then")


def flip_bit(path, dice):
    data = bytearray(path.read_bytes())
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)


@contextmanager
def small_disk(size):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "kvern-test", folder], capture_output=True, text=True)
        if done.returncode != 0:
            raise Skip(f"no small disk can be mounted, which needs root: {done.stderr.strip()}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def disk_full(talk):
    if not talk.subject.folder:
        raise Skip("it keeps nothing on disk")
    talk.subject.stop()
    with small_disk("2m") as folder:
        talk.subject.start(folder)
        try:
            chat = talk.turns(talk.opening(seed=9), 2)
            talk.settle()
            talk.turns(chat, 2, "disk full")
        finally:
            talk.subject.stop()
    talk.subject.start()


def two_servers(talk):
    if not talk.subject.folder:
        raise Skip("it keeps nothing on disk")
    chat = talk.turns(talk.opening(), 2)
    talk.settle()
    with talk.subject.second() as other:
        # What the second computes the first cannot know: only the owner writes.
        second = Talk(other, talk.size, Account(talk.account.known), talk.boundaries)
        second.on_answer = talk.on_answer
        second.turns(chat, 1, "the second")
        talk.rows += second.rows
        talk.ask([*chat, talk.user(210)], "the first")


LIVES = [restart, kill_9, damaged_directory, disk_full, two_servers]
