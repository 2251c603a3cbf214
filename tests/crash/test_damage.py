"""What is not as it was written is not used: every answer is right, and the damaged file is put aside."""

import shutil
import threading

import pytest

from records import empty, find_number, flip_bit, holds, overwrite_with_junk, truncate
from server import wait_until
from traffic import Crowd

SMALL_RAM = ("--parallel", "2", "--cache-ram", "64K")  # so that what is asked again comes from disk


@pytest.fixture
def filled(host, truth):
    """A host whose directory holds the records of some conversations, and these."""
    host = host(*SMALL_RAM)
    crowd = Crowd(5)
    server = host.start()
    crowd.grow(server, truth, 9)
    host.stop(server)
    assert len(host.records.records()) > 20
    return host, crowd


def ask_all(server, crowd, truth):
    for conversation in crowd.conversations():
        conversation.repeat(server)
        conversation.ask(server)
        conversation.check(truth)


def check_put_aside(host, damaged):
    """Wherever a check came by: at start, at a read, or in verify. Then none is left in its place."""
    host.records.verify()
    assert host.records.verify()["bad"] == 0
    assert [path for path, data in damaged.items() if data is not None and holds(path, data)] == []


@pytest.mark.parametrize("harm", [flip_bit, truncate, empty, overwrite_with_junk])
@pytest.mark.parametrize("part", [0.1, 1.0], ids=["some", "all"])
def test_records_damaged_while_nobody_looked(filled, truth, dice, harm, part):
    host, crowd = filled
    records = host.records.records()
    damaged = {path: harm(path, dice) for path in dice.sample(records, max(1, int(part * len(records))))}
    server = host.start()
    ask_all(server, crowd, truth)
    counted = find_number(server.http.get("/admin/cache").json(), "damaged")
    host.stop(server)
    assert counted > 0 if part == 1.0 else counted >= 0
    check_put_aside(host, damaged)


def test_records_damaged_under_a_running_server(filled, truth, dice):
    host, crowd = filled
    server = host.start()
    damaged = {}
    for _ in range(3):
        for path in dice.sample(host.records.records(), 12):
            damaged[path] = flip_bit(path, dice)
        ask_all(server, crowd, truth)
    assert find_number(server.http.get("/admin/cache").json(), "damaged") > 0
    host.stop(server)
    check_put_aside(host, damaged)


# The checks must hold while the files change under the very reads.
def test_records_damaged_while_they_are_read(filled, truth, dice):
    host, crowd = filled
    server = host.start()
    over = threading.Event()

    def harm():
        while not over.wait(0.01):
            if records := host.records.records():
                flip_bit(dice.choice(records), dice)

    harmer = threading.Thread(target=harm)
    harmer.start()
    try:
        crowd.talk(server, truth, 5)
    finally:
        over.set()
        harmer.join()
    host.stop(server)


def test_foreign_files_are_left_out(filled, truth, dice):
    host, crowd = filled
    records = host.records.records()
    some = dice.choice(records)
    other = next(path for path in records if path.suffix == some.suffix and path.name != some.name)
    shutil.copy(some, some.parent / ("ff" * 32 + some.suffix))     # a whole record under another name
    shutil.copy(some, other)                                       # and under another record's
    (some.parent / "notes.txt").write_text("do not mind me")
    (host.records.folder / "letter.txt").write_text("nor me")
    (some.parent / f"{some.name}.tmp").write_bytes(dice.randbytes(5000))
    (some.parent.parent / "zz").mkdir()
    (some.parent.parent / "zz" / some.name).write_bytes(dice.randbytes(3000))
    (some.parent / ("aa" * 32 + ".block")).symlink_to("/dev/zero")
    (some.parent / ("bb" * 32 + ".block")).mkdir()
    server = host.start()
    ask_all(server, crowd, truth)
    host.stop(server)
    assert (host.records.folder / "letter.txt").exists(), "a file outside the records' folders was deleted"
    host.records.verify()
    assert host.records.verify()["bad"] == 0


def test_shards_that_vanished_cost_only_their_own(filled, truth, dice):
    host, crowd = filled
    shards = sorted({path.parent for path in host.records.records()})
    for shard in dice.sample(shards, len(shards) // 2):
        shutil.rmtree(shard)
    server = host.start()
    ask_all(server, crowd, truth)
    host.stop(server)
    assert host.records.verify()["bad"] == 0


# A newer or older kvern's records, or another model's.
def test_records_of_an_unknown_version_are_left_out(filled, truth):
    host, crowd = filled
    version = next(path for path in host.records.folder.rglob("v1") if path.is_dir())
    version.rename(version.with_name("v999"))
    server = host.start()
    ask_all(server, crowd, truth)
    host.stop(server)
    assert (version.with_name("v999")).exists()
    assert host.records.verify()["bad"] == 0


def test_a_damaged_record_is_written_anew(filled, truth, dice):
    host, crowd = filled
    before = host.records.names()
    for path in host.records.records():
        flip_bit(path, dice)
    server = host.start()
    for conversation in crowd.conversations():
        conversation.repeat(server)
    wait_until(lambda: len(host.records.names() & before) > len(before) // 2, 30, "written again")
    host.stop(server)
    server = host.start()
    lines = [server.request_log(conversation.repeat(server)) for conversation in crowd.conversations()]
    assert [line for line in lines if line["computed"] > 2] == []
    host.stop(server)
