"""What clients notice of each other: kvern beside llama-server, or beside another kvern.

  gap    the 99th percentile of the time between two tokens of a stream while another client's long prompt is
         computed, in that of a stream as long that is alone
  ttft   the time to the first token of a 300-token prompt that comes a second after a long one, in its time alone
  crowd  six requests that need one and a half times the cells there are: how many end well, how many
         with the text they have alone (how a batch is cut decides the last bits of a real model's logits, so not
         all), and their time at once in their time one after the other

Rounds alternate between the two. Ratios are what the table is for: absolute times belong to this machine.

  ./dev bench load [--model FILE.gguf] [--rounds N] [--only gap,ttft,crowd] [--against KVERN] [--json]
"""

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

from engine import prose
from results import Results, results_name, show
from scenarios import idle
from scenarios.subject import KVERN, LLAMA
from servers import ROOT, SMALL, Server, start_pair


LONG = 7000  # words of the prompt that disturbs, of a token each
BESIDE = 2500  # of one that is computed beside a stream: that takes minutes
STREAM = 7000  # most tokens of the stream that is disturbed
NEVER_ENDS = {"0": -100, "2": -100}


def completion(seed: int, words: int, tokens: int) -> dict:
    return {"model": "default", "prompt": f"{seed} " + prose(words, seed), "max_tokens": tokens, "temperature": 0,
            "logit_bias": NEVER_ENDS}


def shown(times, events) -> list[float]:
    return [t for t, e in zip(times, events) if e.get("choices") and e["choices"][0].get("text")]


def percentile(values, part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


class Background(threading.Thread):
    """Runs a function beside, and keeps what it returns."""

    def __init__(self, function, *args):
        super().__init__(daemon=True)
        self.call, self.result, self.begin, self.end = (function, args), None, 0.0, 0.0
        self.start()

    def run(self):
        function, args = self.call
        self.begin = time.perf_counter()
        self.result = function(*args)
        self.end = time.perf_counter()

    def wait(self):
        self.join()
        if self.result is None:
            raise SystemExit("a request beside failed")
        return self.result


def gap(server: Server, seed: int) -> dict:
    """A stream decodes for two seconds, then a long prompt comes; the stream is cut when that is done. Another stream as long
    is alone, because a stream's steps take longer as it grows."""
    beside = []

    def enough(_):
        now = time.perf_counter()
        if not beside and now - begin > 2:
            beside.append(Background(server.post, "/v1/completions", completion(seed + 1, BESIDE, 1)))
        return bool(beside) and beside[0].end > 0

    begin = time.perf_counter()
    times, events = server.stream("/v1/completions", completion(seed, 40, STREAM), enough)
    long_one = beside[0]
    usage = long_one.wait()["usage"]
    ticks = shown(times, events)
    start, end = long_one.begin - begin, long_one.end - begin
    during = [b - a for a, b in zip(ticks, ticks[1:]) if a < end and b > start]
    first_one = sum(tick < start for tick in ticks)
    ticks = shown(*server.stream("/v1/completions", completion(seed + 2, 40, first_one + len(during))))
    alone = [b - a for a, b in zip(ticks[first_one:], ticks[first_one + 1:])]
    return {"p50 alone ms": 1e3 * percentile(alone, 0.5), "p99 alone ms": 1e3 * percentile(alone, 0.99),
            "p50 beside ms": 1e3 * percentile(during, 0.5), "p99 beside ms": 1e3 * percentile(during, 0.99),
            "longest beside ms": 1e3 * max(during), "p99 ratio": percentile(during, 0.99) / percentile(alone, 0.99),
            "p50 ratio": percentile(during, 0.5) / percentile(alone, 0.5), "steps beside": float(len(during)),
            "long prompt tok/s": usage["prompt_tokens"] / (end - start)}


def first(server: Server, body: dict) -> float:
    times, events = server.stream("/v1/completions", body)
    return next(t for t, e in zip(times, events) if e.get("choices"))


def ttft(server: Server, seed: int) -> dict:
    alone = first(server, completion(seed, 300, 8))
    long_one = Background(server.post, "/v1/completions", completion(seed + 1, LONG, 8))
    time.sleep(1)
    beside = first(server, completion(seed + 2, 300, 8))
    overtook = long_one.end == 0
    long_one.wait()
    return {"alone ms": 1e3 * alone, "beside ms": 1e3 * beside, "ratio": beside / alone, "came first": float(overtook)}


def answer(server: Server, body: dict):
    status, text = server.send("/v1/completions", body)
    return (status, json.loads(text)["choices"][0]["text"] if status == 200 else text[:200].decode(errors="replace"))


def crowd(server: Server, seed: int) -> dict:
    """Six of 2,048 tokens each on 8,192 cells; nothing is cached either time."""
    begin = time.perf_counter()
    alone = [answer(server, completion(seed + i, 1920, 120)) for i in range(6)]
    serial = time.perf_counter() - begin
    server.restart()
    begin = time.perf_counter()
    crowded = [Background(answer, server, completion(seed + i, 1920, 120)) for i in range(6)]
    for one in crowded:
        one.join()
    at_once = time.perf_counter() - begin
    good = [one.result and one.result[0] == 200 for one in crowded]
    equal = [one.result == other for one, other in zip(crowded, alone)]
    return {"completed of 6": float(sum(good)), "same text": float(sum(equal)), "serial s": serial,
            "at once s": at_once, "ratio": at_once / serial}


def listeners(server: Server, seed: int) -> dict:
    return idle.measure(server, completion(seed, 40, 7000), shown)


SCENARIOS = {"gap": (gap, 8192), "ttft": (ttft, 8192), "crowd": (crowd, 4096), "idle": (listeners, 8192)}


def start(args, context: int, logs: Path):
    """kvern has twice the cells of a conversation's context, llama-server as many: both get 8,192 for the crowd."""
    if args.against:
        pair = []
        for name, binary in (("kvern", KVERN), ("other", args.against)):
            command = [binary, "serve", "--model", args.model, "--port", "{port}", "--threads", str(args.threads),
                       "--context", str(context), "--cache-disk", "0", "--log-format", "json"]
            logs.mkdir(parents=True, exist_ok=True)
            pair.append(Server(name, command, logs / f"{name}.log"))
        return pair
    return start_pair(args.model, args.threads, context, logs, their_context=max(context, 8192))


def measure(args, results: Results, name: str):
    """Servers are only started for what is not there yet."""
    scenario, context = SCENARIOS[name]
    missing = [round_ for round_ in range(args.rounds)
               if any(("load", name, round_, server) not in results.values for server in names(args))]
    if not missing:
        return
    pair = start(args, context, Path(tempfile.gettempdir()) / "kvern-bench")
    try:
        for round_ in missing:
            for server in pair if round_ % 2 == 0 else reversed(pair):
                seed = 100_000 * round_ + 1000
                results.get(("load", name, round_, server.name), lambda s=server: scenario(s, seed))
    finally:
        for server in pair:
            server.stop()


def names(args):
    return ("kvern", "other" if args.against else "llama-server")


def medians(values, name, server):
    """{measure: its median over the rounds}, or why there is none."""
    of_server = [value for (_, of, _, by), value in values.items() if (of, by) == (name, server)]
    good = [value for value in of_server if not {"failed", "skipped"} & set(value)]
    if not good:
        return {}, of_server[0] if of_server else {"failed": "not measured"}
    return {what: statistics.median(value[what] for value in good) for what in good[0]}, None


def render(values, args):
    ours, theirs = names(args)
    lines = [f"{'':34} {ours:>10} {theirs:>13}"]
    for name in args.only:
        both = [medians(values, name, server) for server in (ours, theirs)]
        lines += [f"{name}: {server} {why}" for server, (_, why) in zip((ours, theirs), both) if why]
        (a, _), (b, _) = both
        for what in {**a, **b}:
            cells = [f"{row[what]:.2f}" if what in row else "-" for row in (a, b)]
            lines.append(f"{f'{name}: {what}':34} {cells[0]:>10} {cells[1]:>13}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.environ.get("KVERN_BENCH_MODEL") or str(SMALL))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(SCENARIOS), help=",".join(SCENARIOS))
    parser.add_argument("--against", default="", help="another kvern binary, instead of llama-server")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if unknown := set(args.only) - set(SCENARIOS):
        parser.error(f"no {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    for file in (KVERN, args.against or LLAMA, args.model):
        if not Path(file).exists():
            raise SystemExit(f"{file} is missing; ./dev bench load builds and fetches what it needs")

    idle.raise_file_limit()
    name = results_name([args.threads], [KVERN, args.against or LLAMA, args.model])
    about = {"model": Path(args.model).name, "threads": args.threads, "against": names(args)[1]}
    results = Results(ROOT / f"build/bench-load/{name}.jsonl", args.fresh, about)
    for part in args.only:
        measure(args, results, part)
    show(results, args.json, lambda values: render(values, args))


if __name__ == "__main__":
    main()
