"""Stands for every client of tests/wire/test_launch.py: says what it was started with, as JSON.

STUB_DO tells it what to do then: "exit N", "wait" (until a signal, which it names), "ask" (a chat
completion of the server it was pointed at).
"""

import json
import os
import signal
import sys
import time
import urllib.request
from pathlib import Path


def files_named(words):
    """The contents of those files in kvern's temporary folders that the words name."""
    text = "\n".join(words)
    return {str(path): path.read_text() for path in Path(os.environ["TMPDIR"]).glob("kvern-*/*") if str(path) in text}


def main():
    environment = dict(os.environ)
    files = files_named([*sys.argv[1:], *environment.values()])
    modes = {path: oct(os.stat(path).st_mode & 0o777) for path in files}
    stdin = "" if sys.stdin.isatty() else sys.stdin.read()
    report = {"name": Path(sys.argv[0]).name, "argv": sys.argv[1:], "env": environment, "files": files, "modes": modes,
              "stdin": stdin, "pid": os.getpid(), "group": os.getpgrp()}
    todo = environment.get("STUB_DO", "exit 0").split()
    if todo[0] == "ask":
        base = environment["OPENAI_BASE_URL"]
        body = json.dumps({"model": environment["OPENAI_MODEL"], "messages": [{"role": "user", "content": "Hi"}]}).encode()
        headers = {"Content-Type": "application/json", "Authorization": "Bearer " + environment["OPENAI_API_KEY"]}
        with urllib.request.urlopen(urllib.request.Request(base + "/chat/completions", body, headers), timeout=30) as answer:
            report["answer"] = json.load(answer)["choices"][0]["message"]["content"]
    if todo[0] == "wait":
        signal.signal(signal.SIGINT, lambda *_: sys.exit(77))  # a client that handles Ctrl-C itself
    # Whole or not at all: somebody waits for it.
    whole = Path(environment["STUB_REPORT"] + ".new")
    whole.write_text(json.dumps(report))
    whole.replace(environment["STUB_REPORT"])
    print("on stdout")
    if todo[0] == "wait":
        time.sleep(60)
    sys.exit(int(todo[1]) if todo[0] == "exit" else 0)


main()
