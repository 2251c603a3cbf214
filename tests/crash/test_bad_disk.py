"""A directory that cannot be written, is full, or goes away: serving goes on, and only reuse suffers."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server import DidNotStart
from traffic import Crowd

IDLE_S = 3.0  # until what is idle has been written, or could not be
LIBFAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


@pytest.fixture
def tmpfs(tmp_path):
    """Gives small file systems of their own: tmpfs(size) is a folder."""
    mounted = []

    def mount(size):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "kvern-test", folder], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"no tmpfs can be mounted, which needs root: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def serve_through(host, truth, crowd, seconds=1.0):
    """A server's whole life on the host's directory; ends cleanly, without an error in its log."""
    server = host.start()
    crowd.talk(server, truth, seconds)
    time.sleep(IDLE_S)
    crowd.talk(server, truth, seconds / 2)
    host.stop(server)


# The free-space floor keeps it from writing here at all, or a write fails: both are fine.
@pytest.mark.parametrize("size", ["16k", "64k", "1m"])
def test_a_full_disk(host, truth, tmpfs, size):
    folder = tmpfs(size)
    host = host("--cache-ram", "64K", "--cache-disk", "100M", folder=folder)
    crowd = Crowd(11)
    serve_through(host, truth, crowd)
    (folder / "filler").write_bytes(b"x" * max(0, shutil.disk_usage(folder).free - 4096))
    serve_through(host, truth, crowd)
    assert host.records.verify()["bad"] == 0


def test_a_read_only_directory_is_still_read(host, truth, tmpfs, tmp_path):
    filler = host("--parallel", "4")
    crowd = Crowd(12)
    server = filler.start()
    crowd.grow(server, truth, 6)
    filler.stop(server)
    disk = tmpfs("64m")
    shutil.copytree(filler.records.folder, disk, dirs_exist_ok=True)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    frozen = host("--parallel", "4", folder=disk)
    before = frozen.records.names()
    server = frozen.start()
    lines = [server.request_log(conversation.repeat(server)) for conversation in crowd.conversations()]
    crowd.talk(server, truth, 1)
    frozen.stop(server)
    assert frozen.records.names() == before
    assert [line for line in lines if line["computed"] > 2] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the read-only mount tests the same")
def test_a_directory_without_permission(host, truth, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o500)
    try:
        serve_through(host(folder=folder), truth, Crowd(13))
    finally:
        folder.chmod(0o700)


# Serving without a disk, or a refusal that names the flag, would both do; a crash or a hang would not.
def test_a_file_in_the_directorys_place(host, truth, tmp_path):
    place = tmp_path / "file"
    place.write_text("I am not a directory")
    host = host(folder=place)
    try:
        serve_through(host, truth, Crowd(14))
    except DidNotStart as e:
        assert e.code > 0 and str(place) in e.stderr, e.stderr
    assert place.read_text() == "I am not a directory"


def test_a_directory_removed_under_a_running_server(host, truth):
    host = host("--parallel", "2", "--cache-ram", "64K")
    crowd = Crowd(15)
    server = host.start()
    for _ in range(2):
        crowd.talk(server, truth, 1)
        time.sleep(IDLE_S)
        assert host.records.folder.exists()
        shutil.rmtree(host.records.folder)
        crowd.talk(server, truth, 1)
        time.sleep(IDLE_S)
        host.records.folder.mkdir(exist_ok=True)
    host.stop(server)
    serve_through(host, truth, crowd)
    assert host.records.verify()["bad"] == 0


# Ages turn negative, or huge: neither may evict everything, loop, or end the server.
@pytest.mark.skipif(LIBFAKETIME is None, reason="no libfaketime: apt-get install faketime")
@pytest.mark.skipif("asan" in os.environ.get("KVERN_BIN", ""), reason="a sanitizer wants to be the first library")
def test_a_clock_that_jumps(host, truth, tmp_path):
    clock = tmp_path / "clock"
    fake = {"LD_PRELOAD": str(LIBFAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    host = host("--parallel", "2", "--cache-ram", "64K")
    crowd = Crowd(16)
    clock.write_text("+0")
    server = host.start(**fake)
    for jump in ("-3650d", "+3650d", "-1d", "+0"):
        crowd.talk(server, truth, 0.5)
        clock.write_text(jump)
        crowd.talk(server, truth, 0.5)
    host.stop(server)
    for jump in ("+7300d", "-7300d"):
        clock.write_text(jump)
        server = host.start(**fake)
        for conversation in crowd.conversations():
            if conversation.asked:
                line = server.request_log(conversation.repeat(server))
                assert line["computed"] <= 2, (jump, line)
        host.stop(server)


if sys.platform != "linux":
    pytest.skip("tmpfs and libfaketime are Linux's", allow_module_level=True)
