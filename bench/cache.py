"""What each shape of agent traffic computes twice, and how long its first token takes: kvern beside llama-server.

One server at a time, the same model, threads and context. Every part is written to a file as soon as
it is measured; a run that was interrupted goes on where it stopped. Numbers of another binary, model
or number of threads are never mixed in. Absolute times belong to this machine, and only to a quiet one.

  ./dev bench cache [--model FILE.gguf] [--parts shapes,lives,heads,steps,crowd] [--fresh] [--json]
"""

import argparse
import os
from pathlib import Path

from results import Results, results_name, show
from scenarios import crowd, heads, steps, tables
from scenarios.lives import LIVES
from scenarios.shapes import SHAPES
from scenarios.subject import KVERN, LLAMA, Kvern, Llama, Options
from scenarios.talk import Size, Talk
from servers import CACHE, ROOT, SMALL

LONG = CACHE / "models/gemma-3-270m-Q4_K_M.gguf"  # knows 32k tokens, which the long heads need
PARTS = ("shapes", "lives", "heads", "steps", "crowd")
SIZE = Size(head_words=400, turn_words=40, answer_tokens=12)


def identity(args):
    return results_name([args.threads, args.quick, *PARTS], [KVERN, LLAMA, args.model, args.long_model])


def run_scenario(subject, scenario):
    talk = Talk(subject, SIZE)
    scenario(talk)
    return {"rows": [vars(row) for row in talk.rows if row.step]}


def measure_scenarios(results, part, scenarios, kind, options):
    """Every scenario begins with an empty server: what one leaves behind would help the next."""
    for scenario in scenarios:
        key = (part, scenario.__name__, kind.name)
        if key not in results.values:
            subject = kind(options)
            try:
                results.get(key, lambda: run_scenario(subject, scenario))
            finally:
                subject.close()


def measure_one(results, key, kind, options, measure):
    if key in results.values:
        return
    subject = kind(options)
    try:
        results.get(key, lambda: measure(subject))
    finally:
        subject.close()


def measure_all(args, results):
    small = Options(args.model, args.threads)
    long = Options(args.long_model, args.threads, context=32768, parallel=2)
    few = Options(args.model, args.threads, parallel=crowd.SEQUENCES, ram_mib=crowd.RAM_MIB)
    for kind in (Kvern, Llama):
        if "shapes" in args.parts:
            measure_scenarios(results, "shapes", SHAPES, kind, small)
        if "lives" in args.parts:
            measure_scenarios(results, "lives", LIVES, kind, small)
        if "heads" in args.parts:
            for tokens in heads.SIZES[:1] if args.quick else heads.SIZES:
                measure_one(results, ("heads", tokens, kind.name), kind, long, lambda s, n=tokens: heads.measure(s, n))
        if "crowd" in args.parts:
            count = 12 if args.quick else crowd.CONVERSATIONS
            measure_one(results, ("crowd", count, kind.name), kind, few, lambda s, n=count: crowd.measure(s, n))
    if "steps" in args.parts:
        moved = 20 if args.quick else steps.MOVED_MB
        measure_one(results, ("steps", moved, "kvern"), Kvern, small, lambda s: steps.measure(s, moved))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.environ.get("KVERN_BENCH_MODEL") or str(SMALL))
    parser.add_argument("--long-model", default=str(LONG), help="for the heads of up to 18000 tokens")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--parts", type=lambda text: text.split(","), default=list(PARTS), help=",".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="smaller heads and crowds, to see whether it works")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for file, how in ((KVERN, "./dev build"), (LLAMA, "./dev bench builds it"), (args.model, "./dev run fetches it"),
                      (args.long_model, "./dev bench cache fetches it")):
        if not Path(file).exists():
            raise SystemExit(f"{file} is missing; {how}")

    about = {"model": Path(args.model).name, "long model": Path(args.long_model).name, "threads": args.threads, "quick": args.quick}
    results = Results(ROOT / f"build/bench-cache/{identity(args)}.jsonl", args.fresh, about)
    measure_all(args, results)
    show(results, args.json, lambda values: tables.render(values, args.parts))


if __name__ == "__main__":
    main()
