"""What a run of agent_run.py comes to, in numbers and as a table."""

import statistics

from scenarios.tables import SERVERS, number, table

# name -> (unit, of one server's round)
MEASURES = {
    "prompt tokens sent": ("tokens", lambda value: total(value, "prompt")),
    "prompt tokens computed": ("tokens", lambda value: total(value, "computed")),
    "first token, p50": ("ms", lambda value: quantile(column(value, "ttft_ms"), 0.5)),
    "first token, p95": ("ms", lambda value: quantile(column(value, "ttft_ms"), 0.95)),
    "whole answer, p50": ("ms", lambda value: quantile(column(value, "total_ms"), 0.5)),
    "waited for answers, all agents together": ("s", lambda value: total(value, "total_ms") / 1000),
    "wall time": ("s", lambda value: value["seconds"]),
    "failed requests": ("requests", lambda value: sum("failed" in row for row in value["rows"])),
}


def column(value, name):
    return [row[name] for row in value["rows"] if name in row]


def total(value, name):
    return sum(column(value, name))


def quantile(values, part):
    """nan when every request failed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


def rounds_of(values):
    """{round: {server: value}} of the rounds that both servers came to the end of."""
    found = {}
    for (_, round_, server), value in values.items():
        if "rows" in value:
            found.setdefault(round_, {})[server] = value
    return {round_: by_server for round_, by_server in found.items() if len(by_server) == len(SERVERS)}


def measured(values):
    """(name, unit, kvern's values, llama-server's values), of one round each."""
    rounds = rounds_of(values).values()
    for name, (unit, measure) in MEASURES.items():
        yield name, unit, *([measure(by_server[server]) for by_server in rounds] for server in SERVERS)


def times_less(ours, theirs):
    """How many times less ours is, of each round; none where there is nothing to divide by."""
    return [b / a for a, b in zip(ours, theirs) if a > 0 and b > 0]


def ratio_text(ratios):
    if not ratios:
        return "-"
    middle = f"{statistics.median(ratios):.2f}"
    return middle if len(ratios) == 1 else f"{middle} ({min(ratios):.2f} to {max(ratios):.2f})"


def render(values):
    rounds = rounds_of(values)
    failed = [f"- seed {key[1]}, {key[2]}: failed, {value['failed']}" for key, value in values.items() if "failed" in value]
    if not rounds:
        return "\n".join(["no round was measured with both servers", *failed])
    rows = [[name, number(statistics.median(ours)), number(statistics.median(theirs)), ratio_text(times_less(ours, theirs)), unit]
            for name, unit, ours, theirs in measured(values)]
    planned = [by_server["kvern"]["planned"] for by_server in rounds.values()]
    plan = (f"Requests: {number(statistics.median(p['requests'] for p in planned))} a round. A server that forgets nothing "
            f"would compute about {number(statistics.median(p['new'] for p in planned))} prompt tokens.")
    parts = [table(f"Six agents, medians of {len(rounds)} round{'s' if len(rounds) > 1 else ''}",
                   ["", "kvern", "llama-server", "times less here", "unit"], rows), plan, kinds_table(rounds)]
    return "\n\n".join(parts + (["\n".join(failed)] if failed else []))


def kinds_table(rounds):
    kinds = ("start", "tool", "user", "sub", "fork", "compact")
    rows = []
    for kind in kinds:
        cells = []
        for server in SERVERS:
            of_kind = [row for by_server in rounds.values() for row in by_server[server]["rows"]
                       if row["kind"] == kind and "failed" not in row]
            if not of_kind:
                break
            computed, prompt = (sum(row[name] for row in of_kind) for name in ("computed", "prompt"))
            cells += [f"{100 * computed / prompt:.1f} %", number(quantile([row["ttft_ms"] for row in of_kind], 0.5))]
        if len(cells) == 4:
            rows.append([kind, *cells])
    columns = ["request"] + [f"{server} {what}" for server in SERVERS for what in ("computed", "TTFT p50 ms")]
    return table("By kind of request, all rounds together", columns, rows)
