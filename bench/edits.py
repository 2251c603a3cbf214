"""What guessing ahead is worth: kvern with it and without (--draft-max 0), beside llama-server.

  copy  a file (of 200 lines, or --lines) is written again with three names changed, as an agent's edit does; greedy
  free  prose at temperature 1, of which nothing was said before: there guesses must cost nothing

All three servers run at once and are asked in turn, one request at a time, with the same raw prompts. Tokens a second are
the client's, from the first token to the last.

  ./dev bench edits [--model FILE.gguf] [--threads N] [--rounds N] [--tokens N] [--lines N] [--fresh] [--json]
"""

import argparse
import os
import random
import statistics
import tempfile
from pathlib import Path

from results import Results, in_turn, results_name, show
from scenarios.subject import KVERN, LLAMA
from servers import ROOT, SMALL, Server, start_kvern, start_pair

CONTEXT = 8192
NOUNS = "order invoice client parcel ticket budget report sensor player engine bridge letter".split()
VERBS = "load store check count merge split print close open send read trim".split()


def source(seed: int, lines: int) -> list[str]:
    """Functions of five lines that look like each other and are not, as code does."""
    pick = random.Random(seed)
    out = []
    for i in range(lines // 5):
        noun, verb, limit = pick.choice(NOUNS), pick.choice(VERBS), pick.randrange(10, 99)
        out += [f"def {verb}_{noun}_{i}(items, limit={limit}):",
                f"    chosen = [item for item in items if item.{noun}_id < limit]",
                f"    log.info('{verb} %d of %d', len(chosen), {limit})",
                f"    return {verb}_all(chosen, key='{noun}')",
                ""]
    return out


def edit(seed: int, tokens: int, lines: int) -> dict:
    """The file, then its first lines with the first of three changes: the model goes on copying."""
    before = source(seed, lines)
    after = "\n".join(before).replace("chosen", "picked").replace("log.info", "logger.info").replace("_all(", "_each(")
    begun = "\n".join(after.split("\n")[:15])
    prompt = "File before:\n" + "\n".join(before) + "\nFile after renaming three names:\n" + begun + "\n"
    return {"model": "default", "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}


def prose(seed: int, tokens: int, _lines: int) -> dict:
    pick = random.Random(seed)
    prompt = f"A letter about the {pick.choice(NOUNS)}, the {pick.choice(NOUNS)} and a journey by sea.\n\nDear friend,"
    return {"model": "default", "prompt": prompt, "max_tokens": tokens, "temperature": 1, "top_k": 40, "seed": seed,
            "ignore_eos": True}


def rate(server: Server, body: dict) -> float:
    times, events = server.stream("/v1/completions", body)
    shown = [t for t, e in zip(times, events) if e.get("choices")]
    usage = next(e["usage"] for e in reversed(events) if e.get("usage"))
    return (usage["completion_tokens"] - 1) / (shown[-1] - shown[0])


def start(args) -> list[Server]:
    logs = Path(tempfile.gettempdir()) / "kvern-bench"
    ours, theirs = start_pair(args.model, args.threads, CONTEXT, logs, flags=("--draft-max", "16"))
    plain = start_kvern(args.model, args.threads, CONTEXT, logs, "--draft-max", "0", name="kvern, no guesses")
    return [ours, plain, theirs]


def table(values: dict) -> str:
    lines = ["| tokens a second | kvern | no guesses | llama-server | kvern / no guesses | kvern / llama-server |",
             "|---|---:|---:|---:|---:|---:|"]
    for (what,), rows in values.items():
        ours, plain, theirs = (rows[name] for name in ("kvern", "kvern, no guesses", "llama-server"))
        gain, ahead = (statistics.median(a / b for a, b in zip(ours, other)) for other in (plain, theirs))
        cells = [f"{statistics.median(v):.1f}" for v in (ours, plain, theirs)]
        lines.append(f"| {what} | {' | '.join(cells)} | {gain:.2f} | {ahead:.2f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.environ.get("KVERN_BENCH_MODEL") or str(SMALL))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    for file in (KVERN, LLAMA, args.model):
        if not Path(file).exists():
            raise SystemExit(f"{file} is missing; ./dev bench edits builds and fetches what it needs")
    name = results_name([args.threads, args.rounds, args.tokens, args.lines], [KVERN, LLAMA, args.model])
    results = Results(ROOT / f"build/bench-edits/{name}.jsonl", args.fresh,
                      {"model": Path(args.model).name, "threads": args.threads})
    servers = start(args)
    try:
        for what, body in (("copy", edit), ("free", prose)):
            results.get((what,), lambda make=body: in_turn(
                servers, args.rounds, lambda server, round_: rate(server, make(round_, args.tokens, args.lines))))
    finally:
        for server in servers:
            server.stop()
    show(results, args.json, table)


if __name__ == "__main__":
    main()
