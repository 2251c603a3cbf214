"""Reads what the benchmarks kept under build/bench-*/ and brings it into one form: rows of two servers' values."""

import json
import statistics
from dataclasses import asdict, dataclass, field

from scenarios import agent_tables

PARTS = {
    "agents": "A crowd of coding agents",
    "cache": "What is computed twice",
    "engine": "The engine, and a request's overhead",
    "load": "What clients notice of each other",
    "tools": "Tools and calls",
}
PAIR = ("kvern", "llama-server")


@dataclass
class Row:
    what: str
    unit: str
    better: str  # higher, lower, or nothing when a difference is neither
    ours: list
    theirs: list
    ratios: list = field(default_factory=list)  # how many times better kvern is, of each round

    def __post_init__(self):
        if not self.better or len(self.ours) != len(self.theirs):
            return
        pairs = [(a, b) for a, b in zip(self.ours, self.theirs) if a > 0 and b > 0]
        self.ratios = [a / b if self.better == "higher" else b / a for a, b in pairs]

    @property
    def ratio(self):
        return statistics.median(self.ratios) if self.ratios else None


@dataclass
class Part:
    name: str
    title: str
    about: dict
    file: str
    rows: list
    missing: list  # (what, why)

    def as_json(self):
        return {"part": self.name, "title": self.title, "about": self.about, "file": self.file, "missing": self.missing,
                "rows": [asdict(row) | {"ratio": row.ratio} for row in self.rows]}


def good(value):
    return not {"failed", "skipped"} & set(value)


def of_both(values, *beginning):
    """{the key's middle: {server: value}} of keys that begin so and end with a server, where both came to the end."""
    found = {}
    for key, value in values.items():
        if key[:len(beginning)] == beginning and key[-1] in PAIR and good(value):
            found.setdefault(key[len(beginning):-1], {})[key[-1]] = value
    return {middle: both for middle, both in found.items() if len(both) == 2}


def row(what, unit, better, both, measure):
    """Of values of one run; a list of them becomes a list of rounds."""
    ours, theirs = (measure(both[server]) for server in PAIR)
    return Row(what, unit, better, *(value if isinstance(value, list) else [value] for value in (ours, theirs)))


def agent_rows(values):
    for what, unit, ours, theirs in agent_tables.measured(values):
        if ours:
            yield Row(what, unit, "" if what.endswith(("sent", "requests")) else "lower", ours, theirs)


def cache_rows(values):
    for part in ("shapes", "lives"):
        for (name,), both in of_both(values, part).items():
            name = name.replace("_", " ")
            yield row(f"{name}: computed", "tokens", "lower", both, lambda v: sum(r["computed"] for r in v["rows"]))
            yield row(f"{name}: first token", "ms", "lower", both, lambda v: statistics.median(r["ttft_ms"] for r in v["rows"]))
    for (tokens,), both in of_both(values, "heads").items():
        for case in ("cold", "repeat", "turn", "restart", "kill -9"):
            yield row(f"head of {tokens}, {case}: first token", "ms", "lower", both, lambda v, c=case: v[c])
    for (count,), both in of_both(values, "crowd").items():
        yield row(f"{count} conversations: computed", "tokens", "lower", both, lambda v: v["prompt"] - v["reused"])
        yield row(f"{count} conversations: first token", "ms", "lower", both, lambda v: v["ttft_ms"])


def engine_rows(values):
    for key, value in values.items():
        if good(value):
            _, what, unit, better = key
            yield row(what, unit, better, value, lambda v: v)


# Of each scenario what says something by itself: (measure, name, unit, better)
LOAD = {
    "gap": [("p99 beside ms", "gap between tokens beside a long prompt, p99", "ms", "lower"),
            ("p99 ratio", "the same in that of a stream alone", "times", "lower"),
            ("long prompt tok/s", "the long prompt meanwhile", "tok/s", "higher")],
    "ttft": [("beside ms", "short prompt behind a long one: first token", "ms", "lower"),
             ("ratio", "the same in its time alone", "times", "lower")],
    "crowd": [("completed of 6", "requests on too few cells: completed of 6", "requests", "higher"),
              ("ratio", "their time at once in that one by one", "times", "lower")],
    "idle": [("decode slower %", "decode slower beside idle connections", "%", ""),
             ("client's use of a core %", "of a core the client took meanwhile", "%", ""),
             ("idle connections", "idle connections still open", "connections", ""),
             ("of them event streams", "of them event streams", "connections", ""),
             ("health check p99 ms", "health check meanwhile, p99", "ms", "lower"),
             ("RSS before MiB", "memory before", "MiB", ""), ("RSS beside MiB", "memory beside them", "MiB", ""),
             ("RSS after MiB", "memory after", "MiB", "")],
}


def load_rows(values):
    for name, measures in LOAD.items():
        rounds = list(of_both(values, "load", name).values())
        for measure, what, unit, better in measures:
            if not rounds or not all(measure in both[server] for both in rounds for server in PAIR):
                continue  # measured by an older version
            ours, theirs = ([both[server][measure] for both in rounds] for server in PAIR)
            yield Row(what, unit, better, ours, theirs)


def tool_rows(values):
    for key, value in values.items():
        if key[0] in ("overhead", "decode") and good(value):
            yield row(key[1], key[2], "lower" if key[0] == "overhead" else "higher", value, lambda v: v)
    for _, both in of_both(values, "long").items():
        yield row("end of a long argument, more for a token", "ms", "lower", both, lambda v: v["ms"])
    for (way,), both in of_both(values, "validity").items():
        yield row(f"valid calls, {way}", "calls", "higher", both, lambda v: v["valid"])


ROWS = {"agents": agent_rows, "cache": cache_rows, "engine": engine_rows, "load": load_rows, "tools": tool_rows}


def read_part(folder, name):
    """Of the newest run; none when there is none."""
    files = sorted(folder.glob(f"bench-{name}/*.jsonl"), key=lambda path: path.stat().st_mtime)
    if not files:
        return None
    about = files[-1].with_suffix(".about.json")
    values = {tuple(entry["key"]): entry["value"] for entry in map(json.loads, files[-1].read_text().splitlines())}
    missing = [(" ".join(map(str, key)), value["skipped"]) for key, value in values.items() if "skipped" in value]
    return Part(name, PARTS[name], json.loads(about.read_text()) if about.exists() else {}, str(files[-1]),
                list(ROWS[name](values)), missing)


def read_all(folder):
    """(the parts there are, the names of those there are not)"""
    parts = {name: read_part(folder, name) for name in PARTS}
    return [part for part in parts.values() if part], [name for name, part in parts.items() if not part]
