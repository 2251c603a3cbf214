"""Measured values, each kept as soon as it is there, so that an interrupted run goes on where it stopped."""

import hashlib
import json
import sys
import time
from pathlib import Path

from scenarios.talk import Skip
from servers import ROOT


class Results:
    """Measured values by their key, kept in a file of JSON lines; beside it what they were measured with."""

    def __init__(self, path, fresh, about=None):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        if about:
            path.with_suffix(".about.json").write_text(json.dumps(about))
        if fresh:
            path.unlink(missing_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        self.values = {tuple(entry["key"]): entry["value"] for entry in map(json.loads, lines)}

    def get(self, key, measure):
        if key not in self.values:
            begin = time.monotonic()
            self.values[key] = attempt(measure)
            if "failed" not in self.values[key]:  # else the next run tries again
                with self.path.open("a") as file:
                    print(json.dumps({"key": key, "value": self.values[key]}), file=file)
            print(f"measured: {' '.join(map(str, key))} ({time.monotonic() - begin:.0f} s)", file=sys.stderr)
        return self.values[key]


def show(results, as_json, render):
    """A run's end: the values for a program, or the table for a person."""
    if as_json:
        print(json.dumps([{"key": key, "value": value} for key, value in results.values.items()]))
    else:
        print(render(results.values))
        print(f"\nkept in {results.path.relative_to(ROOT)}; --fresh measures again", file=sys.stderr)


def attempt(measure):
    """What a server cannot do is a line of the table, not the end of the run."""
    try:
        return measure()
    except Skip as e:
        return {"skipped": str(e)}
    except (Exception, SystemExit) as e:
        return {"failed": f"{type(e).__name__}: {e}"[:200]}


def results_name(facts, files):
    """A name for results that may stand in one table: of the same settings and the same files."""
    facts = list(facts)
    for file in files:
        stat = Path(file).stat()
        facts += [str(file), stat.st_size, stat.st_mtime_ns]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def in_turn(pair, rounds, measure):
    """Both servers' values of every round; who begins alternates."""
    values = {server.name: [] for server in pair}
    for round_ in range(rounds):
        for server in pair if round_ % 2 == 0 else reversed(pair):
            values[server.name].append(measure(server, round_))
    return values
