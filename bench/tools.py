"""What tools cost a request, and whether calls are valid: kvern beside llama-server.

Both servers run at once and are asked in turn, one request at a time, with one model and one template (which names the
tools only, so that prompts stay short). What HTTP cannot see a small program measures, kvern only. Every part is
written to a file as soon as it is measured; a run that was interrupted goes on where it stopped.

  ./dev bench tools [--model FILE.gguf] [--parts overhead,decode,long,validity,micro] [--rounds N] [--quick] [--fresh] [--json]
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from results import Results, in_turn, results_name, show
from scenarios import tool_traffic as traffic
from scenarios import tool_validity as validity
from scenarios.subject import KVERN, LLAMA
from scenarios.tables import number, table
from servers import ROOT, SMALL, start_pair

PARTS = ("overhead", "decode", "long", "validity", "micro")
MICRO = Path(os.environ.get("KVERN_TOOLS_MICRO", ROOT / "build/dev/bench/tools_micro"))
TEMPLATE = Path(__file__).parent / "scenarios/hermes.jinja"
CONTEXT = 8192


class Size:
    def __init__(self, quick, rounds):
        self.rounds = 1 if quick else rounds
        self.tools = (0, 20) if quick else (0, 20, 60, 150)
        self.many = 20 if quick else 150
        self.tokens = 64 if quick else 256
        self.characters = 400 if quick else 30_000
        self.requests = 1 if quick else 5  # for each schema
        self.schemas = 4 if quick else 20


def rows_of_overhead(size):
    for count in size.tools:
        yield f"request overhead, {count} known tools", "ms", lambda s, _, n=count: traffic.warm_overhead(s, n)
    yield f"request overhead, {size.many} new tools", "ms", lambda s, r: traffic.cold_overhead(s, size.many, r)
    yield f"first token, {size.many} new tools, prefill included", "ms", lambda s, r: traffic.cold_first_token(s, size.many, r)


def rows_of_decode(size):
    yield "free text, no tools", "tok/s", lambda s, _: traffic.free_text_rate(s, size.tokens, 0)
    yield f"free text, {size.many} tools", "tok/s", lambda s, _: traffic.free_text_rate(s, size.tokens, size.many)
    yield "inside a string argument", "tok/s", lambda s, _: traffic.argument_rate(s, size.tokens)


def measure_rows(results, part, pair, rows, rounds):
    for name, unit, measure in rows:
        results.get((part, name, unit), lambda m=measure: in_turn(pair, rounds, m))


def measure_with_servers(args, size, results):
    pair = start_pair(args.model, args.threads, CONTEXT, Path(tempfile.gettempdir()) / "kvern-bench", TEMPLATE)
    try:
        if "overhead" in args.parts:
            measure_rows(results, "overhead", pair, rows_of_overhead(size), size.rounds)
        if "decode" in args.parts:
            measure_rows(results, "decode", pair, rows_of_decode(size), size.rounds)
        for server in pair:
            if "long" in args.parts:
                results.get(("long", server.name), lambda s=server: traffic.late_cost(s, CONTEXT - 500, size.characters))
            for way in validity.WAYS if "validity" in args.parts else ():
                results.get(("validity", way, server.name),
                            lambda s=server, w=way: validity.measure(s, w, size.requests, size.schemas))
    finally:
        for server in pair:
            server.stop()


def run_micro(quick):
    if not MICRO.exists():
        raise SystemExit(f"{MICRO} is missing; ./dev bench tools builds it")
    run = subprocess.run([MICRO, *(["--quick"] if quick else [])], capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(run.stderr[-200:])
    return {"rows": [json.loads(line) for line in run.stdout.splitlines()]}


# The tables.


def of_part(values, part):
    """(the rest of the key, value) of what was measured, in that order."""
    return [(key[1:], value) for key, value in values.items() if key[0] == part and not {"failed", "skipped"} & set(value)]


def pair_table(title, values, part):
    rows = []
    for (name, unit), value in of_part(values, part):
        ours, theirs = (statistics.median(value[server]) for server in ("kvern", "llama-server"))
        rows.append([name, number(ours), number(theirs), f"{ours / theirs:.2f}" if theirs > 0 else "-", unit])
    return [table(title, ["", "kvern", "llama-server", "ratio", "unit"], rows)] if rows else []


def long_table(values):
    rows = [[server, str(value["characters"]), f"{value['ms']:.2f}", f"{value['step_ms']:.1f}"]
            for (server,), value in of_part(values, "long")]
    columns = ["", "characters", "more per token, ms", "a plain token, ms"]
    return [table("What a token costs at the end of a long argument", columns, rows)] if rows else []


def validity_table(values):
    rows = [[f"{way}, {server}", *(str(value[name]) for name in validity.OUTCOMES)]
            for (way, server), value in of_part(values, "validity")]
    return [table("Calls at temperature 1", ["asked for", *validity.OUTCOMES], rows)] if rows else []


def micro_table(values):
    rows = [[row["what"], f"{row['value']:.4g}", row["unit"]] for _, value in of_part(values, "micro") for row in value["rows"]]
    return [table("Inside kvern", ["what", "value", "unit"], rows)] if rows else []


def render(values):
    tables = pair_table("What a request costs beside the model's work", values, "overhead")
    tables += pair_table("Tokens a second", values, "decode") + long_table(values) + validity_table(values) + micro_table(values)
    missing = [f"- {' '.join(key)}: {word}, {value[word]}" for key, value in values.items()
               for word in ("failed", "skipped") if word in value]
    return "\n\n".join(tables + (["\n".join(missing)] if missing else []))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.environ.get("KVERN_BENCH_MODEL") or str(SMALL))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--parts", type=lambda text: text.split(","), default=list(PARTS), help=",".join(PARTS))
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="few tools, short texts, to see whether it works")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return args


def main():
    args = parse_arguments()
    for file, how in ((KVERN, "./dev build"), (LLAMA, "./dev bench builds it"), (args.model, "./dev run fetches it")):
        if not Path(file).exists():
            raise SystemExit(f"{file} is missing; {how}")
    name = results_name([args.threads, args.quick, args.rounds], [KVERN, LLAMA, args.model, TEMPLATE])
    about = {"model": Path(args.model).name, "threads": args.threads, "context": CONTEXT, "rounds": args.rounds, "quick": args.quick}
    results = Results(ROOT / f"build/bench-tools/{name}.jsonl", args.fresh, about)
    if set(args.parts) - {"micro"}:
        measure_with_servers(args, Size(args.quick, args.rounds), results)
    if "micro" in args.parts:
        results.get(("micro",), lambda: run_micro(args.quick))
    show(results, args.json, render)


if __name__ == "__main__":
    main()
