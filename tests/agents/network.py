"""A network in which there is nobody but us: a namespace that has only loopback.

What a client would send home has nowhere to go, whatever its settings say, and a server in it is
reached by nobody else. Everything that still runs in it when it is closed is killed.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path


class NoNetwork(Exception):
    """This machine does not permit it; the text says why."""


class Network:
    def __init__(self):
        rootless = os.geteuid() != 0
        command = ["unshare", *(["--map-root-user"] if rootless else []), "--net", sys.executable,
                   str(Path(__file__).with_name("keeper.py"))]
        try:
            self.keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE)
        except FileNotFoundError as e:
            raise NoNetwork("there is no program unshare") from e
        if self.keeper.stdout.readline() != b"up\n":
            self.keeper.stdin.close()
            said = self.keeper.stderr.read().decode(errors="replace").strip().split("\n")[-1]
            self.keeper.wait(10)
            raise NoNetwork(f"no network namespace can be made: {said}")
        target = ["--target", str(self.keeper.pid)]
        # In front of a command: it runs inside, under the same pid.
        self.enter = ["nsenter", *target, "--net", *(["--user", "--preserve-credentials"] if rootless else [])]

    def processes(self):
        """Those inside, but for the keeper."""
        def inside(pid):
            try:
                return os.readlink(f"/proc/{pid}/ns/net")
            except OSError:
                return None  # it has ended, or is not ours

        ours = inside(self.keeper.pid)
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return [pid for pid in pids if pid != self.keeper.pid and inside(pid) == ours]

    def kill_all(self, but=()):
        """Daemons a client has left behind keep its session's files open, and may ask again."""
        for pid in set(self.processes()) - set(but):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def close(self):
        self.kill_all()
        self.keeper.stdin.close()
        self.keeper.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
