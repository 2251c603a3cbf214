"""Turns the results of a run into tables, in Markdown, so that they can be kept as they are."""

import statistics

SERVERS = ("kvern", "llama-server")


def render(values, parts):
    tables = [text for part in parts for text in [*TABLES[part](values), *remarks(values, part)]]
    return "\n\n".join(tables)


def table(title, columns, rows):
    lines = [f"**{title}**", "", "| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def of_part(values, part):
    """{name: {server: value}} in the order measured."""
    found = {}
    for (of, name, server), value in values.items():
        if of == part:
            found.setdefault(name, {})[server] = value
    return found


def measured(values, part):
    """(name, server, value) of what came to an end."""
    return [(name, server, value) for name, by_server in of_part(values, part).items()
            for server, value in by_server.items() if not {"failed", "skipped"} & set(value)]


def remarks(values, part):
    """Why there is no value, as a list."""
    lines = [f"- {str(name).replace('_', ' ')}, {server}: {key}, {value[key]}" for name, by_server in of_part(values, part).items()
             for server, value in by_server.items() for key in ("skipped", "failed") if key in value]
    return ["\n".join(lines)] if lines else []


def scenario_cells(value):
    """prompt, reused, wasted, first token"""
    if value is None:
        return ["-"] * 4
    if "rows" not in value:
        return [next(iter(value)), "-", "-", "-"]
    rows = value["rows"]
    sums = [sum(row[name] for row in rows) for name in ("prompt", "reused", "wasted")]
    return [*map(str, sums), number(statistics.median(row["ttft_ms"] for row in rows))]


def scenario_tables(title, found):
    columns = ["scenario"] + [f"{server} {what}" for server in SERVERS for what in ("prompt", "reused", "wasted", "TTFT ms")]
    rows = [[name.replace("_", " ")] + [cell for server in SERVERS for cell in scenario_cells(by_server.get(server))]
            for name, by_server in found.items()]
    return [table(title, columns, rows)] if rows else []


def head_tables(values):
    cases = ("cold", "repeat", "turn", "alone", "restart", "kill -9")
    rows = [[f"{value['head']} tokens, {server}", *(number(value[case]) for case in cases)]
            for _, server, value in measured(values, "heads")]
    return [table("First token after a long head, ms", ["head", *cases], rows)] if rows else []


def crowd_tables(values):
    rows = [[server, str(count), *(number(value[name]) for name in ("prompt", "reused", "wasted", "ttft_ms", "ttft_p99_ms"))]
            for count, server, value in measured(values, "crowd")]
    columns = ["server", "conversations", "prompt", "reused", "wasted", "TTFT ms", "TTFT p99 ms"]
    return [table("Many conversations, few sequences, little memory", columns, rows)] if rows else []


def step_tables(values):
    columns = ["while", "steps", "p50 ms", "p99 ms", "max ms", "MB moved"]
    return [table("Between two tokens of a running stream, kvern", columns, step_rows(value))
            for _, _, value in measured(values, "steps")]


def step_rows(value):
    return [[name, str(value[name]["steps"]), *(f"{value[name][key]:.1f}" for key in ("p50_ms", "p99_ms", "max_ms")),
             number(value[f"{name}_mb"]) if f"{name}_mb" in value else "-"] for name in ("undisturbed", "saved", "restored")]


TABLES = {
    "shapes": lambda values: scenario_tables("Shapes of traffic", of_part(values, "shapes")),
    "lives": lambda values: scenario_tables("Ends and damage", of_part(values, "lives")),
    "heads": head_tables,
    "steps": step_tables,
    "crowd": crowd_tables,
}
