"""A crowd of coding agents on one server: what it computes, how long they wait. kvern beside llama-server.

The traffic is made from a seed and has the shape of recorded Claude Code sessions (bench/scenarios/agent_traffic.py),
shrunk to a small model: tokens by --scale, pauses by --haste. Both servers are sent the same bytes, one server at a
time; the assistant's turns in them are scripted. A round is one seed, kept as soon as it is measured; a run that was
interrupted goes on where it stopped.

  ./dev bench agents [--model FILE.gguf] [--rounds N] [--turns N] [--scale F] [--haste F] [--quick] [--fresh] [--json]
"""

import argparse
import os
from pathlib import Path

from results import Results, results_name, show
from scenarios import agent_run, agent_traffic
from scenarios.agent_tables import render
from scenarios.subject import KVERN, LLAMA, Kvern, Llama, Options
from servers import ROOT, SMALL

CONTEXT = 8192
RAM_MIB = 2048  # for each server: nearly 90,000 tokens of the default model


def measure_round(args, results, round_, kind):
    """A server begins with nothing: what one seed's agents said would be no use to the next one's, but take memory."""
    key = ("agents", round_, kind.name)
    if key in results.values:
        return
    subject = kind(Options(args.model, args.threads, context=args.context, ram_mib=RAM_MIB, disk=False))
    try:
        pace = agent_run.Pace(args.scale, args.haste)
        results.get(key, lambda: agent_run.measure(subject.server, round_, args.turns, pace))
    finally:
        subject.close()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.environ.get("KVERN_BENCH_MODEL") or str(SMALL))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--context", type=int, default=CONTEXT, help="tokens of a conversation; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="seeds; default: %(default)s")
    parser.add_argument("--turns", type=int, default=40, help="of each of the six sessions; the shape holds from about 32")
    parser.add_argument("--scale", type=float, default=0.0, help="recorded tokens for one of ours; default: as the context needs")
    parser.add_argument("--haste", type=float, default=20.0, help="pauses are so many times shorter; default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="five turns, to see whether it works; not for numbers")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.rounds < 1 or args.turns < 1 or args.scale < 0 or args.haste <= 0 or args.context < 1024:
        parser.error("--rounds and --turns from 1, --context from 1024, --scale and --haste above 0")
    if args.quick:
        args.rounds, args.turns = 1, min(args.turns, 5)
    args.scale = args.scale or agent_traffic.CONTEXT / args.context
    return args


def main():
    args = parse_arguments()
    for file, how in ((KVERN, "./dev build"), (LLAMA, "./dev bench builds it"), (args.model, "./dev run fetches it")):
        if not Path(file).exists():
            raise SystemExit(f"{file} is missing; {how}")
    name = results_name([args.threads, args.context, args.turns, args.scale, args.haste], [KVERN, LLAMA, args.model])
    about = {"model": Path(args.model).name, "threads": args.threads, "context": args.context, "turns": args.turns,
             "token scale": args.scale, "haste": args.haste}
    results = Results(ROOT / f"build/bench-agents/{name}.jsonl", args.fresh, about)
    for round_ in range(args.rounds):
        for kind in (Kvern, Llama) if round_ % 2 == 0 else (Llama, Kvern):
            measure_round(args, results, round_, kind)
    show(results, args.json, render)


if __name__ == "__main__":
    main()
