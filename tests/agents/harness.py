"""One client and one server in a network of their own, and what both of them said."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass

from clients import Place
from network import Network
from server import BINARY, Server

RUN_TIMEOUT_S = int(os.environ.get("KVERN_AGENT_TIMEOUT_S", "180"))  # of one run of a client
QUIET_S = 0.5  # in which a client that has ended must not ask again


@dataclass(repr=False)
class Run:
    """What a client's process left."""

    code: int  # of its exit; None: it was killed after RUN_TIMEOUT_S
    stdout: str
    stderr: str
    requests: list  # kvern's log lines of what it asked, in the order in which they ended

    def __repr__(self):
        keys = ("prompt", "reused", "out", "why", "finish")
        asked = "\n".join("  " + " ".join(f"{key}={r[key]}" for key in keys) for r in self.requests)
        return f"exit {self.code}\n{asked}\nstdout: {self.stdout[-3000:]}\nstderr: {self.stderr[-3000:]}"


class Household:
    """A home, a project folder and a server for one client. Runs share them, so sessions can be resumed."""

    def __init__(self, client, folder, run_timeout_s=RUN_TIMEOUT_S, **server_options):
        self.client = client
        self.run_timeout_s = run_timeout_s
        self.network = Network()
        try:
            for name in ("home", "work", "tmp"):
                (folder / name).mkdir(exist_ok=True)
            # There before the first prompt: some prompts list the folder, and must not change by what runs do.
            (folder / "work/notes").mkdir()
            (folder / "work/notes/marker.txt").touch()
            flags = server_options.pop("flags", ())
            self.server = Server(*flags, through=self.network.enter, **server_options)
            self.place = self.place_in(folder, self.server.base_url)
            self.env = {"HOME": str(self.place.home), "TMPDIR": str(folder / "tmp"),
                        "PATH": "/usr/local/bin:/usr/bin:/bin", "TERM": "dumb", "NO_COLOR": "1", "LANG": "C.UTF-8"}
            self.env |= client.environment(self.place)
            client.prepare(self.place)
            for command in client.commands_before(self.place):
                assert (login := self.run(command)).code == 0, login
        except BaseException:
            self.network.close()
            raise

    @staticmethod
    def place_in(folder, url=""):
        return Place(folder / "home", folder / "work", url)

    def ask(self, prompt):
        return self.run(self.client.ask(self.place, prompt))

    def go_on(self, prompt):
        """Resumes the session of the last run."""
        return self.run(self.client.go_on(self.place, prompt))

    def run(self, command):
        before = len(self.server.log("request"))
        process = subprocess.Popen([*self.network.enter, *command], env=self.env, cwd=self.place.work,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   start_new_session=True)
        code = None
        try:
            stdout, stderr = process.communicate(timeout=self.run_timeout_s)
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
        time.sleep(QUIET_S)
        return Run(code, stdout, stderr, self.server.log("request")[before:])

    def why(self, request, *flags):
        """Where its reuse stopped, in words: for the report of a failure."""
        command = [*self.network.enter, BINARY, "cache", "why", request["id"], "--url", self.place.url, *flags]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=30).stdout

    def close(self):
        # Clients leave daemons behind; the server must end by itself and cleanly.
        self.network.kill_all(but=[self.server.process.pid])
        try:
            self.server.stop()
        finally:
            self.network.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.server.__exit__(kind)
            self.network.close()
